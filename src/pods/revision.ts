import type { AgentSpec, AgentSpecInput } from '../api/agent.ts';
import { annotations } from '../api/names.ts';
import type { ObjectMeta } from '../kube/objects.ts';
import type { SupervisorSettings } from './http-pod.ts';
import { shortHash } from './names.ts';
import type { SessionPodPolicy } from './policy.ts';

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

/** What else changes the pods of an Agent. */
export interface BesideSpec {
  /** The annotation that asks for new pods. */
  redeploy: string | undefined;
  supervisor: SupervisorSettings;
  policy: SessionPodPolicy;
}

/** The part of an Agent's spec that makes its pods. */
export type PodPart = Omit<AgentSpec, NotInPods>;

export function podPart(spec: AgentSpec): PodPart {
  return Object.fromEntries(Object.entries(spec).filter(([field]) => !(field in NOT_IN_PODS))) as unknown as PodPart;
}

/** This spec with the pods of another: scaling, limits and the like stay. */
export function withPodPart(spec: AgentSpecInput, pods: object): AgentSpecInput {
  const rest = Object.fromEntries(Object.entries(spec).filter(([field]) => field in NOT_IN_PODS));
  return { ...pods, ...rest } as AgentSpecInput;
}

/** What the annotation that asks for new pods is known by; undefined where there is none. */
export function redeployMark({ annotations: given }: Pick<ObjectMeta, 'annotations'>): string | undefined {
  const value = given?.[annotations.redeploy];
  return value === undefined ? undefined : shortHash(value, 10);
}

/** The hash of everything that changes the pods of an Agent, independent of the order of keys. */
export function revisionOf(spec: AgentSpec, { redeploy, supervisor, policy }: BesideSpec): string {
  const { runAsNonRoot } = policy;
  const beside = spec.protocol === 'Http' ? { redeploy, supervisor, runAsNonRoot } : { redeploy };
  return shortHash(canonicalJson({ ...podPart(spec), beside }), 10);
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
