import { describe, expect, it } from 'vitest';
import type { Node } from '../../kube/objects.ts';
import { KIDS, makeIdle, makeNode, makeWarmPod, REVISION, runningNow, waitingNow } from '../testing/http-objects.ts';
import { at, EPOCH, makePod, makeSession } from '../testing/objects.ts';
import { describeWarmPod, inClaimOrder, isTroubled, isWarm, type WarmPod } from './warm-pods.ts';

const restarted = { ...runningNow(9), restartCount: 1 };
const order = (pods: WarmPod[], sessionsOn: Record<string, number> = {}, atMost = Infinity): string[] =>
  inClaimOrder(pods, new Map(Object.entries(sessionsOn)), atMost).map(({ pod }) => pod.metadata.name);

describe('what a warm pod is good for', () => {
  const describePod = (options: Parameters<typeof makeWarmPod>[1], node: Node | undefined = makeNode('node-1')) =>
    describeWarmPod(makeWarmPod('p', options), { revision: REVISION, kids: KIDS, node });

  it('is a Session at once when it is ready', () => {
    expect(describePod({ readySince: 7 })).toMatchObject({
      ready: true,
      readySince: EPOCH + 7000,
      current: true,
      usable: true,
      leaving: false,
      restarts: 0,
      cause: undefined,
    });
  });

  it('is a Session soon while it starts, and what keeps it is known', () => {
    const starting = describePod({ ready: false, agent: waitingNow('ErrImagePull') });
    expect(starting).toMatchObject({ ready: false, readySince: 0, usable: true, cause: { reason: 'ImagePullFailed' } });
  });

  it('is a Session soon also where no node has it yet', () => {
    const unscheduled = makeWarmPod('p', { ready: false, node: null });
    expect(describeWarmPod(unscheduled, { revision: REVISION, kids: KIDS, node: undefined }).usable).toBe(true);
  });

  it('is nothing when it leaves', () => {
    expect(describePod({ metadata: { deletionTimestamp: at(3) } })).toMatchObject({ usable: false, leaving: true });
  });

  it('is nothing on a node that leaves, falls silent, or is gone', () => {
    expect(describePod({}, makeNode('n', { unschedulable: true })).usable).toBe(false);
    expect(describePod({}, makeNode('n', { ready: false })).usable).toBe(false);
    const gone = describeWarmPod(makeWarmPod('p'), { revision: REVISION, kids: KIDS, node: undefined });
    expect(gone.usable).toBe(false);
  });

  it('is nothing any more on a node that leaves, and may be something again on one that is silent or unknown', () => {
    const useless = (node: string | null) => makeIdle('p', { node }).useless;
    expect(['cordoned', 'silent', 'unknown', 'node-1', null].map(useless)).toEqual([true, false, false, false, false]);
  });

  it('is nothing any more when it trusts none of our keys', () => {
    expect(describePod({ keys: 'stolen' }).useless).toBe(true);
    expect(describePod({ keys: '' }).useless).toBe(true);
    expect(describePod({ keys: 'c0,c1' }).useless).toBe(false);
  });

  it('is nothing when it trusts none of our keys, and is not taken for one of the wanted revision', () => {
    expect(describePod({ keys: 'stolen' })).toMatchObject({ usable: false, current: false });
    expect(describePod({ keys: 'c0,c1' })).toMatchObject({ usable: true, current: true });
  });

  it('is less when the agent has been started again', () => {
    expect(describePod({ agent: restarted }).restarts).toBe(1);
  });

  it('is the revision that the Agent wanted then', () => {
    expect(describePod({ revision: 'rev-1' })).toMatchObject({ current: false, usable: true });
  });
});

describe('whether a pod waits', () => {
  it('is said by its label: not that of a Session, and not one without a word', () => {
    expect(isWarm(makeWarmPod('p'))).toBe(true);
    expect(isWarm(makePod(makeSession('a')))).toBe(false);
    expect(isWarm(makeWarmPod('p', { metadata: { labels: {} } }))).toBe(false);
  });
});

