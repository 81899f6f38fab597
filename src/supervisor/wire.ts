import { createHash } from 'node:crypto';
import * as z from 'zod/mini'; // The supervisor is in every pod, and must start at once.

/** Where the supervisor listens. The agent starts first and may hold the ports that people commonly use. */
export const SUPERVISOR_PORT = 17_412;

/** Where `ICE_CONFIG_URL` of Pipecat's base image points unless somebody sets it. */
export const ICE_PORT = 9_090;

/** What a token permits, once and for one pod and session. */
export const operations = ['bind', 'stop', 'proxy', 'ws'] as const;
export type Operation = (typeof operations)[number];

/** Who signs: the controller alone may bind and stop. */
export const signers = { bind: 'controller', stop: 'controller', proxy: 'gateway', ws: 'gateway' } as const;

/** The claims of a token (JWT, EdDSA). `aud` is the pod's uid and `sub` the Session's, so that no other pod or session takes it. */
export const tokenClaims = z.object({
  iss: z.enum(['controller', 'gateway']),
  aud: z.string(),
  sub: z.string(),
  op: z.enum(operations),
  /** SHA-256 of the request's body, base64url: the token goes with this body only. */
  body: z.optional(z.string()),
  exp: z.int(),
});
export type TokenClaims = z.infer<typeof tokenClaims>;

/** The claim `body` of a token for a request with this body. */
export function bodyDigest(body: Buffer | string): string {
  return createHash('sha256').update(body).digest('base64url');
}

/** A public key as JWK. Its `kid` says which one of several; there are several while keys are rotated. */
const publicKey = z.object({
  kid: z.string().check(z.minLength(1)),
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
});

/** Public keys by who signs. A pod holds no others, so nothing in it can be stolen to reach another one. */
export const publicKeys = z.object({
  controller: z.array(publicKey).check(z.minLength(1)),
  gateway: z.array(publicKey),
});
export type PublicKeys = z.infer<typeof publicKeys>;

/** The environment of the supervisor. */
export const environment = {
  podUid: 'BULLPEN_POD_UID',
  agentPort: 'BULLPEN_AGENT_PORT',
  publicKeys: 'BULLPEN_PUBLIC_KEYS',
  terminationLog: 'BULLPEN_TERMINATION_LOG',
} as const;

const MAX_HEADER_LENGTH = 4096;

/** Header values that the contract passes on to the agent; no line breaks. */
const headerValue = z.string().check(z.maxLength(MAX_HEADER_LENGTH), z.regex(/^[\x20-\x7e]*$/));

const botHeaderNames = [
  'x-daily-room-url',
  'x-daily-room-token',
  'x-daily-transport-type',
  // The body is an envelope: a body and a flow.
  'x-pcc-start-envelope',
] as const;

/** What `POST /bot` says beside the session's id and limit: where the agent meets its caller. */
export const botHeaders = z.partialRecord(z.enum(botHeaderNames), headerValue);
export type BotHeaders = z.infer<typeof botHeaders>;

/** What {@link botHeaders} allows, in words. */
export const BOT_HEADERS_RULE = `no other than ${botHeaderNames.join(', ')}, each with at most ${MAX_HEADER_LENGTH} printable ASCII characters`;

/** The body of `PUT /session`: everything that the agent is told, and how long it may take. */
export const bindRequest = z.strictObject({
  /** The Session's uid: the same one again is the same request, any other is refused. */
  uid: z.string().check(z.minLength(1), z.maxLength(128)),
  /** What callers know the session by: `x-daily-session-id`. */
  sessionId: z.string().check(z.maxLength(128), z.regex(/^[\x21-\x7e]+$/)),
  /** What `POST /bot` says, byte for byte: base64. */
  body: z.base64(),
  /** More headers of `POST /bot`. */
  headers: botHeaders,
  /** The session is one WebSocket to the agent's `/ws`, which somebody opens with `GET /ws`; else the agent is told by `POST /bot`. */
  transport: z.optional(z.literal('websocket')),
  /** How long the session may run, seconds. */
  maxSessionSeconds: z.number().check(z.positive(), z.maximum(1_000_000)),
  /** How long the agent may still take to be ready, seconds. */
  startTimeoutSeconds: z.number().check(z.nonnegative(), z.maximum(1_000_000)),
});
export type BindRequest = z.infer<typeof bindRequest>;

/** What `PUT /session` answers: 200 with `started`, 202 with `waiting` while the agent is not ready (ask again), 200 with `over`. */
export const bindReply = z.object({
  state: z.enum(['waiting', 'started', 'over']),
  /** Since when the session runs, by the pod's clock; milliseconds since the epoch. */
  startedAt: z.optional(z.number()),
});
export type BindReply = z.infer<typeof bindReply>;

/** How a session ended, as the supervisor saw it. */
export const outcomes = {
  Completed: 'the agent answered POST /bot, or the WebSocket was closed: the session is over',
  AgentError: 'the agent answered POST /bot with an error status, or did not open the WebSocket',
  ConnectionBroken: 'the connection of POST /bot, or the WebSocket, broke: the agent crashed, or closed it',
  DeadlineExceeded: 'the session reached its maximum duration',
  Stopped: 'it was told to stop',
  NeverReady: 'the agent was not ready in time, or nobody opened the WebSocket',
} as const;
export type SupervisorOutcome = keyof typeof outcomes;

/** The termination message, at most 4096 bytes of JSON: the record of the session that outlives the process. */
export const terminationMessage = z.object({
  bullpen: z.literal(1),
  /** The Session's uid; absent when none was ever bound. */
  session: z.optional(z.string()),
  /** Whether any byte of `POST /bot` or `GET /ws` may have left. */
  delivered: z.boolean(),
  outcome: z.enum(Object.keys(outcomes) as [SupervisorOutcome, ...SupervisorOutcome[]]),
  /** By the pod's clock, milliseconds since the epoch. */
  startedAt: z.optional(z.number()),
  endedAt: z.number(),
  /** How long the session ran by one monotonic clock, milliseconds. */
  ranMs: z.optional(z.number()),
  /** The status with which the agent answered `POST /bot` or, other than 101, `GET /ws`. */
  httpStatus: z.optional(z.int()),
  /** A sentence for people. */
  message: z.optional(z.string()),
});
export type TerminationMessage = z.infer<typeof terminationMessage>;
