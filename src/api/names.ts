/**
 * The names that Bullpen puts on objects in the cluster: group and version, labels, annotations, the finalizer.
 * They are an interface (people select on them, policies refer to them): once released, a name does not change.
 */

/** API group of Agent and Session; also the prefix of every label, annotation and finalizer of ours. */
export const group = 'bullpen.dev';

/** The version that is served and stored. */
export const version = 'v1alpha1';

/** `apiVersion` of our objects. */
export const apiVersion = `${group}/${version}`;

/** Longest name of an Agent or a Session: both become label values, which Kubernetes limits to 63 characters. */
export const maxNameLength = 63;

/** Name of our container in a pod, and of the container of a pod template that is merged into it. */
export const agentContainer = 'agent';

/** Name of Bullpen's own container in a pod of protocol Http: the pod lives as long as it does. */
export const supervisorContainer = 'supervisor';

/** Value of the label `app.kubernetes.io/managed-by` on all that Bullpen makes. */
export const managedBy = 'bullpen';

/** Label keys. */
export const labels = {
  /** `app.kubernetes.io/managed-by: bullpen` on everything that Bullpen makes. */
  managedBy: 'app.kubernetes.io/managed-by',
  /** Name of the Agent that a pod runs. Pods are counted by it, so an Agent made again under its old name knows its old pods. */
  agent: 'bullpen.dev/agent',
  /** Name of the Session that a pod serves. */
  session: 'bullpen.dev/session',
  /** `metadata.uid` of the Session that a pod serves: names can be used again, uids cannot. */
  sessionUid: 'bullpen.dev/session-uid',
  /** State of a pod. `warm`: idle, may be claimed. `busy`: bound to a Session for good; when that is over, its phase is terminal. */
  state: 'bullpen.dev/state',
  /** Hash of everything in an Agent that changes its pods. */
  revision: 'bullpen.dev/revision',
  /** On Sessions: who started it, when that was not the owner of a manifest. See {@link startedByGateway}. */
  startedBy: 'bullpen.dev/started-by',
  /** On Secrets: holds a session body. Only Secrets with this label may be named by a Session's `bodyFrom`. */
  body: 'bullpen.dev/body',
  /** On Secrets that were made over the REST API as a set of secrets: `secret` or `imagePullSecret`. */
  secretSet: 'bullpen.dev/secret-set',
  /** On namespaces: it is an organization of the REST API, whatever the value. */
  organization: 'bullpen.dev/organization',
} as const;

/** Key in a Secret that holds a session body: headers for the agent, as JSON. */
export const headersKey = 'headers';

/** Key in the ConfigMap that publishes the keys with which bodies are sealed: JWKs as JSON, the newest first. */
export const sealingFile = 'sealing.json';

/** Value of `labels.startedBy` on Sessions that were started over REST; the Agent's retention of Sessions is for these. */
export const startedByGateway = 'gateway';

/** Annotation keys. */
export const annotations = {
  /** On pods: the facts of the binding to a Session as JSON (when it was admitted, which attempt, the limits in force). */
  binding: 'bullpen.dev/binding',
  /** On pods: the session's body, for the file that the agent reads. */
  body: 'bullpen.dev/body',
  /** On Agents: a change of its value makes a new revision, as `kubectl rollout restart` does. */
  redeploy: 'bullpen.dev/redeploy',
  /** On Agents that were deployed over REST: `krispViva.audioFilter`, `tel` or `pro`. A note: it changes no pod. */
  krispAudioFilter: 'bullpen.dev/krisp-audio-filter',
  /** On Agents that were deployed over REST: `websocketAuth`, `none` or `token`. A note: it changes no pod. */
  webSocketAuth: 'bullpen.dev/websocket-auth',
  /** On pods of protocol Http: the ids of the keys that the pod trusts, with commas between them. */
  keys: 'bullpen.dev/keys',
  /** On the Secret of the controller's keys, put there by people: asks for a new key, whatever the value. The controller removes it. */
  rotate: 'bullpen.dev/rotate',
  /** On Sessions that were started over REST with an `Idempotency-Key`: a keyed hash of the request. Such a Session is kept for ten minutes. */
  request: 'bullpen.dev/request',
} as const;

/** On the pod of a Session: holds the pod until the Session's end is recorded. */
export const sessionRecordFinalizer = 'bullpen.dev/session-record';
