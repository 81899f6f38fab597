import { clientError, errorFromAnswer, type KubeError } from '../../src/kube/errors.ts';

/** The `?timeout=` of every mutation: so long after it was sent the server may still carry it out. */
export const MUTATION_TIMEOUT_MS = 5_000;

/** The last two are asked of supervisors, whose `plural` is `supervisors`. */
export type Verb = 'create' | 'patch' | 'delete' | 'get' | 'list' | 'bind' | 'stop';

/** What becomes of one request that does not go well. */
export type Fate =
  /** The server says no. */
  | { kind: 'refused'; because: 'busy' | 'quota' | 'invalid' }
  /** The server fails before it has stored anything. A client cannot know that. */
  | { kind: 'failed' }
  /** The connection breaks on the way there. */
  | { kind: 'lost' }
  /** It is carried out, but the reply is lost. */
  | { kind: 'replyLost' }
  /** The connection breaks, and the request is carried out all the same, some time later. */
  | { kind: 'late'; afterMs: number }
  /** As `late`, but later than the server's own timeout allows: what nobody promises not to happen. */
  | { kind: 'tooLate'; afterMs: number }
  /** It hangs, and is carried out when the client has nearly or wholly given up. */
  | { kind: 'slow'; afterMs: number };

/** The next `left` requests of this kind meet this fate. */
export interface Fault {
  verb?: Verb;
  plural?: string;
  /** Sent to a subresource, or not; left out means both. */
  status?: boolean;
  left: number;
  fate: Fate;
}

/** A request as it leaves the controller. */
export interface Request {
  by: string;
  verb: Verb;
  plural: string;
  name: string;
  status: boolean;
  /** Milliseconds, monotonic. */
  at: number;
}

/** A watch, as its connection can be treated. */
export interface OpenWatch {
  plural: string;
  /** The connection breaks, and the client is told. */
  break: () => void;
  /** Nothing comes any more, and nobody is told. */
  stall: () => void;
  /** Nobody listens any more. */
  close: () => void;
}

/** What the way between one process and the API server is like at the moment. */
export class Network {
  readonly #latencies: readonly (readonly [there: number, back: number])[];
  #requests = 0;
  #faults: Fault[] = [];
  #lags = new Map<string, number>();
  readonly #watches = new Set<OpenWatch>();

  /** @param latencies milliseconds to the server and back; used in turn */
  constructor(latencies: readonly (readonly [there: number, back: number])[]) {
    this.#latencies = latencies;
  }

  latency(): readonly [there: number, back: number] {
    return this.#latencies[this.#requests++ % this.#latencies.length] ?? [1, 1];
  }

  fateOf(request: Omit<Request, 'at' | 'by'>): Fate | undefined {
    const fault = this.#faults.find(
      ({ verb, plural, status }) =>
        (verb === undefined
          ? request.plural !== 'supervisors' && request.verb !== 'get' && request.verb !== 'list'
          : verb === request.verb) &&
        (plural === undefined || plural === request.plural) &&
        (status === undefined || status === request.status),
    );
    if (fault === undefined) return undefined;
    fault.left -= 1;
    if (fault.left <= 0) this.#faults = this.#faults.filter((other) => other !== fault);
    return fault.fate;
  }

  /** How long events of this resource are under way. */
  lagOf(plural: string): number {
    return this.#lags.get(plural) ?? this.latency()[1];
  }

  addFault(fault: Fault): void {
    this.#faults.push({ ...fault });
  }

  setLag(plural: string, ms: number): void {
    this.#lags.set(plural, ms);
  }

  /** The longest that events may be under way. */
  get maxLagMs(): number {
    return Math.max(0, ...this.#lags.values(), ...this.#latencies.map(([, back]) => back));
  }

  /** All is well again. */
  heal(): void {
    this.#faults = [];
    this.#lags.clear();
  }

  watching(watch: OpenWatch): () => void {
    this.#watches.add(watch);
    return () => this.#watches.delete(watch);
  }

  breakWatches(plural?: string): void {
    for (const watch of [...this.#watches]) if (plural === undefined || watch.plural === plural) watch.break();
  }

  /** The process is gone: its connections are closed. */
  cut(): void {
    for (const watch of [...this.#watches]) watch.close();
  }

  /** Half-open connections: nothing comes any more, and nobody is told. */
  stallWatches(plural?: string): void {
    for (const watch of [...this.#watches]) if (plural === undefined || watch.plural === plural) watch.stall();
  }
}

/** The error that a fate means for the caller. */
export function errorOf(fate: Fate, what: string): KubeError {
  switch (fate.kind) {
    case 'refused':
      return refusals[fate.because](what);
    case 'failed':
      return errorFromAnswer(what, 500, '{"kind":"Status","code":500,"reason":"InternalError"}', undefined);
    case 'slow':
      return clientError(what, 'DeadlineExceeded', 'unknown');
    case 'lost':
    case 'replyLost':
    case 'late':
    case 'tooLate':
      return clientError(what, 'ConnectionLost', 'unknown');
  }
}

const refusals = {
  busy: (what: string) =>
    errorFromAnswer(what, 429, '{"kind":"Status","code":429,"reason":"TooManyRequests","message":"too busy"}', '1'),
  quota: (what: string) =>
    errorFromAnswer(
      what,
      403,
      '{"kind":"Status","code":403,"reason":"Forbidden","message":"pods is forbidden: exceeded quota: sessions"}',
      undefined,
    ),
  invalid: (what: string) =>
    errorFromAnswer(
      what,
      422,
      '{"kind":"Status","code":422,"reason":"Invalid","message":"spec.containers[0].image: Required value"}',
      undefined,
    ),
};
