import type { Agent, AgentStatus } from '../api/agent.ts';
import type { Condition } from '../api/conditions.ts';
import { sizes } from '../api/limits.ts';
import type { AgentConditionType, AgentReason } from '../api/reasons.ts';
import { setCondition } from '../kube/conditions.ts';
import type { AgentVerdict } from './agent-state.ts';

export interface AgentCounts {
  active: number;
  queued: number;
  warm: number;
}

/**
 * The status of an Agent. `Ready`, `Reconciling` and `Stalled` follow the convention of kstatus, so that `kubectl
 * wait`, Helm, Argo CD and Flux understand them: Stalled is True when only a change by its owner can help.
 */
export function agentStatus(agent: Agent, verdict: AgentVerdict, counts: AgentCounts, now: number): AgentStatus {
  const generation = agent.metadata.generation ?? 0;
  const [ready, reason, message] = readiness(verdict);
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
  set('Reconciling', false, 'UpToDate', '');
  set('Stalled', !verdict.ok, verdict.ok ? 'UpToDate' : reason, verdict.ok ? '' : message);
  return {
    observedGeneration: generation,
    conditions: [...conditions],
    activeSessions: counts.active,
    queuedSessions: counts.queued,
    warm: counts.warm,
    ...(verdict.ok && { revision: verdict.revision }),
  };
}

function readiness(verdict: AgentVerdict): [ready: boolean, reason: AgentReason, message: string] {
  if (!verdict.ok) return [false, verdict.reason, verdict.message];
  // A paused Agent is what its owner asked for, so it is Ready: a rollout that waits for it must not hang.
  if (verdict.spec.paused) return [true, 'Paused', 'the Agent is paused and refuses new Sessions'];
  return [true, 'Ready', 'Sessions can be started'];
}

/** Whether something other than the counts differs: that is written at once, counts only now and then. */
export function isMoreThanCounts(before: AgentStatus | undefined, after: AgentStatus): boolean {
  return (
    before === undefined ||
    before.observedGeneration !== after.observedGeneration ||
    before.revision !== after.revision ||
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
