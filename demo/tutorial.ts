import { spawn, type ChildProcess } from 'node:child_process';
import { stripVTControlCharacters, styleText } from 'node:util';

interface TypeOptions {
  /** What the command reads; shown as a here-document. */
  input?: string;
  /** Shows what it prints only when it fails. */
  quiet?: boolean;
}

/** Prints the demo as a tutorial: what is done and why, the command that a person would type, and what it answers. */
export class Tutorial {
  readonly #env: NodeJS.ProcessEnv;
  readonly #colour: boolean;
  readonly #started = performance.now();
  readonly #background: ChildProcess[] = [];
  #chapter = 0;

  /** @param env environment of the commands: KUBECONFIG, and a PATH with what they call */
  constructor(env: NodeJS.ProcessEnv) {
    this.#env = { ...env };
    this.#colour = process.stdout.isTTY && env['NO_COLOR'] === undefined;
  }

  chapter(title: string): void {
    this.#chapter += 1;
    this.#print(
      `\n${this.#style('bold', `${String(this.#chapter)}. ${title}`)}  ${this.#style('dim', `(${this.#elapsed()})`)}`,
    );
  }

  say(text: string): void {
    this.#print(`\n${text.trim()}`);
  }

  /** Shows a command line, runs it in a shell, and shows what it prints. Rejects when it fails. */
  async type(line: string, { input, quiet = false }: TypeOptions = {}): Promise<string> {
    this.#show(input === undefined ? line : `${line} <<'EOF'\n${input.trim()}\nEOF`);
    const { code, output } = await this.#run(line, input, !quiet);
    if (code !== 0)
      throw new Error(`this command failed with exit code ${String(code)}: ${line}${quiet ? `\n${output}` : ''}`);
    return output;
  }

  /** Shows a variable being set, to what commands get from now on. */
  export(name: string, value: string): void {
    this.#show(`export ${name}=${value}`);
    this.#env[name] = value;
  }

  /** Shows a variable being set to what a command prints, which is not shown: it may be a key. */
  async exportOutput(name: string, line: string): Promise<void> {
    this.#show(`export ${name}=$(${line})`);
    const { code, stdout, output } = await this.#run(line, undefined, false);
    if (code !== 0) throw new Error(`this command failed with exit code ${String(code)}: ${line}\n${output}`);
    this.#env[name] = stdout.trim();
  }

  /** Shows a command line and leaves it running; resolves when it has printed something. Rejects when it ends before that. */
  async typeInBackground(line: string): Promise<void> {
    this.#show(`${line} &`);
    // The shell becomes the command, so that whoever ends the one ends the other.
    const child = spawn('bash', ['-c', `exec ${line}`], { env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#background.push(child);
    await new Promise<void>((resolve, reject) => {
      let errors = '';
      child.stdout.setEncoding('utf8').once('data', (text: string) => {
        this.#print(text.trim());
        resolve();
      });
      // It is read to the end: a pipe that is full would stop the command.
      child.stdout.resume();
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        errors += text;
      });
      child.on('error', reject);
      child.on('close', () => reject(new Error(`this command ended: ${line}\n${errors}`)));
    });
  }

  /** Ends what still runs in the background. */
  close(): void {
    for (const child of this.#background) child.kill();
  }

  #show(line: string): void {
    this.#print(this.#style('cyan', `\n$ ${line.split('\n').join('\n  ')}`));
  }

  #run(
    line: string,
    input: string | undefined,
    show: boolean,
  ): Promise<{ code: number | null; stdout: string; output: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn('bash', ['-c', line], { env: this.#env, stdio: ['pipe', 'pipe', 'pipe'] });
      let stdout = '';
      let output = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          output += text;
          if (stream === child.stdout) stdout += text;
          if (show) process.stdout.write(text);
        });
      }
      child.stdin.on('error', () => undefined); // A command that does not read its input may end before it is written.
      child.stdin.end(input ?? '');
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, stdout, output: stripVTControlCharacters(output) }));
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