describe('which pod a Session gets', () => {
  it('is a ready one of the wanted revision, else a ready one of an earlier one, else one that starts', () => {
    const pods = [
      makeIdle('starting', { ready: false }),
      makeIdle('earlier', { revision: 'rev-1' }),
      makeIdle('wanted'),
    ];
    expect(order(pods)).toEqual(['wanted', 'earlier', 'starting']);
  });

  it('is never one that starts and is of an earlier revision, nor one that cannot be used', () => {
    const pods = [
      makeIdle('starting-earlier', { ready: false, revision: 'rev-1' }),
      makeIdle('leaving', { metadata: { deletionTimestamp: at(3) } }),
      makeIdle('distrustful', { keys: 'other' }),
    ];
    expect(order(pods)).toEqual([]);
  });

  it('is one that has been started again only when its like has not', () => {
    const pods = [makeIdle('again', { agent: restarted }), makeIdle('first'), makeIdle('old', { revision: 'rev-1' })];
    expect(order(pods)).toEqual(['first', 'again', 'old']);
  });

  it('is on the node with the fewest sessions, and the nodes take turns', () => {
    const pods = ['a1', 'a2', 'a3', 'b1', 'b2'].map((name) => makeIdle(name, { node: name.slice(0, 1) }));
    const nodes = order(pods, { a: 1 }).map((name) => name.slice(0, 1));
    expect(nodes[0]).toBe('b');
    expect(nodes.filter((node) => node === 'a')).toHaveLength(3);
    expect(nodes.slice(0, 3).filter((node) => node === 'b')).toHaveLength(2);
  });

  it('counts the turns of better pods against a node', () => {
    const pods = [
      makeIdle('ready', { node: 'a' }),
      makeIdle('starting-a', { ready: false, node: 'a' }),
      makeIdle('starting-b', { ready: false, node: 'b' }),
    ];
    expect(order(pods)).toEqual(['ready', 'starting-b', 'starting-a']);
  });

  it('is the one that has been ready for longest on its node', () => {
    const pods = [9, 3, 6].map((readySince) => makeIdle(`since-${readySince}`, { readySince }));
    expect(order(pods)).toEqual(['since-3', 'since-6', 'since-9']);
  });

  it('is the one that has been ready for longest of all where the nodes have as many sessions', () => {
    const pods = [makeIdle('a-9', { node: 'a', readySince: 9 }), makeIdle('b-3', { node: 'b', readySince: 3 })];
    expect(order(pods)).toEqual(['b-3', 'a-9']);
    expect(order([...pods].reverse())).toEqual(['b-3', 'a-9']);
    expect(order(pods, { b: 1 })).toEqual(['a-9', 'b-3']);
    const more = [
      ...pods,
      makeIdle('a-2', { node: 'a', readySince: 2 }),
      makeIdle('b-8', { node: 'b', readySince: 8 }),
    ];
    expect(order(more)).toEqual(['a-2', 'b-3', 'b-8', 'a-9']);
  });

  it('is one that no node has taken only when there is no other, also when that was started again', () => {
    const pods = [
      makeIdle('nowhere', { ready: false, node: null }),
      makeIdle('again', { ready: false, node: 'a', agent: restarted }),
      makeIdle('starting', { ready: false, node: 'b' }),
    ];
    expect(order(pods, { a: 5, b: 5 })).toEqual(['starting', 'again', 'nowhere']);
  });

  it('is never one on a node that does not answer', () => {
    expect(order(['silent', 'cordoned', 'unknown'].map((node) => makeIdle(node, { node })))).toEqual([]);
  });

  it('is each pod once, however many there are', () => {
    const pods = Array.from({ length: 60 }, (_, i) =>
      makeIdle(`p${i}`, {
        node: i % 7 === 0 ? null : `n${i % 5}`,
        ready: i % 3 !== 0,
        revision: i % 4 === 0 ? 'rev-1' : REVISION,
        agent: i % 5 === 0 ? restarted : runningNow(1),
      }),
    );
    const claimable = pods.filter(({ usable, ready, current }) => usable && (ready || current));
    const ordered = order(pods, { n1: 4 });
    expect(new Set(ordered)).toEqual(new Set(claimable.map(({ pod }) => pod.metadata.name)));
    expect(ordered).toHaveLength(claimable.length);
  });

  it('is the same, however many are wanted', () => {
    const pods = Array.from({ length: 30 }, (_, i) => makeIdle(`p${i}`, { node: `n${i % 4}`, ready: i % 3 !== 0 }));
    const all = order(pods, { n1: 2 });
    for (const atMost of [0, 1, 7, 19, 20, 30]) expect(order(pods, { n1: 2 }, atMost)).toEqual(all.slice(0, atMost));
  });

  it('changes nothing that it is given', () => {
    const sessionsOn = new Map([['node-1', 2]]);
    inClaimOrder([makeIdle('a'), makeIdle('b')], sessionsOn, 2);
    expect([...sessionsOn]).toEqual([['node-1', 2]]);
  });
});

describe('a pod that is not ready', () => {
  const late = EPOCH + 60_000;
  const troubled = (options: Parameters<typeof makeWarmPod>[1], now = EPOCH): boolean =>
    isTroubled(makeIdle('p', { ready: false, ...options }), 60, now);

  it('is on its way until it takes longer than a session would wait', () => {
    expect(troubled({}, late - 1)).toBe(false);
    expect(troubled({}, late)).toBe(true);
    expect(troubled({ agent: waitingNow('PodInitializing') }, late - 1)).toBe(false);
  });

  it.each(['ErrImagePull', 'CrashLoopBackOff', 'CreateContainerConfigError'])('may never be: %s', (reason) => {
    expect(troubled({ agent: waitingNow(reason) })).toBe(true);
  });

  it('is no worse than another one where no node has room', () => {
    const conditions = [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes' }];
    expect(troubled({ node: null, conditions }, late)).toBe(false);
  });

  it('is what this asks about: one that is ready is fine', () => {
    expect(troubled({ ready: true }, late)).toBe(false);
  });
});
