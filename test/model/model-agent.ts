import type { Clock } from '../../src/kube/clock.ts';
import type { BotResult, Readiness } from '../../src/supervisor/agent-client.ts';
import type { Workload } from './kubelet.ts';

/** How long after its end the kubelet starts an agent again; doubled each time. */
const RESTART_MS = 1_000;

/** The way over loopback. */
const LOOPBACK_MS = 1;

/** How a container ended; milliseconds of the node's clock. */
export interface Exit {
  at: number;
  exitCode: number;
  reason: string;
}

export interface ModelAgentDeps {
  /** The node's. */
  clock: Clock;
  /** From the start of the container to the moment when it can take a session. */
  bootMs: number;
  /** Whether agents become ready at the moment. */
  boots: () => boolean;
  workloadOf: (sessionUid: string) => Workload;
  /** The first byte of a session has left for the agent. */
  onTold: (sessionUid: string) => void;
  /** Its container has started or ended, or it has become ready. */
  onChange: () => void;
}

interface Life {
  startedAt: number;
  exit?: Exit;
}

/** The user's container in a pod of protocol Http: a server that takes sessions, and is started again when it ends. */
export class ModelAgent {
  restarts = 0;
  life: Life | undefined;
  lastExit: Exit | undefined;
  readonly #deps: ModelAgentDeps;
  readonly #calls = new Set<(result: BotResult) => void>();
  #goodbyeMs: number | null = 100;
  /** Monotonic; finite once it has been told to end. */
  #killAt = Infinity;

  constructor(deps: ModelAgentDeps) {
    this.#deps = deps;
  }

  get #isStopping(): boolean {
    return this.#killAt < Infinity;
  }

  get isRunning(): boolean {
    return this.life !== undefined && this.life.exit === undefined;
  }

  get isReady(): boolean {
    const { clock, bootMs, boots } = this.#deps;
    return this.isRunning && boots() && clock.now() >= (this.life?.startedAt ?? Infinity) + bootMs;
  }

  start(): void {
    if (this.#isStopping || this.isRunning) return;
    const { clock, bootMs, onChange } = this.#deps;
    this.lastExit = this.life?.exit ?? this.lastExit;
    this.life = { startedAt: clock.now() };
    clock.setTimeout(onChange, bootMs);
    onChange();
  }

  ready(): Promise<Readiness> {
    return Promise.resolve(this.isReady ? 'ready' : this.isRunning ? 'notReady' : 'unreachable');
  }

  bot(sessionUid: string, mayGo: () => boolean): Promise<BotResult> {
    const { clock, onTold, workloadOf } = this.#deps;
    return new Promise((resolve) => {
      clock.setTimeout(() => {
        const { life } = this;
        if (!this.isRunning || !mayGo()) {
          resolve({ kind: 'notSent' });
          return;
        }
        onTold(sessionUid);
        const { runMs, exitCode, goodbyeMs, crashes } = workloadOf(sessionUid);
        this.#goodbyeMs = goodbyeMs;
        this.#calls.add(resolve);
        if (runMs === null) return;
        clock.setTimeout(() => {
          if (this.life !== life || !this.isRunning) return;
          if (crashes === true) this.end(exitCode, 'Error');
          else resolve({ kind: 'answered', status: exitCode === 0 ? 200 : 500 });
        }, runMs);
      }, LOOPBACK_MS);
    });
  }

  /** TERM, and KILL when the time is up; asked again, that can only be sooner. */
  terminate(graceMs: number): void {
    const { clock } = this.#deps;
    const isFirst = this.#killAt === Infinity;
    const killAt = clock.monotonic() + graceMs;
    if (killAt >= this.#killAt) return;
    this.#killAt = killAt;
    if (!this.isRunning) return;
    clock.setTimeout(() => this.end(137, 'Error'), graceMs);
    if (isFirst && this.#goodbyeMs !== null) clock.setTimeout(() => this.end(0, 'Completed'), this.#goodbyeMs);
  }

  /** The container ends now. */
  end(exitCode: number, reason: string): void {
    if (this.life === undefined || !this.isRunning) return;
    const { clock, onChange } = this.#deps;
    this.life.exit = { at: clock.now(), exitCode, reason };
    for (const resolve of this.#calls) resolve({ kind: 'broken', message: 'the agent closed the connection' });
    this.#calls.clear();
    if (!this.#isStopping) {
      clock.setTimeout(
        () => {
          if (this.#isStopping || this.isRunning) return;
          this.restarts += 1;
          this.start();
        },
        RESTART_MS * 2 ** Math.min(this.restarts, 4),
      );
    }
    onChange();
  }
}
