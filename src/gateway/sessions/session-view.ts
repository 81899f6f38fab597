import { z } from 'zod';
import type { Session } from '../../api/session.ts';
import { isFinished } from '../../api/session-phase.ts';
import { sessionId } from '../../pods/names.ts';
import { deploymentId } from '../agents/deployment-id.ts';

/** Why a session is over, in the words that the official client knows; `active` while it is not. */
const END_STATES = {
  Completed: 'completed',
  Failed: 'agent_error',
  Stopped: 'terminated',
  DeadlineExceeded: 'session_timeout',
  StartTimeout: 'agent_start_timeout',
  OutOfMemory: 'out_of_memory',
  Lost: 'lost',
} as const;

/** How the call to the agent ended, in the words that Pipecat Cloud has for it; what it has none for is the reason itself. */
const COMPLETION_STATUSES: Record<string, string> = {
  Completed: 'HTTP_COMPLETED',
  Failed: 'HTTP_ERROR',
  StartTimeout: 'BOT_CONNECTION_TIMEOUT',
};

const nullable = <T extends z.ZodType>(schema: T) => schema.nullable();

export const sessionView = z.object({
  sessionId: z.string(),
  serviceId: z.string().optional(),
  organizationId: z.string(),
  deploymentId: z.string().optional().describe('Of the pod that it got.'),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  endedAt: nullable(z.iso.datetime()),
  botStartSeconds: nullable(z.number()).describe('From the start call to the start of the agent.'),
  coldStart: nullable(z.boolean()),
  completionStatus: nullable(z.string()).describe('How it ended: HTTP_COMPLETED, HTTP_ERROR and others.'),
  reason: z.string().optional().describe('Why it is as it is: the reason in the status of the Session.'),
  endState: z.string(),
});
export type SessionView = z.output<typeof sessionView>;

export const sessionDetails = sessionView.extend({
  resourceMetrics: z.null(),
  meetingIds: z.array(z.object({ participantId: z.string(), meetingId: z.string() })),
  events: z.array(z.object({ eventCode: z.string(), eventTs: z.iso.datetime() })),
  agent: z.string(),
  phase: z.string(),
  message: z.string().optional(),
  podName: z.string().optional(),
  nodeName: z.string().optional(),
  usageSeconds: z.int().optional(),
});

/** @param serviceId the uid of the Agent, if it still exists */
export function viewSession(session: Session, serviceId: string | undefined): SessionView {
  const { metadata, status = {} } = session;
  const { startedAt, endedAt, startKind, reason } = status;
  const { namespace = '' } = metadata;
  const deployment = deploymentOf(session);
  return {
    sessionId: sessionId(metadata),
    ...(serviceId !== undefined && { serviceId }),
    organizationId: namespace,
    ...(deployment !== undefined && { deploymentId: deployment }),
    createdAt: metadata.creationTimestamp,
    updatedAt: lastOf([metadata.creationTimestamp, status.admittedAt, startedAt, status.stoppingAt, endedAt]),
    endedAt: isFinished(session) ? (endedAt ?? null) : null,
    botStartSeconds: startSecondsOf(session) ?? null,
    coldStart: startKind === undefined ? null : startKind === 'Cold',
    completionStatus: isFinished(session) ? completionStatusOf(session) : null,
    ...(reason !== undefined && { reason }),
    endState: endStateOf(session),
  };
}

export function viewSessionDetails(session: Session, serviceId: string | undefined): z.output<typeof sessionDetails> {
  const { metadata, spec, status = {} } = session;
  const { startedAt, endedAt } = status;
  const event = (eventCode: string, eventTs: string | undefined): { eventCode: string; eventTs: string }[] =>
    eventTs === undefined ? [] : [{ eventCode, eventTs }];
  return {
    ...viewSession(session, serviceId),
    resourceMetrics: null,
    meetingIds: [],
    events: [
      ...event('SESSION_START_INITIATED', metadata.creationTimestamp),
      ...event('REQUEST_ARRIVED_AT_BOT', startedAt),
      ...event(status.reason === 'DeadlineExceeded' ? 'SESSION_TIMEOUT' : 'SESSION_COMPLETED', endedAt),
    ],
    agent: spec.agent,
    phase: status.phase ?? 'Pending',
    ...(status.message !== undefined && { message: status.message }),
    ...(status.podName !== undefined && { podName: status.podName }),
    ...(status.nodeName !== undefined && { nodeName: status.nodeName }),
    ...(status.usageSeconds !== undefined && { usageSeconds: status.usageSeconds }),
  };
}

function completionStatusOf({ spec, status: { reason } = {} }: Session): string | null {
  if (reason === undefined) return null;
  if (spec.transport === 'WebSocket' && reason === 'Completed') return 'WS_CONNECTION_CLOSED';
  return COMPLETION_STATUSES[reason] ?? reason;
}

/** `active` while it is not over. */
export function endStateOf({ status = {} }: Session): string {
  if (status.phase === 'Rejected') return 'ended_before_agent_start';
  if (status.phase !== 'Ended') return 'active';
  const state = END_STATES[status.reason as keyof typeof END_STATES] ?? 'unknown';
  return status.startedAt === undefined && state === 'terminated' ? 'ended_before_agent_start' : state;
}

/** How long it took to start; undefined while it has not. The clocks differ: that of the API server, in whole seconds, and that of a node. */
export function startSecondsOf({ metadata, status: { startedAt } = {} }: Session): number | undefined {
  if (startedAt === undefined) return undefined;
  return Math.max(0, Math.round((Date.parse(startedAt) - Date.parse(metadata.creationTimestamp)) / 1000));
}

/** The deployment of the pod that it got. */
export function deploymentOf({ metadata, spec, status: { revision } = {} }: Session): string | undefined {
  return revision === undefined ? undefined : deploymentId(metadata.namespace ?? '', spec.agent, revision);
}

function lastOf(times: (string | undefined)[]): string {
  const known = times.filter((time) => time !== undefined);
  return known.sort((a, b) => Date.parse(b) - Date.parse(a))[0] ?? '';
}
