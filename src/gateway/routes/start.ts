import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Agent } from '../../api/agent.ts';
import type { Clock } from '../../kube/clock.ts';
import type { GatewayMetrics } from '../../telemetry/gateway-metrics.ts';
import type { AgentDirectory } from '../agents/agent-directory.ts';
import { readinessOf } from '../agent-readiness.ts';
import { parse } from '../http/app.ts';
import { problemOf } from '../http/problem-of.ts';
import { rawMember } from '../http/raw-member.ts';
import { route, type Call, type Route } from '../http/route.ts';
import { Problem } from '../problems.ts';
import { iceServer, type IceServer } from './fields.ts';
import type { Told } from '../start/body-carrier.ts';
import type { RoomOrder } from '../start/daily.ts';
import { deadlineOf, type Deadline } from '../start/deadline.ts';
import { inEnvelope, MAX_FLOW_BYTES } from '../start/envelope.ts';
import { retryOf, type Retry, type SharedSecret } from '../start/idempotency.ts';
import type { Rooms, SessionRoom } from '../start/rooms.ts';
import type { SessionStarter } from '../start/session-starter.ts';

/** Bytes of the body for the agent, by transport. */
const MAX_BODY_BYTES = { websocket: 4096, other: 1_000_000 };
/** Bytes of all else in a request; JSON may write a flow in twice as many. */
const MAX_REST_BYTES = 64 * 1024 + 2 * MAX_FLOW_BYTES;

const startRequest = z
  .looseObject({
    createDailyRoom: z.boolean().nullish().describe('Make a Daily room, and tell the agent and the caller of it.'),
    dailyRoomProperties: z.record(z.string(), z.unknown()).nullish().describe('Properties of the Daily room.'),
    dailyMeetingTokenProperties: z
      .record(z.string(), z.unknown())
      .nullish()
      .describe("Properties of the caller's token for the Daily room."),
    enableDefaultIceServers: z.boolean().nullish().describe('Return ICE servers for WebRTC.'),
    transport: z.enum(['daily', 'webrtc', 'websocket']).nullish().describe('How the caller reaches the agent.'),
    body: z.unknown().optional().describe('What the agent is told: any JSON, handed over byte for byte.'),
    flow_config: z
      .string()
      .regex(/\S/, 'must not be empty')
      .nullish()
      .describe('A flow of Pipecat Flows, as text: `args.flow_config` of the agent.'),
  })
  .describe('How to start a session.');

const startReply = z
  .looseObject({
    sessionId: z.uuid(),
    start: z.enum(['warm', 'cold']).describe('Whether a waiting pod took the session, or one is made for it.'),
    expiresAt: z.iso.datetime().describe('When the session ends at the latest.'),
    dailyRoom: z.string().optional(),
    dailyToken: z.string().optional(),
    iceConfig: z.object({ iceServers: z.array(iceServer) }).optional(),
  })
  .describe('The session has its pod.');

export interface StartDeps {
  agents: AgentDirectory;
  starter: SessionStarter;
  rooms: Rooms;
  /** What `enableDefaultIceServers` returns. */
  iceServers: IceServer[];
  /** With which requests that may come again are noted; none while they are not known. */
  secrets: () => readonly SharedSecret[];
  clock: Clock;
  metrics: GatewayMetrics;
  /** How long a caller waits, in milliseconds. */
  timeoutMs: number;
}

export function startRoute(deps: StartDeps): Route {
  return route({
    method: 'post',
    path: '/v1/public/:agentName/start',
    plane: 'public',
    summary: 'Start a session',
    description:
      'Answers when the session has its pod: one that was waiting for it (warm), or one that is made for it (cold).',
    params: z.object({ agentName: z.string() }),
    query: z.looseObject({}),
    body: startRequest,
    reply: startReply,
    problems: [
      'NotReady',
      'AgentNotFound',
      'TooLarge',
      'IdempotencyMismatch',
      'AtCapacity',
      'StartFailed',
      'DailyFailed',
      'NotImplemented',
      'StartTimeout',
    ],
    async handle(call) {
      const { clock } = deps;
      const began = clock.monotonic();
      const deadline = deadlineOf(clock, { until: clock.now() + deps.timeoutMs, signal: call.signal });
      try {
        const reply = await start(deps, call, deadline);
        deps.metrics.started(reply.start, (clock.monotonic() - began) / 1000);
        return { body: reply };
      } catch (error) {
        deps.metrics.startRefused(call.signal.aborted ? 'CallerGone' : problemOf(error).kind);
        throw error;
      } finally {
        deadline.cancel();
      }
    },
  });
}

