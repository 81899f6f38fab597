import type { Agent, AgentStatus } from '../api/agent.ts';
import type { Condition } from '../api/conditions.ts';
import { sizes } from '../api/limits.ts';
import type { AgentConditionType, AgentReason } from '../api/reasons.ts';
import { setCondition } from '../kube/conditions.ts';
import type { PoolReport } from './pool/pool-keeper.ts';
import { redeployMark } from '../pods/revision.ts';
import type { AgentVerdict } from './agent-state.ts';

/** Ends the message of an Agent whose present revision cannot start. */
const MEANWHILE = '; until then Sessions get pods of the revision before';

export interface AgentCounts {
  active: number;
  queued: number;
  warm: number;
}

/** What is known of the revisions of an Agent; what is left out is as its status says. */
export interface KnownRevisions {
  /** The one that was recorded last. */
  recorded?: string | undefined;
  /** The last one that could start. */
  lastReady?: string | undefined;
}

/**
 * The status of an Agent. `Ready`, `Reconciling` and `Stalled` follow the convention of kstatus, so that `kubectl
 * wait`, Helm, Argo CD and Flux understand them: Stalled is True when only a change by its owner can help.
 */
export function agentStatus(
  agent: Agent,
  verdict: AgentVerdict,
  { pool, recorded, lastReady, ...counts }: AgentCounts & KnownRevisions & { pool?: PoolReport | undefined },
  now: number,
): AgentStatus {
  const generation = agent.metadata.generation ?? 0;
  const [ready, reason, wording] = readiness(verdict, pool);
  const known = agent.status?.conditions?.find(({ type }) => type === 'Ready');
  // The kubelet words the same problem in ever new ways: the first wording stays.
  const isKnown =
    known?.reason === reason &&
    (ready
      ? problemIn(known.message) === problemIn(wording)
      : pool?.instead !== true || known.message.endsWith(MEANWHILE));
  const message = verdict.ok && isKnown ? known.message : wording;
  const rollout = rolloutOf(pool);
  const observedRedeploy = redeployMark(agent.metadata);
  const recordedRevision = recorded ?? agent.status?.recordedRevision;
  const lastReadyRevision = lastReady ?? agent.status?.lastReadyRevision;
  let conditions: readonly Condition[] = agent.status?.conditions ?? [];
  const set = (type: AgentConditionType, isTrue: boolean, why: AgentReason, text: string): void => {
    const entry = {
      type,
      status: isTrue ? 'True' : 'False',
      reason: why,
      message: text.slice(0, sizes.message),
      observedGeneration: generation,
    } as const;
    conditions = setCondition(conditions, entry, now);
  };
  set('Ready', ready, reason, message);
  set('Reconciling', rollout !== undefined, rollout === undefined ? 'UpToDate' : 'RollingOut', rollout ?? '');
  set('Stalled', !verdict.ok, verdict.ok ? 'UpToDate' : reason, verdict.ok ? '' : message);
  return {
    observedGeneration: generation,
    conditions: [...conditions],
    activeSessions: counts.active,
    queuedSessions: counts.queued,
    warm: counts.warm,
    ...(verdict.revision !== undefined && { revision: verdict.revision }),
    ...(observedRedeploy !== undefined && { observedRedeploy }),
    ...(recordedRevision !== undefined && { recordedRevision }),
    ...(lastReadyRevision !== undefined && { lastReadyRevision }),
  };
}

function readiness(
  verdict: AgentVerdict,
  pool: PoolReport | undefined,
): [ready: boolean, reason: AgentReason, message: string] {
  if (!verdict.ok) return [false, verdict.reason, `${verdict.message}${pool?.instead === true ? MEANWHILE : ''}`];
  // A paused Agent is what its owner asked for, so it is Ready: a rollout that waits for it must not hang.
  if (verdict.spec.paused) return [true, 'Paused', 'the Agent is paused and refuses new Sessions'];
  if (pool?.problem === undefined) return [true, 'Ready', 'Sessions can be started'];
  if (pool.ready > 0) return [true, 'PoolIncomplete', `${pool.problem.reason}: ${pool.problem.message}`];
  const meanwhile = pool.instead || pool.warm > 0 ? MEANWHILE : '';
  return [false, pool.problem.reason, `${pool.problem.message}${meanwhile}`];
}

/** What a message of a pool that is not complete begins with: the reason. */
function problemIn(message: string): string | undefined {
  return message.split(':', 1)[0];
}

/** What a rollout waits for. A pool that is merely filled up again is none: that would be a status for every session. */
function rolloutOf(pool: PoolReport | undefined): string | undefined {
  // Nor is what the revision before does meanwhile.
  if (pool?.instead === true) return 'no pod of the new revision is ready; the revision before serves until one is';
  if (pool === undefined || pool.outdated === 0) return undefined;
  return `${pool.ready} of ${pool.target} warm pods are of the new revision, ${pool.outdated} of an earlier one wait to be replaced`;
}

/** Whether something other than the counts differs: that is written at once, counts only now and then. */
export function isMoreThanCounts(before: AgentStatus | undefined, after: AgentStatus): boolean {
  return (
    before === undefined ||
    before.observedGeneration !== after.observedGeneration ||
    before.revision !== after.revision ||
    before.observedRedeploy !== after.observedRedeploy ||
    before.recordedRevision !== after.recordedRevision ||
    before.lastReadyRevision !== after.lastReadyRevision ||
    JSON.stringify(conditionFacts(before)) !== JSON.stringify(conditionFacts(after))
  );
}

export function sameCounts(before: AgentStatus | undefined, after: AgentStatus): boolean {
  return (
    before?.activeSessions === after.activeSessions &&
    before?.queuedSessions === after.queuedSessions &&
    before?.warm === after.warm
  );
}

function conditionFacts(status: AgentStatus): unknown[] {
  return (status.conditions ?? []).map(({ type, status: value, reason, message }) => [type, value, reason, message]);
}
