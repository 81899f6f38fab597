import { type Clock, sleep } from '../kube/clock.ts';
import type { AgentClient, BotResult } from './agent-client.ts';
import type { Caller } from './caller.ts';
import type { BindReply, BindRequest, SupervisorOutcome, TerminationMessage } from './wire.ts';

/** How often the agent is asked whether it is ready: at once, and then less and less often. */
const READY_POLL_MS = { first: 25, longest: 250, factor: 1.2 };

/** An agent that was told its limit ends a moment before we would cut it: that is the limit, too. */
const LIMIT_SLACK_MS = 1_000;

type State = 'waiting' | 'started' | 'over';

export interface SessionDeps {
  request: BindRequest;
  agent: Pick<AgentClient, 'ready' | 'bot' | 'webSocket'>;
  clock: Clock;
  /** Called once: the record of the session. The process ends then, and the pod with it. */
  onOver: (record: TerminationMessage) => void;
}

/**
 * The one session of this pod: waits for the agent, calls it once, and notices its end. Whatever happens after the call has
 * begun, it is never made again. The call is `POST /bot`, or the one WebSocket of a caller who has to come first.
 */
export class BoundSession {
  readonly uid: string;
  readonly #deps: SessionDeps;
  readonly #ending = new AbortController();
  readonly #changed = new EventTarget();
  #state: State = 'waiting';
  #delivered = false;
  #startedAt: { wall: number; monotonic: number } | undefined;
  /** Who has asked for the WebSocket of this session, and is still there. */
  #caller: Caller | undefined;
  #hadCaller = false;

  constructor(deps: SessionDeps) {
    this.uid = deps.request.uid;
    this.#deps = deps;
  }