async function start(
  deps: StartDeps,
  { params, organization, headers: given, readJson }: Call<{ agentName: string }, unknown>,
  deadline: Deadline,
): Promise<z.output<typeof startReply>> {
  const agent = await deps.agents.get(organization, params.agentName);
  const { text, value } = await readJson(MAX_BODY_BYTES.other + MAX_REST_BYTES);
  const wanted = parse(startRequest, value);
  const told = toldOf(text, wanted);
  const { length } = told.body;
  const most = wanted.transport === 'websocket' ? MAX_BODY_BYTES.websocket : MAX_BODY_BYTES.other;
  if (length > most)
    throw new Problem('TooLarge', {
      error: `The body for the agent has ${length} bytes; at most ${most} are allowed`,
    });
  if (wanted.transport === 'websocket')
    throw new Problem('NotImplemented', { error: 'transport "websocket" cannot be started over REST yet' });
  checkProtocol(agent, wanted);
  const headers = typeof wanted.transport === 'string' ? { 'x-daily-transport-type': wanted.transport } : {};
  const known = retryFor(deps, { namespace: organization, agent: params.agentName }, given['idempotency-key'], text);
  const room = roomFor(deps, agent, wanted, { signal: deadline.signal, isShared: known !== undefined });
  const started = await deps.starter.start({
    agent,
    name: randomUUID(),
    checkReady: () => checkReady(agent),
    tell: async (name) => ({ ...told, headers: { ...told.headers, ...headers, ...(await room?.make(name)) } }),
    undo: room && (() => room.undo()),
    deadline,
    retry: known,
  });
  return {
    ...started,
    ...(await room?.reply(started.sessionId)),
    ...(wanted.enableDefaultIceServers === true && { iceConfig: { iceServers: deps.iceServers } }),
  };
}

/** @throws Problem BadRequest where the agent could not be told */
function checkProtocol({ spec }: Agent, wanted: z.output<typeof startRequest>): void {
  if (spec.protocol !== 'Process') return;
  const what =
    wanted.createDailyRoom === true ? 'createDailyRoom' : wanted.flow_config == null ? undefined : 'flow_config';
  if (what !== undefined)
    throw new Problem('BadRequest', {
      error: `Invalid parameters: ${what}: is for agents of protocol Http; one of protocol Process is told its body and nothing else`,
    });
}

/** @throws Problem NotReady where an agent takes no sessions now */
function checkReady(agent: Agent): void {
  const { available, message } = readinessOf(agent);
  if (!available) throw new Problem('NotReady', { more: { detail: message } });
}

/** What the agent is told, as it was sent; nothing when there is none, or null. @throws Problem TooLarge */
function toldOf(text: string, { body: given, flow_config: flow }: z.output<typeof startRequest>): Told {
  const isNone = given === undefined || given === null;
  const body = isNone ? Buffer.alloc(0) : Buffer.from(rawMember(text, 'body') ?? '');
  if (typeof flow !== 'string') return { headers: {}, body };
  const bytes = Buffer.byteLength(flow);
  if (bytes > MAX_FLOW_BYTES)
    throw new Problem('TooLarge', { error: `flow_config has ${bytes} bytes; at most ${MAX_FLOW_BYTES} are allowed` });
  return inEnvelope(body, rawMember(text, 'flow_config') ?? '""');
}

/** What a request with this `Idempotency-Key` is known by; undefined without one. */
function retryFor(
  { secrets }: StartDeps,
  scope: { namespace: string; agent: string },
  key: string | string[] | undefined,
  text: string,
): Retry | undefined {
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !/^[!-~]{1,255}$/.test(key))
    throw new Problem('BadRequest', { error: 'Idempotency-Key must be 1 to 255 printable characters without spaces' });
  const retry = retryOf({ ...scope, key }, text, secrets());
  if (retry === undefined)
    throw new Problem('Unavailable', { error: 'The gateway has no keys yet. Please try again.', retryAfterSeconds: 2 });
  return retry;
}

/** The room that was asked for, which is not made yet. */
function roomFor(
  { rooms }: StartDeps,
  { metadata, spec }: Agent,
  wanted: z.output<typeof startRequest>,
  more: Pick<RoomOrder, 'signal' | 'isShared'>,
): SessionRoom | undefined {
  if (wanted.createDailyRoom !== true) return undefined;
  const { maxSessionDuration = 0, startTimeoutSeconds = 0 } = spec;
  return rooms.order(metadata.namespace ?? '', {
    seconds: maxSessionDuration + startTimeoutSeconds,
    roomProperties: wanted.dailyRoomProperties ?? undefined,
    tokenProperties: wanted.dailyMeetingTokenProperties ?? undefined,
    ...more,
  });
}
