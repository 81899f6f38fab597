import { spawn } from 'node:child_process';
import { stripVTControlCharacters, styleText } from 'node:util';

/** Prints the demo as a tutorial: what is done and why, the command that a person would type, and what it answers. */
export class Tutorial {
  readonly #env: NodeJS.ProcessEnv;
  readonly #colour: boolean;
  readonly #started = performance.now();
  #chapter = 0;

  /** @param env environment of the commands: KUBECONFIG, and a PATH with kubectl and helm */
  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
    this.#colour = process.stdout.isTTY && env['NO_COLOR'] === undefined;
  }

  chapter(title: string): void {
    this.#chapter += 1;
    this.#print(
      `\n${this.#style('bold', `${String(this.#chapter)}. ${title}`)}  ${this.#style('dim', `(${this.#elapsed()})`)}\n`,
    );
  }

  say(text: string): void {
    this.#print(text.trim());
  }

  /** Shows a command line, runs it in a shell, and shows what it prints. Rejects when it fails. */
  async type(line: string, { input, quiet = false }: { input?: string; quiet?: boolean } = {}): Promise<string> {
    const shown = input === undefined ? line : `${line} <<EOF\n${input.trim()}\nEOF`;
    this.#print(this.#style('cyan', `\n$ ${shown.split('\n').join('\n  ')}`));
    const { code, output } = await this.#run(line, input, !quiet);
    if (code !== 0)
      throw new Error(`this command failed with exit code ${String(code)}: ${line}${quiet ? `\n${output}` : ''}`);
    return output;
  }

  #run(line: string, input: string | undefined, show: boolean): Promise<{ code: number | null; output: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn('bash', ['-c', line], { env: this.#env, stdio: ['pipe', 'pipe', 'pipe'] });
      let output = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          output += text;
          if (show) process.stdout.write(text);
        });
      }
      child.stdin.on('error', () => undefined); // A command that does not read its input may end before it is written.
      child.stdin.end(input ?? '');
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, output: stripVTControlCharacters(output) }));
    });
  }

  #print(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  #style(format: 'bold' | 'dim' | 'cyan', text: string): string {
    return this.#colour ? styleText(format, text) : text;
  }

  #elapsed(): string {
    return `${((performance.now() - this.#started) / 1000).toFixed(0)} s`;
  }
}
