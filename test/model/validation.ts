import { isDeepStrictEqual } from 'node:util';
import type { KubeObject, Pod } from '../../src/kube/objects.ts';
import type { Resource } from '../../src/kube/resources.ts';
import { conflict, invalid } from './answers.ts';

/** Resources whose status is written through /status only. */
const WITH_STATUS = new Set(['agents', 'sessions', 'pods', 'nodes']);
/** Resources that end gracefully: a grace period, and a kubelet that says when. */
const GRACEFUL = new Set(['pods']);

export function hasStatus(resource: Resource): boolean {
  return WITH_STATUS.has(resource.plural);
}

export function isGraceful(resource: Resource): boolean {
  return GRACEFUL.has(resource.plural);
}

type Loose = KubeObject & { spec?: unknown; status?: unknown };

/**
 * What an update makes of an object: the parts that this endpoint may change, taken from `wanted`, and all else as it was.
 * Throws 409 and 422 as the API server does.
 */
export function mergeUpdate(resource: Resource, stored: Loose, wanted: Loose, subresource: string | undefined): Loose {
  const version = wanted.metadata.resourceVersion as string | undefined;
  if (version !== undefined && version !== stored.metadata.resourceVersion)
    throw conflict('the object has been modified; please apply your changes to the latest version and try again');
  if (subresource === 'status') {
    return { ...stored, ...('status' in wanted ? { status: wanted.status } : {}) };
  }
  if (wanted.metadata.uid !== stored.metadata.uid) throw conflict('the UID in the precondition does not match');
  const next: Loose = { ...wanted, metadata: fixedMetadata(stored, wanted) };
  if (hasStatus(resource)) {
    if (stored.status === undefined) delete next.status;
    else next.status = stored.status;
  }
  checkFinalizers(stored, next);
  if (resource.plural === 'pods') checkPodUpdate(stored as Pod, next as Pod);
  return next;
}

/** Fields of the metadata that no client can change. */
function fixedMetadata(stored: Loose, wanted: Loose): KubeObject['metadata'] {
  const { uid, name, creationTimestamp, resourceVersion, generation, namespace } = stored.metadata;
  const { deletionTimestamp, deletionGracePeriodSeconds } = stored.metadata;
  const metadata: Record<string, unknown> = { ...wanted.metadata, uid, name, creationTimestamp, resourceVersion };
  const kept = { namespace, generation, deletionTimestamp, deletionGracePeriodSeconds };
  for (const [field, value] of Object.entries(kept)) {
    if (value === undefined) Reflect.deleteProperty(metadata, field);
    else metadata[field] = value;
  }
  return metadata as unknown as KubeObject['metadata'];
}

function checkFinalizers(stored: Loose, next: Loose): void {
  if (stored.metadata.deletionTimestamp === undefined) return;
  const before = new Set(stored.metadata.finalizers);
  if ((next.metadata.finalizers ?? []).some((name) => !before.has(name)))
    throw invalid('metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted');
}

/** `ValidatePodUpdate`, as far as we use it: of the spec only activeDeadlineSeconds may change, and only come down. */
function checkPodUpdate(stored: Pod, next: Pod): void {
  const before = stored.spec.activeDeadlineSeconds;
  const after = next.spec.activeDeadlineSeconds;
  if (before !== undefined && after === undefined)
    throw invalid('spec.activeDeadlineSeconds: must not update from a positive integer to nil value');
  if (after !== undefined && (after < 0 || (before !== undefined && after > before)))
    throw invalid(`spec.activeDeadlineSeconds: Invalid value: ${after}: must be less than or equal to previous value`);
  const others = (pod: Pod): unknown => ({ ...pod.spec, activeDeadlineSeconds: undefined });
  if (!isDeepStrictEqual(others(stored), others(next)))
    throw invalid('spec: Forbidden: pod updates may not change fields other than spec.activeDeadlineSeconds');
}

/** What `create` refuses. */
export function checkCreate(resource: Resource, object: Loose): void {
  if (resource.plural !== 'pods') return;
  const deadline = (object as Pod).spec.activeDeadlineSeconds;
  if (deadline !== undefined && deadline < 1)
    throw invalid('spec.activeDeadlineSeconds: must be between 1 and 2147483647');
}