  get reply(): BindReply {
    return { state: this.#state, ...(this.#startedAt && { startedAt: this.#startedAt.wall }) };
  }

  /** Runs the session to its end. Never rejects. */
  async run(): Promise<void> {
    const { agent, clock, request } = this.#deps;
    const deadline = clock.monotonic() + request.startTimeoutSeconds * 1000;
    // Beside the loop: it may hang in a connection that is neither made nor refused.
    const timeout = clock.setTimeout(() => this.#neverReady(), request.startTimeoutSeconds * 1000);
    this.#ending.signal.addEventListener('abort', () => timeout.cancel(), { once: true });
    for (let delay = READY_POLL_MS.first; ; delay = Math.min(delay * READY_POLL_MS.factor, READY_POLL_MS.longest)) {
      const wanted = !this.#isWebSocket || (await this.#callerComes(deadline));
      const readiness = wanted && !this.#isOver ? await agent.ready() : 'unreachable';
      if (this.#isOver) return;
      // With no time left nothing begins any more: whoever asks then wants to know whether it has.
      if (readiness === 'ready' && clock.monotonic() < deadline) {
        const result = await this.#call();
        if (this.#isOver) return;
        if (result.kind !== 'notSent') {
          this.#ended(result);
          return;
        }
        // It went away between its readiness and the call, which never left.
      }
      await sleep(clock, delay, this.#ending.signal).catch(() => undefined);
      if (this.#isOver) return;
    }
  }

  /**
   * Takes whoever opens the WebSocket of this session: the first one only, until it has hung up without having reached the agent.
   *
   * @returns why it is not to have one; nothing has been done then
   */
  connect(caller: Caller): string | undefined {
    if (!this.#isWebSocket) return 'this session is no WebSocket';
    if (this.#isOver) return 'this session is over';
    if (this.#state === 'started' || this.#caller !== undefined)
      return 'somebody else has the WebSocket of this session';
    if (caller.left.aborted) return undefined;
    this.#caller = caller;
    this.#hadCaller = true;
    const left = (): void => {
      if (this.#state === 'waiting') this.#caller = undefined;
    };
    caller.left.addEventListener('abort', left, { once: true });
    this.#changed.dispatchEvent(new Event('caller'));
    return undefined;
  }

  /** Ends the session now, whatever the agent does. */
  end(outcome: SupervisorOutcome, more: { httpStatus?: number; message?: string } = {}): void {
    if (this.#state === 'over') return;
    // One that the agent was not asked for is still ours to answer.
    if (this.#state === 'waiting') this.#caller?.refuse(503, 'SessionOver', 'the session is over');
    this.#setState('over');
    this.#ending.abort();
    const { clock, onOver } = this.#deps;
    onOver({
      bullpen: 1,
      session: this.uid,
      delivered: this.#delivered,
      outcome,
      endedAt: clock.now(),
      ...(this.#startedAt && {
        startedAt: this.#startedAt.wall,
        ranMs: Math.round(clock.monotonic() - this.#startedAt.monotonic),
      }),
      ...more,
    });
  }

  /** Resolves when the session has begun or ended, or after `ms`. */
  async settled(ms: number): Promise<void> {
    if (this.#state !== 'waiting') return;
    const changed = new AbortController();
    this.#changed.addEventListener('change', () => changed.abort(), { once: true, signal: changed.signal });
    await sleep(this.#deps.clock, ms, changed.signal).catch(() => undefined);
    changed.abort();
  }

  get #isOver(): boolean {
    return this.#state === 'over';
  }

  get #isWebSocket(): boolean {
    return this.#deps.request.transport === 'websocket';
  }

  /** Resolves when there is a caller, with true, or the session is over, or its start timeout has passed. */
  async #callerComes(deadline: number): Promise<boolean> {
    if (this.#caller !== undefined || this.#isOver) return !this.#isOver;
    const { clock } = this.#deps;
    const came = new AbortController();
    this.#changed.addEventListener('caller', () => came.abort(), { once: true, signal: came.signal });
    const signal = AbortSignal.any([came.signal, this.#ending.signal]);
    await sleep(clock, Math.max(0, deadline - clock.monotonic()), signal).catch(() => undefined);
    came.abort();
    return this.#caller !== undefined;
  }

  async #call(): Promise<BotResult> {
    const { request, agent, clock } = this.#deps;
    const headers = {
      ...request.headers,
      'x-daily-session-id': request.sessionId,
      'x-pcc-max-session-seconds': String(request.maxSessionSeconds),
    };
    if (!this.#isWebSocket) return await agent.bot(headers, Buffer.from(request.body, 'base64'), () => this.#begin());
    const caller = this.#caller;
    if (caller === undefined) return { kind: 'notSent' };
    return await agent.webSocket(caller, {
      headers,
      body: request.body,
      mayGo: () => this.#caller === caller && this.#begin(),
      signal: this.#ending.signal,
      clock,
    });
  }

  /** The agent is about to be told. With false it is not: the session may have ended while the connection was made. */
  #begin(): boolean {
    if (this.#isOver) return false;
    const { request, clock } = this.#deps;
    this.#delivered = true;
    this.#startedAt = { wall: clock.now(), monotonic: clock.monotonic() };
    this.#setState('started');
    const limit = clock.setTimeout(() => this.end('DeadlineExceeded'), request.maxSessionSeconds * 1000);
    this.#ending.signal.addEventListener('abort', () => limit.cancel(), { once: true });
    return true;
  }

  /** Its start timeout is over. */
  #neverReady(): void {
    if (this.#state !== 'waiting') return;
    const missing = this.#isWebSocket && !this.#hadCaller;
    const message = missing ? 'nobody opened its WebSocket' : 'the agent was not ready';
    this.end('NeverReady', { message: `${message} within its start timeout` });
  }

  #ended(result: Exclude<BotResult, { kind: 'notSent' }>): void {
    const { clock, request } = this.#deps;
    const ranMs = clock.monotonic() - (this.#startedAt?.monotonic ?? clock.monotonic());
    if (result.kind === 'broken') this.end('ConnectionBroken', { message: result.message });
    else if (ranMs >= request.maxSessionSeconds * 1000 - LIMIT_SLACK_MS) this.end('DeadlineExceeded');
    else if (result.kind === 'closed') this.end('Completed');
    else if (!this.#isWebSocket && result.status >= 200 && result.status < 300)
      this.end('Completed', { httpStatus: result.status });
    else this.#refused(result.status);
  }

  #refused(status: number): void {
    const what = this.#isWebSocket ? 'GET /ws' : 'POST /bot';
    this.end('AgentError', { httpStatus: status, message: `the agent answered ${what} with status ${status}` });
  }

  #setState(state: State): void {
    if (this.#state === 'over') return;
    this.#state = state;
    this.#changed.dispatchEvent(new Event('change'));
  }
}
