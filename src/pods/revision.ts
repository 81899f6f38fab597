import type { AgentSpec } from '../api/agent.ts';
import { shortHash } from './names.ts';

/** What in an Agent does not change its pods: a change of these alone makes no new revision. */
type NotInPods =
  | 'scaling'
  | 'whenFull'
  | 'queueTimeoutSeconds'
  | 'paused'
  | 'maxSessionDuration'
  | 'startTimeoutSeconds'
  | 'nodeLostAfterSeconds'
  | 'retention';

const NOT_IN_PODS: Record<NotInPods, true> = {
  scaling: true,
  whenFull: true,
  queueTimeoutSeconds: true,
  paused: true,
  maxSessionDuration: true,
  startTimeoutSeconds: true,
  nodeLostAfterSeconds: true,
  retention: true,
};

/** The hash of everything in an Agent that changes its pods, independent of the order of keys. */
export function revisionOf(spec: AgentSpec): string {
  const relevant = Object.entries(spec).filter(([field]) => !(field in NOT_IN_PODS));
  return shortHash(canonicalJson(Object.fromEntries(relevant)), 10);
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
