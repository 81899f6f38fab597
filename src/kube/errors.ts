/** A cause that the server names in `Status.details.causes`. */
export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

/** The body of a refusal, and the object of an `ERROR` watch event. */
export interface Status {
  /** Left out where the API server has given up a request (504). */
  kind?: 'Status';
  status?: 'Success' | 'Failure';
  code?: number;
  reason?: string;
  message?: string;
  details?: StatusDetails;
}

/** `Status.details`: what the refusal is about. */
export interface StatusDetails {
  name?: string;
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

/**
 * `refused`: the request was certainly not carried out (it never left, or the server said no).
 * `unknown`: it may have been, or may still be until its `?timeout=` has passed. Read afresh before you do it again.
 */
export type Outcome = 'refused' | 'unknown';

/** Reasons of our own, beside those of Kubernetes; with them {@link KubeError.code} is 0. */
export type ClientReason =
  /** No connection: nothing was sent. */
  | 'ConnectFailed'
  /** The connection broke before the whole answer was there. */
  | 'ConnectionLost'
  /** The deadline of the call passed. */
  | 'DeadlineExceeded'
  /** The caller's signal was aborted. */
  | 'Aborted'
  /** The client's `guard` forbade the mutation: nothing was sent. */
  | 'Guarded'
  /** No credentials could be had: nothing was sent. */
  | 'NoCredentials'
  /** The answer is no JSON, or larger than we read. */
  | 'InvalidAnswer';

export interface KubeErrorOptions {
  code: number;
  reason: string;
  outcome: Outcome;
  status?: Status | undefined;
  retryAfterSeconds?: number | undefined;
  cause?: unknown;
}

/** Every failure of a call to the API server. */
export class KubeError extends Error {
  /** HTTP status, or 0 when there was no answer. */
  readonly code: number;
  /** `Status.reason` (`NotFound`, `Conflict` …) or a {@link ClientReason}. */
  readonly reason: string;
  readonly outcome: Outcome;
  /** What the API said; absent when the answer came from a filter or proxy in front of it, or there was none. */
  readonly status: Status | undefined;
  /** How long the server asks us to wait before the next try. */
  readonly retryAfterSeconds: number | undefined;

  constructor(message: string, options: KubeErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KubeError';
    this.code = options.code;
    this.reason = options.reason;
    this.outcome = options.outcome;
    this.status = options.status;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  /** What the refusal is about. */
  get details(): StatusDetails | undefined {
    return this.status?.details;
  }
}

/** The error for an HTTP answer of 300 and above. `what` says which call it was. */
export function errorFromAnswer(what: string, code: number, body: string, retryAfter: string | undefined): KubeError {
  const status = parseStatus(body);
  const reason = status?.reason ?? reasonOfCode(code);
  const message = status?.message ?? body.trim().slice(0, 300);
  return new KubeError(`${what}: ${code} ${reason}${message === '' ? '' : `: ${message}`}`, {
    code,
    reason,
    // 1xx-4xx are decided before anything is stored. A 5xx may come from halfway, or from a proxy that lost its
    // backend.
    outcome: code >= 500 ? 'unknown' : 'refused',
    status,
    retryAfterSeconds: parseSeconds(retryAfter) ?? status?.details?.retryAfterSeconds,
  });
}

/** The error for the object of an `ERROR` watch event. */
export function errorFromStatus(what: string, status: Status): KubeError {
  return errorFromAnswer(what, status.code ?? 500, JSON.stringify({ ...status, kind: 'Status' }), undefined);
}

/** An error that has no HTTP answer behind it. */
export function clientError(what: string, reason: ClientReason, outcome: Outcome, cause?: unknown): KubeError {
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  return new KubeError(`${what}: ${reason}${why}`, { code: 0, reason, outcome, cause });
}

/** The object does not exist. The API itself says so: a bare 404 may come from a proxy, or from a resource not served for a moment. */
export function isNotFound(error: unknown): boolean {
  return error instanceof KubeError && error.code === 404 && error.reason === 'NotFound';
}

/** The object has changed since it was read, or a precondition does not hold. */
export function isConflict(error: unknown): boolean {
  return error instanceof KubeError && error.code === 409 && error.reason !== 'AlreadyExists';
}

/** An object of this name exists. */
export function isAlreadyExists(error: unknown): boolean {
  return error instanceof KubeError && error.code === 409 && error.reason === 'AlreadyExists';
}

/** The object fails validation, or a `test` of a JSON patch failed. */
export function isInvalid(error: unknown): boolean {
  return error instanceof KubeError && error.code === 422;
}

/** Not permitted: RBAC, quota, admission, or a namespace that is being deleted. */
export function isForbidden(error: unknown): error is KubeError {
  return error instanceof KubeError && error.code === 403;
}

/** Not permitted by the rules on who may do what, such as RBAC. Nothing but its words tells it from other refusals of that code. */
export function isNotAuthorized(error: unknown): error is KubeError {
  return isForbidden(error) && (error.status === undefined || /\bUser ".*" cannot /.test(error.status.message ?? ''));
}

/** Refused by a policy or a webhook of the cluster's, with whatever code that has chosen. Its words are for whoever wanted it. */
export function isDenied(error: unknown): error is KubeError {
  return error instanceof KubeError && /\bdenied (the )?request\b/.test(error.status?.message ?? '');
}

/** The resource version asked for has been compacted: list afresh. */
export function isGone(error: unknown): boolean {
  return error instanceof KubeError && (error.code === 410 || error.reason === 'Expired' || error.reason === 'Gone');
}

/** The server did not answer, or has too much to do: it may be otherwise in a moment. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof KubeError && (error.code === 0 || error.code >= 500 || error.code === 429);
}

/** The mutation may or may not have been carried out. */
export function isOutcomeUnknown(error: unknown): error is KubeError {
  return error instanceof KubeError && error.outcome === 'unknown';
}

function parseStatus(body: string): Status | undefined {
  if (!body.startsWith('{')) return undefined;
  try {
    const parsed = JSON.parse(body) as Status | null;
    return parsed?.kind === 'Status' || parsed?.status === 'Failure' ? parsed : undefined;
  } catch {
    return undefined; // cut off at our size limit, or another program's JSON: the caller falls back to the text
  }
}

/** `Retry-After` in seconds; the form with a date is not used by Kubernetes. */
function parseSeconds(header: string | undefined): number | undefined {
  const seconds = Number(header);
  return header !== undefined && Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
}

/** The reason that Kubernetes gives this code, for answers of proxies and filters that send no Status. Of 404 only the API can give it. */
function reasonOfCode(code: number): string {
  const reasons: Record<number, string> = {
    400: 'BadRequest',
    401: 'Unauthorized',
    403: 'Forbidden',
    404: 'NotServed',
    405: 'MethodNotAllowed',
    409: 'Conflict',
    410: 'Gone',
    413: 'RequestEntityTooLarge',
    415: 'UnsupportedMediaType',
    422: 'Invalid',
    429: 'TooManyRequests',
    500: 'InternalError',
    503: 'ServiceUnavailable',
    504: 'Timeout',
  };
  return reasons[code] ?? 'Unknown';
}
