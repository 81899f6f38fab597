/**
 * The catalogue of phases and reasons. Each reason has one meaning, is stable, and stands in `status.reason`, in conditions,
 * Events and metric labels alike; the text here is what `kubectl explain` and the documentation say about it.
 */

/** Where a Session is in its life. It only moves forward; Ended and Rejected are final. */
export const sessionPhases = {
  Pending: 'asked for, not admitted yet',
  Starting: 'admitted, its pod is on the way',
  Running: 'the agent runs and the clock runs',
  Stopping: 'told to stop, or over and being torn down',
  Ended: 'it ran, or was admitted, and is over',
  Rejected: 'it was never admitted and never will be',
} as const;
export type SessionPhase = keyof typeof sessionPhases;

/** How an admitted Session ended. */
export const endReasons = {
  Completed: 'the agent ended by itself, successfully',
  Failed: 'the agent ended by itself with an error',
  Stopped: 'it was asked to stop (spec.stop, or the Session was deleted)',
  DeadlineExceeded: 'it reached its maximum duration',
  StartTimeout: 'it did not start within startTimeoutSeconds; the message names the cause',
  OutOfMemory: 'the agent used more memory than it may',
  Lost: 'its pod or node went away (evicted, deleted, preempted, node lost); it is not started again',
} as const;
export type EndReason = keyof typeof endReasons;

/** Why a Session was never admitted. */
export const rejectReasons = {
  AtCapacity: 'the Agent runs as many sessions as maxAgents allows, and whenFull is Reject',
  QueueTimeout: 'no place became free within queueTimeoutSeconds',
  AgentNotFound: 'there is no Agent of that name in the namespace',
  AgentDeleting: 'the Agent is being deleted',
  AgentPaused: 'the Agent is paused',
  AgentInvalid: 'the Agent cannot run sessions; its conditions say why',
  ProtocolNotSupported: "this installation does not support the Agent's protocol",
  SessionInvalid: 'the Session is not valid; the message says why',
  BodyNotFound: 'the Secret or the key that bodyFrom names does not exist',
  BodyTooLarge: 'the body is larger than the limit',
  BodyNotAllowed: 'the Secret that bodyFrom names has no label bullpen.dev/body',
  BodyNotOpened:
    'sealedBody was sealed for another Session, or with a key that is not in use, or is damaged; the message says which',
  HeadersInvalid: 'the headers that go with the body are not valid; the message says why',
  StartBeforePassed: 'the time startBefore passed before it could be started',
  StoppedBeforeStart: 'spec.stop was set before it was admitted',
} as const;
export type RejectReason = keyof typeof rejectReasons;

/** What a Session that has not started is waiting for. */
export const waitReasons = {
  Queued: 'the Agent is full and whenFull is Queue',
  QuotaExceeded: 'a ResourceQuota of the namespace refuses its pod',
  AdmissionDenied: 'an admission policy (LimitRange, pod security, webhook) refuses its pod',
  PodCreateFailed: 'Kubernetes does not accept its pod; it is tried again',
  Unschedulable: 'no node has room for its pod',
  ImagePullFailed: 'the image cannot be pulled',
  ContainerConfigError: 'the container cannot be made, for example because a Secret is missing',
  CrashLoopBackOff: 'the agent ends as soon as it has started, and is started again, ever more slowly',
  ContainerCreating: 'its pod is on a node and the container is being made',
  AgentNotReady: 'the agent runs, and is not ready yet',
  Retrying: 'its pod was lost before the agent was told anything; it gets another',
} as const;
export type WaitReason = keyof typeof waitReasons;

/** Whatever `status.reason` of a Session may say; which list it comes from follows from the phase. */
export type SessionReason = EndReason | RejectReason | WaitReason;

/** Whether a pod was made for the Session (Cold) or was waiting for one (Warm). */
export const startKinds = {
  Cold: 'a pod was made for it',
  Warm: 'a pod that was waiting took it',
} as const;

/** How the agent of a Session is reached, when that is not by `POST /bot`. */
export const sessionTransports = {
  WebSocket: "the session is one WebSocket to the agent's /ws, which the gateway opens for the caller",
} as const;

/** Conditions of an Agent, in the form that kstatus, `kubectl wait`, Helm, Argo CD and Flux understand. */
export const agentConditions = {
  Ready: 'True when Sessions of this Agent can be started as its spec says',
  Reconciling: 'True while the controller is bringing the cluster to what the spec says',
  Stalled: 'True when only a change of the spec, or of what it refers to, can help',
} as const;
export type AgentConditionType = keyof typeof agentConditions;

/** Reasons of an Agent's conditions. */
export const agentReasons = {
  Ready: 'Sessions can be started',
  PoolIncomplete: 'Sessions can be started, but not all warm pods are ready; the message says why',
  Paused: 'the Agent is paused and refuses new Sessions',
  Reconciling: 'a change of the spec is being carried out',
  UpToDate: 'the cluster is what the spec says',
  RollingOut: 'warm pods of an earlier revision are being replaced',
  ImagePullFailed: 'the image of its warm pods cannot be pulled',
  ContainerConfigError: 'a container of its warm pods cannot be made',
  CrashLoopBackOff: 'the agent ends as soon as it has started',
  Unschedulable: 'no node has room for its warm pods',
  AgentNotReady: 'the agent does not become ready in time',
  QuotaExceeded: 'a ResourceQuota of the namespace refuses its warm pods',
  AdmissionDenied: 'an admission policy refuses its warm pods',
  PodCreateFailed: 'Kubernetes does not accept its warm pods; it is tried again',
  PodFailed: 'its warm pods end before a session comes',
  InvalidSpec: 'the spec is not valid; the message says what is allowed',
  TemplateNotAllowed: 'the pod template asks for something that this installation does not allow',
  ProtocolNotSupported: "this installation does not support the Agent's protocol",
  AgentDeleting: 'the Agent is being deleted',
} as const;
export type AgentReason = keyof typeof agentReasons;

/** Why the warm pods of an Agent are not ready. */
export type PoolReason = Extract<AgentReason, WaitReason> | 'PodFailed' | 'InvalidSpec';

/** Reasons of Events about the objects that guard the sessions of a namespace. */
export const guardReasons = {
  NameTaken:
    "somebody else's object has the name of one that guards the sessions of the namespace, which goes without it",
} as const;
export type GuardReason = keyof typeof guardReasons;

/** Conditions of a Session. */
export const sessionConditions = {
  Admitted: 'True once the Session has its place; False with a RejectReason when it never will',
  Started: "True once the agent runs and the Session's time counts",
  Finished: 'True once the Session is over; its reason is the EndReason or RejectReason',
} as const;
export type SessionConditionType = keyof typeof sessionConditions;

/** The keys of a catalogue as the non-empty tuple that zod's enum wants. */
export function namesOf<T extends Record<string, unknown>>(catalogue: T): [keyof T & string, ...(keyof T & string)[]] {
  const [first, ...rest] = Object.keys(catalogue);
  if (first === undefined) throw new Error('a catalogue of reasons must not be empty');
  return [first, ...rest];
}

/** The catalogue as the end of a sentence: `Completed (the agent ended by itself, successfully), Failed (...)`. */
export function explain(catalogue: Record<string, string>): string {
  return Object.entries(catalogue)
    .map(([name, meaning]) => `${name} (${meaning})`)
    .join(', ');
}
