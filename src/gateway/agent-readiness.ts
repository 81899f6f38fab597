import type { Agent } from '../api/agent.ts';

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
}

export function readinessOf({ metadata, status }: Agent): AgentReadiness {
  const condition = status?.conditions?.find(({ type }) => type === 'Ready');
  const judged = status?.observedGeneration === metadata.generation;
  const isTrue = condition?.status === 'True';
  const takesNone = condition?.reason === 'Paused' || metadata.deletionTimestamp !== undefined;
  const isFine = isTrue && !takesNone;
  return {
    judged,
    ready: isTrue && judged && metadata.deletionTimestamp === undefined,
    available: (isTrue || status?.lastReadyRevision !== undefined) && !takesNone,
    reason: isFine ? undefined : condition?.reason,
    message: isFine ? undefined : condition?.message,
  };
}
