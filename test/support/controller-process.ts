import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Cluster } from '../cluster/cluster.ts';
import { build } from './build.ts';
import { BULLPEN_IMAGE } from './bullpen-image.ts';
import type { ChaosProxy } from './chaos-proxy.ts';
import { controllerAccount, type ControllerAccount } from './controller-account.ts';

export interface ControllerOptions {
  /** Namespace of its lease. Tests that need a controller of their own give each a namespace of its own. */
  namespace: string;
  /** Namespaces that it serves; a test names its own, so that tests do not disturb each other. */
  watchNamespaces?: string[];
  /** More of BULLPEN_CONFIG. */
  config?: Record<string, unknown>;
  /** Between it and the API server. */
  proxy?: ChaosProxy;
  /** Who it is; the account that the chart makes, when left out. */
  account?: ControllerAccount;
  env?: Record<string, string>;
}

interface LogLine {
  level: string;
  msg: string;
  [field: string]: unknown;
}

/**
 * A controller that runs beside the cluster as a process of this machine, so that a test can kill it whenever it likes.
 * It has the rights that the chart gives it, and no others.
 */
export class ControllerProcess {
  readonly #child: ChildProcess;
  readonly #lines: LogLine[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #exited: Promise<unknown>;
  #over = false;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exited = once(child, 'exit').then(() => {
      this.#over = true;
      for (const wake of this.#waiting) wake();
    });
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#read(line));
    }
  }

  /** Starts one; resolves when the process runs, not when it leads. */
  static async start(cluster: Cluster, options: ControllerOptions): Promise<ControllerProcess> {
    const [folder, account] = await Promise.all([
      build(),
      options.account ?? controllerAccount(cluster, options.namespace),
    ]);
    options.proxy?.actAs(account.user);
    const config = {
      namespace: options.namespace,
      watchNamespaces: options.watchNamespaces ?? [],
      health: { port: 0 },
      supervisor: { image: `${BULLPEN_IMAGE.repository}:${BULLPEN_IMAGE.tag}`, imagePullPolicy: 'Never' },
      ...options.config,
    };
    // As in the Dockerfile.
    const nodeOptions = ['--enable-source-maps', '--max-semi-space-size=8'];
    const child = spawn(process.execPath, [...nodeOptions, join(folder, 'main.js'), 'controller'], {
      env: {
        PATH: process.env['PATH'] ?? '',
        KUBECONFIG: (options.proxy ?? account).kubeconfig,
        BULLPEN_CONFIG: JSON.stringify(config),
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new ControllerProcess(child);
  }

  /** Starts one and waits until it leads. */
  static async startLeading(cluster: Cluster, options: ControllerOptions): Promise<ControllerProcess> {
    const controller = await ControllerProcess.start(cluster, options);
    await controller.log('leading');
    return controller;
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
      if (this.#over) throw new Error(`the controller ended without logging "${message}":\n${this.tail()}`);
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  /** Its metrics, in Prometheus' text format. */
  async metrics(): Promise<string> {
    return await (await this.#fetch('/metrics')).text();
  }

  /** What its readiness probe would find. */
  async isReady(): Promise<boolean> {
    return (await this.#fetch('/readyz')).ok;
  }

  async #fetch(path: string): Promise<Response> {
    const { port } = await this.log('started; waiting for the lease');
    return await fetch(`http://127.0.0.1:${String(port)}${path}`);
  }

  /** Ends it in good order (SIGTERM): it releases its lease. */
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
