import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { systemClock } from '../../src/kube/clock.ts';
import type { SupervisorConfig } from '../../src/supervisor/config.ts';
import { createSupervisorServer } from '../../src/supervisor/server.ts';
import { BoundSession } from '../../src/supervisor/session.ts';
import { Verifier } from '../../src/supervisor/verifier.ts';
import { SUPERVISOR_PORT, type BindRequest, type TerminationMessage } from '../../src/supervisor/wire.ts';
import { FakeAgent } from './fake-agent.ts';
import { agentReadiness } from './fake-http-pod.ts';
import type { Exit, PodMemory, PodScript } from './fake-pod.ts';

/** What an agent got by `POST /bot`. */
export interface Delivery {
  namespace: string;
  podName: string;
  podUid: string;
  sessionUid: string;
  sessionId: string;
  /** As text. */
  body: string;
  headers: Record<string, string>;
  /** Wall-clock milliseconds. */
  at: number;
}

export interface FakeSupervisorDeps {
  config: Pick<SupervisorConfig, 'podUid' | 'publicKeys'>;
  address: string;
  memory: PodMemory;
  script: PodScript;
  /** It got its session. */
  onBound: () => void;
  /** Its agent got the session. */
  onDelivery: (delivery: Pick<Delivery, 'sessionUid' | 'sessionId' | 'body' | 'headers'>) => void;
  /** Its agent's container ends. */
  onCrash: (exit: Exit) => void;
  /** It ends, and leaves this record. */
  onOver: (record: TerminationMessage) => void;
}

/** From the end of its session to that of the process: replies that are under way are sent. */
const EXIT_MS = 20;

/**
 * The supervisor of a fake pod: the real server, verifier and session at the pod's own address, with a {@link FakeAgent} and
 * with the faults of the pod's script. The process around them is src/programs/supervisor.ts in reality.
 */
export class FakeSupervisor {
  readonly #deps: FakeSupervisorDeps;
  readonly #verifier: Verifier;
  readonly #agent: FakeAgent;
  #memory: PodMemory;
  #script: PodScript;
  #session: BoundSession | undefined;
  #server: Server | undefined;
  #dropped = 0;
  #over = false;

  private constructor(deps: FakeSupervisorDeps, verifier: Verifier) {
    this.#deps = deps;
    this.#verifier = verifier;
    this.#memory = deps.memory;
    this.#script = deps.script;
    this.#agent = new FakeAgent({
      readiness: () => agentReadiness(this.#memory, this.#script, Date.now()),
      script: () => this.#script.bot,
      onCall: (headers, body) => {
        const { 'x-daily-session-id': sessionId = '' } = headers;
        deps.onDelivery({ sessionUid: this.#session?.uid ?? '', sessionId, body, headers });
      },
      onCrash: deps.onCrash,
    });
  }

  static async create(deps: FakeSupervisorDeps): Promise<FakeSupervisor> {
    return new FakeSupervisor(deps, await Verifier.create(deps.config.podUid, deps.config.publicKeys));
  }

  /** Follows what the kubelet knows and the script says. Rejects when it cannot listen. */
  async follow(memory: PodMemory, script: PodScript): Promise<void> {
    const before = this.#memory.agent;
    this.#memory = memory;
    this.#script = script;
    if (memory.agent?.end !== undefined || memory.agent?.restarts !== before?.restarts) this.#agent.die();
    this.#agent.reconsider();
    if (this.#over) return;
    if (memory.stop !== undefined) this.terminate();
    else if (script.supervisor === 'unreachable') this.#closeServer();
    else if (this.#server === undefined) await this.#listen();
  }

  /** It gets TERM. */
  terminate(): void {
    if (this.#over) return;
    if (this.#session !== undefined) this.#session.end('Stopped', { message: 'the pod was told to end' });
    else this.#finish({ bullpen: 1, delivered: false, outcome: 'Stopped', endedAt: Date.now() });
  }

  /** It is gone without a word, unless it has had its last. */
  kill(): void {
    if (this.#over) return;
    this.#over = true;
    this.#session?.end('Stopped');
    this.#agent.die();
    this.#closeServer();
  }

  #bind(request: BindRequest): BoundSession {
    const session = new BoundSession({
      request,
      agent: this.#agent,
      clock: systemClock,
      onOver: (record) => this.#finish(record),
    });
    this.#session = session;
    this.#deps.onBound();
    void session.run();
    return session;
  }

  #finish(record: TerminationMessage): void {
    if (this.#over) return;
    this.#over = true;
    this.#server?.close();
    setTimeout(() => this.#closeServer(), EXIT_MS);
    this.#deps.onOver(record);
    this.#agent.die();
  }

  async #listen(): Promise<void> {
    const server = createSupervisorServer({
      verifier: this.#verifier,
      session: () => this.#session,
      bind: (request) => this.#bind(request),
      agentReady: async () => (await this.#agent.ready()) === 'ready',
    });
    server.prependListener('request', (message, response) => this.#disturb(message, response));
    this.#server = server;
    server.listen(SUPERVISOR_PORT, this.#deps.address);
    await once(server, 'listening');
    // It may have been closed before there was anything to close.
    if (this.#server !== server) server.close();
  }

  /** What the script wants to go wrong with a reply. */
  #disturb(message: IncomingMessage, response: ServerResponse): void {
    if (message.method !== 'PUT') return;
    const end = response.end.bind(response);
    response.end = ((text: string) => {
      const { supervisor } = this.#script;
      const { dropReplies = 0, delayMs = 0 } = supervisor === 'unreachable' ? {} : (supervisor ?? {});
      if (response.statusCode < 300 && this.#dropped < dropReplies) {
        this.#dropped += 1;
        return response.destroy();
      }
      if (delayMs === 0) return end(text);
      setTimeout(() => end(text), delayMs);
      return response;
    }) as typeof response.end;
  }

  #closeServer(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
    this.#server = undefined;
  }
}
