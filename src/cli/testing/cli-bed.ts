import { KubeClient } from '../../kube/client.ts';
import { fixedCredentials } from '../../kube/credentials.ts';
import { FakeClock } from '../../kube/testing/fake-clock.ts';
import { ScriptedServer } from '../../kube/testing/scripted-server.ts';
import { commands } from '../commands.ts';
import { parseCommandLine, runCommand } from '../run.ts';

/** How a command ended, and what it printed. */
export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs commands as `main` does, in namespace `calls` of an API server that the test plays. */
export class CliBed {
  readonly server = new ScriptedServer();
  /** What commands go by. */
  readonly clock = new FakeClock();
  #client: KubeClient | undefined;
  readonly #stop = new AbortController();
  #reader: Promise<void> | undefined;
  /** Lines of standard output, as they come. */
  readonly lines: string[] = [];
  readonly #notes: string[] = [];

  async open(): Promise<void> {
    this.#client = new KubeClient({
      server: await this.server.listen(),
      credentials: fixedCredentials({}),
      userAgent: 'test/1',
      clock: new FakeClock(),
      random: () => 1,
    });
  }

  async close(): Promise<void> {
    await this.#client?.close();
    await this.server.close();
  }

  /** Holds up what is printed from now on: its reader takes nothing until the result is called. */
  stall(): () => void {
    let letGo = (): void => undefined;
    this.#reader = new Promise((resolve) => (letGo = resolve));
    return () => letGo();
  }

  /** As Ctrl-C does. */
  interrupt(): void {
    this.#stop.abort();
  }

  async run(...argv: string[]): Promise<Ran> {
    const api = this.#client;
    if (api === undefined) throw new Error('the bed is not open');
    const parsed = parseCommandLine(commands, argv);
    if (parsed.kind === 'help') return { code: parsed.exitCode, stdout: '', stderr: parsed.text };
    const note = (line: string): void => void this.#notes.push(line);
    const tools = {
      api,
      namespace: 'calls',
      output: parsed.output,
      clock: this.clock,
      print: async (line: string) => {
        this.lines.push(line);
        await this.#reader;
      },
      note,
      interrupted: () => this.#stop.signal,
      readFile: () => Promise.reject(new Error('there are no files')),
    };
    const code = await runCommand(parsed, () => Promise.resolve(tools), note);
    return { code, stdout: this.lines.join('\n'), stderr: this.#notes.join('\n') };
  }
}
