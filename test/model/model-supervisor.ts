import type { Clock } from '../../src/kube/clock.ts';
import type { SupervisorAnswer } from '../../src/controller/delivery/supervisor-client.ts';
import { BoundSession } from '../../src/supervisor/session.ts';
import { bindRequest, type BindRequest, type TerminationMessage } from '../../src/supervisor/wire.ts';
import type { ModelAgent } from './model-agent.ts';
import { readToken } from './model-keys.ts';
import { Process } from './process.ts';

/** How long `PUT /session` waits for the agent before it says that it still waits. */
const BIND_WAIT_MS = 8_000;

export interface SupervisorCall {
  method: 'PUT' | 'DELETE';
  token: string;
  body: string;
}

export interface ModelSupervisorDeps {
  podUid: string;
  agent: ModelAgent;
  /** The world's time. */
  clock: Clock;
  /** How far the node's clock is ahead. */
  skewMs: number;
  onBound: (sessionUid: string) => void;
  onExit: () => void;
}

/** The program beside the agent: the real session, behind a model of the requests' handler. */
export class ModelSupervisor {
  readonly startedAt: number;
  exit: { at: number; exitCode: number; message?: string } | undefined;
  readonly #deps: ModelSupervisorDeps;
  readonly #process: Process;
  readonly #connections = new Set<() => void>();
  #session: BoundSession | undefined;
  /** Sessions that were told to end before they were bound. */
  readonly #stopped = new Set<string>();

  constructor(deps: ModelSupervisorDeps) {
    this.#deps = deps;
    this.#process = new Process(`supervisor of ${deps.podUid}`, deps.clock, deps.skewMs);
    this.startedAt = this.#process.clock.now();
  }

  get isBound(): boolean {
    return this.#session !== undefined;
  }

  /** A connection to it; `onClose` is called when its process ends. Returns what closes the connection. */
  connect(onClose: () => void): () => void {
    this.#connections.add(onClose);
    return () => this.#connections.delete(onClose);
  }

  /** Handles a request, as `server.ts` does. */
  answer(call: SupervisorCall, reply: (answer: SupervisorAnswer) => void): void {
    if (this.exit !== undefined) return;
    const refuse = (status: number, message: string): void => reply({ kind: 'refused', status, message });
    const operation = call.method === 'PUT' ? 'bind' : 'stop';
    const now = this.#process.clock.now();
    const claims = readToken(call.token, { podUid: this.#deps.podUid, operation, body: call.body, now });
    if (claims === undefined) {
      refuse(401, 'no valid token for this pod');
      return;
    }
    if (call.method === 'DELETE') {
      if (this.#session !== undefined && this.#session.uid !== claims.sessionUid) {
        refuse(409, 'this pod does not serve that session');
        return;
      }
      reply({ kind: 'answered', reply: { state: 'over' } });
      if (this.#session === undefined) this.#stopped.add(claims.sessionUid);
      else this.#session.end('Stopped');
      return;
    }
    const request = bindRequest.parse(JSON.parse(call.body));
    if (request.uid !== claims.sessionUid) throw new Error('a token for another session than the request is about');
    if (this.#stopped.has(request.uid)) {
      reply({ kind: 'answered', reply: { state: 'over' } });
      return;
    }
    const session = this.#session ?? this.#bind(request);
    if (session.uid !== request.uid) {
      refuse(409, 'this pod serves another session');
      return;
    }
    void session.settled(BIND_WAIT_MS).then(() => {
      if (this.exit === undefined || session.reply.state === 'over') reply({ kind: 'answered', reply: session.reply });
    });
  }

  /** TERM. */
  terminate(): void {
    if (this.exit !== undefined) return;
    if (this.#session !== undefined) this.#session.end('Stopped', { message: 'the pod was told to end' });
    else this.#over({ bullpen: 1, delivered: false, outcome: 'Stopped', endedAt: this.#process.clock.now() });
  }

  /** It ends without a word. */
  kill(): void {
    this.#end({ at: this.#process.clock.now(), exitCode: 137 });
  }

  #bind(request: BindRequest): BoundSession {
    const { agent, onBound } = this.#deps;
    const session = new BoundSession({
      request,
      agent: {
        ready: () => agent.ready(),
        bot: (_headers, _bytes, mayGo) => agent.bot(request.uid, () => !this.#process.isDead && mayGo()),
        webSocket: () => Promise.reject(new Error('the model opens no WebSockets')),
      },
      clock: this.#process.clock,
      onOver: (record) => this.#over(record),
    });
    this.#session = session;
    onBound(request.uid);
    void session.run();
    return session;
  }

  #over(record: TerminationMessage): void {
    this.#end({ at: this.#process.clock.now(), exitCode: 0, message: JSON.stringify(record) });
  }

  #end(exit: { at: number; exitCode: number; message?: string }): void {
    if (this.exit !== undefined) return;
    this.exit = exit;
    // Replies that it has given go out before its connections are closed.
    this.#deps.clock.setTimeout(() => {
      for (const close of this.#connections) close();
      this.#connections.clear();
    }, 1);
    this.#process.kill();
    this.#deps.onExit();
  }
}
