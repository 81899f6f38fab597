import type { Agent } from '../api/agent.ts';
import { redeployMark } from '../pods/revision.ts';

/** Whether Sessions of an Agent can be started, as its status says: at zero pods, too. */
export interface AgentReadiness {
  /** The controller has judged this very spec: what it says is not of the one before. */
  judged: boolean;
  /** The controller has judged this very spec, and can serve it. */
  ready: boolean;
  /** Sessions can be started, perhaps with the last revision that could. */
  available: boolean;
  /** Why not; undefined when there is nothing to say. */
  reason: string | undefined;
  message: string | undefined;
  /** Since when it has been ready, or not; undefined when nobody has said. */
  since: string | undefined;
}

/** Whether what the controller says of an Agent is about it as it is now. */
export function isJudged({ metadata, status }: Agent): boolean {
  return status?.observedGeneration === metadata.generation && status?.observedRedeploy === redeployMark(metadata);
}

export function readinessOf(agent: Agent): AgentReadiness {
  const { metadata, status } = agent;
  const condition = status?.conditions?.find(({ type }) => type === 'Ready');
  const judged = isJudged(agent);
  const isTrue = condition?.status === 'True';
  const takesNone = condition?.reason === 'Paused' || metadata.deletionTimestamp !== undefined;
  const isFine = isTrue && !takesNone;
  return {
    judged,
    ready: isTrue && judged && metadata.deletionTimestamp === undefined,
    available: (isTrue || status?.lastReadyRevision !== undefined) && !takesNone,
    reason: isFine ? undefined : condition?.reason,
    message: isFine ? undefined : condition?.message,
    since: condition?.lastTransitionTime,
  };
}
