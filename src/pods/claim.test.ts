import { describe, expect, it } from 'vitest';
import type { JsonPatchOp } from '../kube/api.ts';
import type { Pod } from '../kube/objects.ts';
import { readBinding, type Binding } from './binding.ts';
import { claimPatch } from './claim.ts';
import { guardSeconds } from './http-pod.ts';

const EPOCH = Date.parse('2026-01-01T00:00:00Z');
const at = (seconds: number): string => new Date(EPOCH + seconds * 1000).toISOString().replace('.000Z', 'Z');

const binding: Binding = {
  agent: 'echo',
  session: { name: 'call', uid: 'uid-1' },
  admittedAt: '2026-01-01T00:00:00.123Z',
  attempt: 0,
  startKind: 'Warm',
  startWindowSeconds: 8,
  limits: {
    maxSessionDuration: 600,
    startTimeoutSeconds: 120,
    nodeLostAfterSeconds: 300,
    terminationGracePeriodSeconds: 10,
  },
};

function warmPod({ metadata = {}, status = {} }: { metadata?: object; status?: object } = {}): Pod {
  return {
    metadata: {
      name: 'echo-x',
      namespace: 'ns',
      uid: 'pod-uid',
      resourceVersion: '7',
      creationTimestamp: at(0),
      labels: { 'bullpen.dev/agent': 'echo', 'bullpen.dev/state': 'warm', 'bullpen.dev/revision': 'rev' },
      annotations: { 'bullpen.dev/keys': 'c1', 'cluster-autoscaler.kubernetes.io/safe-to-evict': 'true' },
      ownerReferences: [{ apiVersion: 'bullpen.dev/v1alpha1', kind: 'Agent', name: 'echo', uid: 'agent-uid' }],
      ...metadata,
    },
    spec: { containers: [] },
    status: { startTime: at(1), ...status },
  };
}

const parts = (path: string): string[] =>
  path
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** The pod after the patch, or undefined where one of its tests fails: as the API server does it, where what is missing equals null. */
function patched(pod: Pod, ops: readonly JsonPatchOp[]): Pod | undefined {
  const copy = structuredClone(pod);
  for (const op of ops) {
    if (op.op !== 'test' && op.op !== 'add') throw new Error(`the claim uses ${op.op}`);
    const path = parts(op.path);
    const last = path.pop() ?? '';
    let parent: unknown = copy;
    for (const part of path) parent = isRecord(parent) ? parent[part] : undefined;
    if (!isRecord(parent)) throw new Error(`there is no ${op.path}`);
    if (op.op === 'add') parent[last] = op.value;
    else if (JSON.stringify(parent[last] ?? null) !== JSON.stringify(op.value)) return undefined;
  }
  return copy;
}

const deadline = (pod: Pod, now: number): number | undefined =>
  patched(pod, claimPatch(pod, binding, EPOCH + now * 1000))?.spec?.activeDeadlineSeconds;

describe('the claim of a warm pod', () => {
  const pod = warmPod();
  const ops = claimPatch(pod, binding, EPOCH);

  it('makes it the pod of the Session, which can be read back', () => {
    const claimed = patched(pod, ops);
    expect(claimed && readBinding(claimed)).toEqual(binding);
    expect(claimed?.metadata.labels).toMatchObject({ 'bullpen.dev/state': 'busy', 'bullpen.dev/revision': 'rev' });
  });

  it('gives it to the Session alone, so that it no longer goes with its Agent', () => {
    expect(patched(pod, ops)?.metadata.ownerReferences).toEqual([
      expect.objectContaining({ kind: 'Session', name: 'call', uid: 'uid-1', controller: true }),
    ]);
  });

  it('holds it until the end is recorded, and nobody moves it', () => {
    expect(patched(pod, ops)?.metadata).toMatchObject({
      finalizers: ['bullpen.dev/session-record'],
      annotations: {
        'bullpen.dev/keys': 'c1',
        'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
        'karpenter.sh/do-not-disrupt': 'true',
      },
    });
  });

  it('keeps the finalizers of others', () => {
    const held = warmPod({ metadata: { finalizers: ['example.com/logs'] } });
    expect(patched(held, claimPatch(held, binding, EPOCH))?.metadata.finalizers).toEqual([
      'example.com/logs',
      'bullpen.dev/session-record',
    ]);
  });

  it.each<[string, object]>([
    ['another pod has its name', { uid: 'other' }],
    ['somebody has claimed it', { labels: { ...pod.metadata.labels, 'bullpen.dev/state': 'busy' } }],
    ['nobody says that it waits', { labels: { 'bullpen.dev/agent': 'echo' } }],
    ['it is being deleted', { deletionTimestamp: at(3) }],
    ['somebody holds it that the claim does not know', { finalizers: ['example.com/logs'] }],
  ])('changes nothing when %s', (_name, metadata) => {
    expect(patched(warmPod({ metadata }), ops)).toBeUndefined();
  });

  it('is won by one of two', () => {
    const first = patched(pod, ops);
    const second = claimPatch(pod, { ...binding, session: { name: 'other', uid: 'uid-2' } }, EPOCH);
    expect(first && patched(first, second)).toBeUndefined();
  });
});

describe('the deadline of a claimed pod', () => {
  it('leaves the session all its time, however long the pod has waited', () => {
    expect(deadline(warmPod(), 0)).toBe(guardSeconds(binding));
    // Counted from its creation rather than from its acceptance by the node: rather too much.
    expect(deadline(warmPod(), 5000.2)).toBe(5001 + guardSeconds(binding));
  });

  it('counts from the earlier of two clocks that disagree', () => {
    expect(deadline(warmPod({ status: { startTime: at(-30) } }), 100)).toBe(130 + guardSeconds(binding));
    expect(deadline(warmPod({ status: { startTime: at(90) } }), 100)).toBe(100 + guardSeconds(binding));
  });

  it('is that of a new pod where no node has taken it yet, or our clock is behind', () => {
    expect(deadline(warmPod({ status: { startTime: undefined } }), 5000)).toBe(guardSeconds(binding));
    expect(deadline(warmPod(), -60)).toBe(guardSeconds(binding));
  });

  it('has the whole start timeout in it also where the pod itself has less: another leader may come in between', () => {
    const { startWindowSeconds: _window, ...patient } = binding;
    const pod = warmPod();
    expect(patched(pod, claimPatch(pod, patient, EPOCH))?.spec?.activeDeadlineSeconds).toBe(deadline(pod, 0));
  });
});
