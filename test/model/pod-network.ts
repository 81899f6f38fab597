import type { Clock } from '../../src/kube/clock.ts';
import type { CallSupervisor, SupervisorAnswer } from '../../src/controller/delivery/supervisor-client.ts';
import type { ModelSupervisor } from './model-supervisor.ts';
import { MUTATION_TIMEOUT_MS, type Fate, type Network } from './network.ts';
import type { Process } from './process.ts';

/** As the real client: so long it waits for a connection, and for an answer. */
const CONNECT_TIMEOUT_MS = 2_000;
const ANSWER_TIMEOUT_MS = 15_000;

/** Addresses of pods. One that is free again is the next to be given away. */
export class PodNetwork {
  readonly #nodes: readonly string[];
  readonly #taken = new Map<string, ModelSupervisor | undefined>();
  readonly #cut = new Set<string>();

  constructor(nodes: readonly string[]) {
    this.#nodes = nodes;
  }

  assign(node: string): string {
    const net = this.#nodes.indexOf(node) + 1;
    let host = 1;
    while (this.#taken.has(`10.0.${net}.${host}`)) host += 1;
    const ip = `10.0.${net}.${host}`;
    this.#taken.set(ip, undefined);
    return ip;
  }

  listen(ip: string, supervisor: ModelSupervisor): void {
    if (this.#taken.has(ip)) this.#taken.set(ip, supervisor);
  }

  release(ip: string): void {
    this.#taken.delete(ip);
  }

  /** Whether packets to and from the pods of a node are lost. */
  setCut(node: string, isCut: boolean): void {
    if (isCut) this.#cut.add(node);
    else this.#cut.delete(node);
  }

  heal(): void {
    this.#cut.clear();
  }

  isCut(ip: string): boolean {
    return this.#cut.has(this.#nodes[Number(ip.split('.')[2]) - 1] ?? '');
  }

  /** Whether a pod has this address; else packets to it vanish. */
  has(ip: string): boolean {
    return this.#taken.has(ip);
  }

  supervisorAt(ip: string): ModelSupervisor | undefined {
    return this.#taken.get(ip);
  }
}

export interface CallerDeps {
  pods: PodNetwork;
  process: Process;
  network: Network;
  /** The world's time: requests go on their way whatever becomes of their process. */
  clock: Clock;
  /** Told when a request leaves, and when it has been answered to the caller. */
  onCall: (what: 'sent' | 'done', method: 'PUT' | 'DELETE') => void;
}

/** Requests of one replica to supervisors: late, lost, carried out without a reply, or met by another pod than was meant. */
export function modelCallSupervisor({ pods, process, network, clock, onCall }: CallerDeps): CallSupervisor {
  return ({ method, host, say, signal, onSend }) =>
    new Promise<SupervisorAnswer>((resolve) => {
      const [there, back] = network.latency();
      const verb = method === 'PUT' ? 'bind' : 'stop';
      const fate = network.fateOf({ verb, plural: 'supervisors', name: host, status: false });
      let sent = false;
      const at = (ms: number, fn: () => void): void => void clock.setTimeout(fn, ms);
      const tell = (ms: number, answer: SupervisorAnswer): void =>
        at(ms, () =>
          process.enter(() => {
            resolve(answer);
            if (answer.kind === 'answered') onCall('done', method);
          }),
        );
      const fail = (ms: number, message: string): void =>
        at(ms, () => process.enter(() => resolve({ kind: sent ? 'unanswered' : 'unreachable', message })));
      signal.addEventListener('abort', () =>
        resolve({ kind: sent ? 'unanswered' : 'unreachable', message: 'aborted' }),
      );

      const send = (supervisor: ModelSupervisor, { token, body = '' }: { token: string; body?: string }): void => {
        sent = true;
        onSend();
        onCall('sent', method);
        const disconnect = supervisor.connect(() => fail(back, 'the connection was closed'));
        const carryOut = (reply: (answer: SupervisorAnswer) => void): void => {
          if (!pods.isCut(host)) supervisor.answer({ method, token, body }, reply);
        };
        const hearBack = (answer: SupervisorAnswer): void => {
          if (!pods.isCut(host)) tell(back, answer);
        };
        at(ANSWER_TIMEOUT_MS, disconnect);
        fail(ANSWER_TIMEOUT_MS, 'no answer in time');
        deliver(fate, { there, back }, { at, fail, carryOut, hearBack });
      };

      at(there, () => {
        const supervisor = pods.supervisorAt(host);
        if (pods.isCut(host) || !pods.has(host)) fail(CONNECT_TIMEOUT_MS, 'no connection in time');
        else if (fate?.kind === 'lost' || supervisor === undefined || supervisor.exit !== undefined)
          fail(back, 'connection refused');
        else
          process.enter(() => {
            say().then(
              (what) => {
                if (signal.aborted) return;
                if (supervisor.exit === undefined) send(supervisor, what);
                else fail(back, 'the connection was closed');
              },
              (error: unknown) => resolve({ kind: 'withheld', message: (error as Error).message }),
            );
          });
      });
    });
}

interface Way {
  at: (ms: number, fn: () => void) => void;
  fail: (ms: number, message: string) => void;
  carryOut: (reply: (answer: SupervisorAnswer) => void) => void;
  hearBack: (answer: SupervisorAnswer) => void;
}

/** What becomes of a request that has left. */
function deliver(
  fate: Fate | undefined,
  { there, back }: { there: number; back: number },
  { at, fail, carryOut, hearBack }: Way,
): void {
  const nobody = (): void => undefined;
  switch (fate?.kind) {
    case undefined:
    case 'lost': // Met when the connection was made.
      at(there, () => carryOut(hearBack));
      return;
    case 'refused':
    case 'failed':
      fail(there + back, 'an answer that is none of a supervisor');
      return;
    case 'replyLost':
      at(there, () => carryOut(nobody));
      fail(there + back, 'the connection was closed');
      return;
    case 'late':
    case 'tooLate':
      at(Math.max(there, fate.afterMs), () => carryOut(nobody));
      fail(there + back, 'the connection was closed');
      return;
    case 'slow':
      at(Math.min(fate.afterMs, MUTATION_TIMEOUT_MS), () => carryOut(hearBack));
  }
}
