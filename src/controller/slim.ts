import type { Agent } from '../api/agent.ts';
import type { Session } from '../api/session.ts';
import { annotations } from '../api/names.ts';
import type { Node, Pod } from '../kube/objects.ts';

/**
 * What the caches keep of an object. With ten thousand ended Sessions and their pods, the parts that nobody reads (the
 * pod's containers and volumes, managed fields, bodies) would be most of the controller's memory.
 */
export function slimPod(pod: Pod): Pod {
  const { metadata, spec, status } = pod;
  return {
    metadata: withoutManagedFields({
      ...metadata,
      annotations: pick(metadata.annotations, [annotations.binding, annotations.keys]) as Record<string, string>,
    }),
    spec: {
      ...pick(spec, ['nodeName', 'activeDeadlineSeconds', 'terminationGracePeriodSeconds']),
      // Their names tell the protocol.
      containers: spec?.containers?.map(({ name }) => ({ name })) ?? [],
    },
    status: pick(status, [
      'phase',
      'reason',
      'message',
      'startTime',
      'podIP',
      'conditions',
      'containerStatuses',
      'initContainerStatuses',
    ]),
  };
}

/** A body is read until the session has started, and never again. */
export function slimSession(given: Session): Session {
  const session = inShape(given);
  const { body: _body, sealedBody: _sealed, ...spec } = session.spec;
  return {
    ...session,
    metadata: withoutManagedFields(session.metadata),
    spec: mayNeedBody(session) ? session.spec : spec,
  };
}

function mayNeedBody({ status }: Session): boolean {
  return status?.phase === undefined || status.phase === 'Pending' || status.phase === 'Starting';
}

export function slimAgent(agent: Agent): Agent {
  return { ...inShape(agent), metadata: withoutManagedFields(agent.metadata) };
}

/**
 * Spec and status are objects and conditions a list, as the CRD promises; but an object may have been stored under another CRD, or
 * none that checked. What is in the spec is judged later, with words for its owner; here it only must not break the code that
 * looks at all objects.
 */
function inShape<T extends Agent | Session>(object: T): T {
  const { spec, status } = object as { spec: unknown; status?: unknown };
  const conditions = isRecord(status) ? status['conditions'] : undefined;
  if (
    isRecord(spec) &&
    (status === undefined || isRecord(status)) &&
    (conditions === undefined || Array.isArray(conditions))
  )
    return object;
  const { status: _status, ...rest } = object;
  const { conditions: _conditions, ...kept } = isRecord(status) ? status : {};
  return {
    ...rest,
    spec: isRecord(spec) ? spec : {},
    ...(isRecord(status) && { status: Array.isArray(conditions) ? status : kept }),
  } as T;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function slimNode(node: Node): Node {
  return {
    metadata: withoutManagedFields({ ...node.metadata, labels: {}, annotations: {} }),
    spec: pick(node.spec, ['unschedulable']),
    status: {
      conditions: node.status?.conditions?.filter((condition) => condition.type === 'Ready'),
    } as Node['status'],
  };
}

export function withoutManagedFields<M extends object>(metadata: M): M {
  const { managedFields: _managedFields, ...kept } = metadata as M & { managedFields?: unknown };
  return kept as M;
}

function pick<T extends object>(from: T | undefined, keys: readonly (keyof T | string)[]): Partial<T> {
  const kept: Record<string, unknown> = {};
  for (const key of keys as string[]) {
    const value = (from as Record<string, unknown> | undefined)?.[key];
    if (value !== undefined) kept[key] = value;
  }
  return kept as Partial<T>;
}
