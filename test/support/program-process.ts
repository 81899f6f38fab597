import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from './build.ts';

export interface LogLine {
  level: string;
  msg: string;
  [field: string]: unknown;
}

/**
 * One of Bullpen's programs that runs beside the cluster as a process of this machine, so that a test can kill it whenever it likes.
 */
export class ProgramProcess {
  readonly #program: string;
  readonly #child: ChildProcess;
  readonly #lines: LogLine[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #exited: Promise<unknown>;
  #over = false;

  protected constructor(program: string, child: ChildProcess) {
    this.#program = program;
    this.#child = child;
    this.#exited = once(child, 'exit').then(() => {
      this.#over = true;
      for (const wake of this.#waiting) wake();
    });
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#read(line));
    }
  }

  /** Runs a program of the bundle, with this configuration and kubeconfig. */
  protected static async spawn(
    program: string,
    { kubeconfig, config, env }: { kubeconfig: string; config: object; env?: Record<string, string> | undefined },
  ): Promise<ChildProcess> {
    const folder = await build();
    // As in the Dockerfile.
    const nodeOptions = ['--enable-source-maps', '--max-semi-space-size=8'];
    return spawn(process.execPath, [...nodeOptions, join(folder, 'main.js'), program], {
      env: {
        PATH: process.env['PATH'] ?? '',
        KUBECONFIG: kubeconfig,
        BULLPEN_CONFIG: JSON.stringify(config),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Everything it has logged. */
  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  /** The first log line with this message, as soon as it is there. Rejects when the process ends without it. */
  async log(message: string): Promise<LogLine> {
    for (;;) {
      const line = this.#lines.find((entry) => entry.msg === message);
      if (line !== undefined) return line;
      if (this.#over) throw new Error(`the ${this.#program} ended without logging "${message}":\n${this.tail()}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  /** Ends it in good order (SIGTERM). */
  async stop(): Promise<void> {
    if (!this.#over) this.#child.kill('SIGTERM');
    await this.#exited;
  }

  /** Ends it at once (SIGKILL), like a crash or a lost node. */
  async kill(): Promise<void> {
    if (!this.#over) this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** Freezes it (SIGSTOP), like a machine that is suspended; `thaw` lets it go on, unaware. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** Resolves with its exit code when it has ended, by itself or not. */
  async exited(): Promise<number | null> {
    await this.#exited;
    return this.#child.exitCode;
  }

  /** The end of its log, for the message of a failing test. */
  tail(count = 30): string {
    return this.#lines
      .slice(-count)
      .map((line) => JSON.stringify(line))
      .join('\n');
  }

  #read(text: string): void {
    this.#lines.push(parseLine(text));
    for (const wake of this.#waiting) wake();
  }
}

function parseLine(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return { level: 'text', msg: text };
  }
}
