/**
 * Everything that a request may be refused with. `code` is part of the contract with Pipecat's clients: always a string, `401` on every
 * failure of a key (they then say "log in again"), and a number as text on what they may try again.
 */
export const problems = {
  BadRequest: { status: 400, code: 'GENERIC_BAD_REQUEST', error: 'Invalid parameters' },
  InvalidQuery: { status: 400, code: '400', error: 'Invalid parameters' },
  NotReadable: { status: 400, code: '400', error: 'Cannot be read' },
  NotReady: {
    status: 400,
    code: 'PCC-1001',
    error: 'Attempt to start agent when deployment is not in ready state. Is your image pull secret valid?',
  },
  Unauthorized: { status: 401, code: '401', error: 'Unauthorized / token expired' },
  Forbidden: { status: 403, code: '403', error: 'Forbidden' },
  NotFound: { status: 404, code: '404', error: 'API endpoint not found' },
  AgentNotFound: { status: 404, code: '404', error: 'Service not found' },
  /** The same where agents are what it is about, and not what they do. */
  ServiceNotFound: { status: 404, code: 'NOT_FOUND', error: 'Service not found' },
  SetNotFound: { status: 404, code: 'NOT_FOUND', error: 'Set not found' },
  SessionNotFound: { status: 404, code: '404', error: 'Session not found' },
  MethodNotAllowed: { status: 405, code: '405', error: 'Method not allowed' },
  Conflict: { status: 409, code: 'CONFLICT', error: 'Modified concurrently. Please retry.' },
  TooLarge: { status: 413, code: '413', error: 'Payload Too Large' },
  UnsupportedMediaType: { status: 415, code: '415', error: 'A compressed body is not accepted: send it as it is' },
  IdempotencyMismatch: {
    status: 422,
    code: '422',
    error: 'This Idempotency-Key was used with another request. Use a new key for a new request.',
  },
  AtCapacity: { status: 429, code: 'PCC-AGENT-AT-CAPACITY', error: 'Service maximum agent instances reached' },
  RateLimited: { status: 429, code: '429', error: 'Rate limit exceeded. Please try again later' },
  Internal: {
    status: 500,
    code: '500',
    error: 'Internal server error. Please check logs for more information or contact support.',
  },
  StartFailed: { status: 500, code: '500', error: 'The session could not be started' },
  NotImplemented: { status: 501, code: '501', error: 'Not implemented' },
  DailyFailed: { status: 502, code: '502', error: 'Daily did not make a room' },
  Unavailable: { status: 503, code: '503', error: 'The cluster does not answer. Please try again.' },
  StartTimeout: { status: 504, code: '504', error: 'The session did not start in time' },
} as const satisfies Record<string, { status: number; code: string; error: string }>;

export type ProblemName = keyof typeof problems;

export interface ProblemDetails {
  /** Instead of the text of the catalogue. */
  error?: string | undefined;
  /** When to try again. */
  retryAfterSeconds?: number | undefined;
  /** More members of the body. */
  more?: Readonly<Record<string, unknown>> | undefined;
  cause?: unknown;
}

/** A request that is refused. Whoever throws it has decided what the caller is told: nothing in it may be secret. */
export class Problem extends Error {
  readonly kind: ProblemName;
  readonly status: number;
  readonly code: string;
  readonly retryAfterSeconds: number | undefined;
  readonly more: Readonly<Record<string, unknown>>;

  constructor(kind: ProblemName, { error, retryAfterSeconds, more = {}, cause }: ProblemDetails = {}) {
    const { status, code, error: text } = problems[kind];
    super(error ?? text, cause === undefined ? undefined : { cause });
    this.name = 'Problem';
    this.kind = kind;
    this.status = status;
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
    this.more = more;
  }

  /** What the caller reads. Some readers of a 429 look at `status`, others at `message`, so it has all of them. */
  get body(): Record<string, unknown> {
    const both = this.status === 429 ? { status: 429, message: this.message } : {};
    return { ...both, ...this.more, error: this.message, code: this.code };
  }
}
