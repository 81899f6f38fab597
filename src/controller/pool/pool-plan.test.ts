import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { agentSpec, type AgentSpecInput } from '../../api/agent.ts';
import { BROKEN_REVISION, makeIdle, REVISION, runningNow } from '../testing/http-objects.ts';
import { at } from '../testing/objects.ts';
import { keepsPool, planPool, poolTarget, type PoolPlan, type PoolView } from './pool-plan.ts';
import type { WarmPod } from './warm-pods.ts';

type Scaling = NonNullable<AgentSpecInput['scaling']>;

const specOf = (scaling: Scaling, more: Partial<AgentSpecInput> = {}) =>
  agentSpec.parse({ image: 'i', scaling, ...more });

/** One look at a pool in which nobody else has pods. */
function plan(scaling: Scaling, idle: WarmPod[], view: Partial<PoolView> = {}): PoolPlan {
  const { creating = 0, active = 0 } = view;
  return planPool({ spec: specOf(scaling), idle, creating, active, pods: idle.length + creating + active, ...view });
}

const named = (pods: WarmPod[]): string[] => pods.map(({ pod }) => pod.metadata.name);
const ready = (count: number, prefix = 'ready'): WarmPod[] =>
  Array.from({ length: count }, (_, i) => makeIdle(`${prefix}-${i}`, { readySince: i }));
const earlier = (count: number): WarmPod[] =>
  Array.from({ length: count }, (_, i) => makeIdle(`earlier-${i}`, { revision: 'rev-1', readySince: i }));
const starting = (count: number): WarmPod[] =>
  Array.from({ length: count }, (_, i) => makeIdle(`starting-${i}`, { ready: false }));

describe('how many pods wait', () => {
  it.each<[string, Scaling, number, number]>([
    ['minAgents', { minAgents: 3, maxAgents: 10 }, 0, 3],
    ['minAgents, however many are busy', { minAgents: 3, maxAgents: 10 }, 5, 3],
    ['a part of those that are busy, rounded up', { maxAgents: 100, buffer: { percent: 25 } }, 9, 3],
    ['none when none is busy', { maxAgents: 100, buffer: { percent: 25 } }, 0, 0],
    ['a number beyond those that are busy', { maxAgents: 100, buffer: { count: 4 } }, 9, 4],
    ['the greatest of all', { minAgents: 2, maxAgents: 100, buffer: { count: 4, percent: 100 } }, 9, 9],
    ['never more than maxAgents has left', { minAgents: 5, maxAgents: 10 }, 8, 2],
    ['none at the cap', { minAgents: 5, maxAgents: 10 }, 10, 0],
    ['none beyond the cap', { minAgents: 5, maxAgents: 10 }, 12, 0],
  ])('%s', (_name, scaling, active, expected) => {
    expect(poolTarget(specOf(scaling), active)).toBe(expected);
  });

  it('none while the Agent is paused, and none of protocol Process', () => {
    expect(poolTarget(specOf({ minAgents: 3 }, { paused: true }), 0)).toBe(0);
    expect(poolTarget(specOf({}, { protocol: 'Process' }), 5)).toBe(0);
  });
});

describe('a pool that has too few', () => {
  it('makes those that are missing', () => {
    expect(plan({ minAgents: 3, maxAgents: 10 }, ready(1))).toMatchObject({ target: 3, ready: 1, create: 2 });
  });

  it('counts what starts and what is being made', () => {
    expect(plan({ minAgents: 4, maxAgents: 10 }, [...ready(1), ...starting(1)], { creating: 2 }).create).toBe(0);
  });

  it('does not count what leaves, but what leaves has its place until it has gone', () => {
    const leaving = makeIdle('leaving', { metadata: { deletionTimestamp: at(2) } });
    expect(plan({ minAgents: 1, maxAgents: 2 }, [leaving])).toMatchObject({ create: 1, remove: [] });
    expect(plan({ minAgents: 1, maxAgents: 1 }, [leaving])).toMatchObject({ create: 0, remove: [] });
  });

  it('makes no more than maxAgents allows, whoever has the others', () => {
    expect(plan({ minAgents: 5, maxAgents: 6 }, [], { active: 1, pods: 4 }).create).toBe(2);
    expect(plan({ minAgents: 5, maxAgents: 6 }, [], { active: 1, pods: 9 }).create).toBe(0);
  });

  it('starts ten at a time, or half of a large pool', () => {
    expect(plan({ minAgents: 15, maxAgents: 100 }, []).create).toBe(10);
    expect(plan({ minAgents: 15, maxAgents: 100 }, starting(7), { creating: 2 }).create).toBe(1);
    expect(plan({ minAgents: 15, maxAgents: 100 }, starting(12)).create).toBe(0);
    expect(plan({ minAgents: 200, maxAgents: 300 }, []).create).toBe(100);
  });
});

describe('a pool that has too many', () => {
  it('keeps the best: those that start go first, then those started again, then the youngest', () => {
    const again = makeIdle('again', { agent: { ...runningNow(5), restartCount: 2 } });
    const planned = plan({ minAgents: 1, maxAgents: 10 }, [...ready(2), again, ...starting(1)]);
    expect(named(planned.surplus)).toEqual(['starting-0', 'again', 'ready-1']);
    expect(planned).toMatchObject({ create: 0, remove: [] });
  });

  it('has nothing to spare at its target', () => {
    expect(plan({ minAgents: 2, maxAgents: 10 }, ready(2)).surplus).toEqual([]);
  });
});

describe('a pod where no Session may go', () => {
  it('goes at once, and another is made', () => {
    const distrustful = makeIdle('distrustful', { keys: 'other' });
    const planned = plan({ minAgents: 2, maxAgents: 10 }, [...ready(1), distrustful]);
    expect(named(planned.remove)).toEqual(['distrustful']);
    expect(planned.create).toBe(1);
  });

  it('is told to go once', () => {
    const leaving = makeIdle('p', { keys: 'other', metadata: { deletionTimestamp: at(2) } });
    expect(plan({ minAgents: 1, maxAgents: 10 }, [leaving]).remove).toEqual([]);
  });
});

describe('a pod on a node that leaves', () => {
  it('goes at once, ready or not, however few there are', () => {
    const cordoned = [true, false].map((isReady) => makeIdle(`ready-${isReady}`, { ready: isReady, node: 'cordoned' }));
    const planned = plan({ minAgents: 2, maxAgents: 10 }, cordoned);
    expect(named(planned.remove)).toEqual(['ready-true', 'ready-false']);
    expect(planned.create).toBe(2);
  });

  it('goes also at the cap, and leaves the others alone', () => {
    const planned = plan({ minAgents: 3, maxAgents: 3 }, [...earlier(2), makeIdle('cordoned', { node: 'cordoned' })]);
    expect(named(planned.remove)).toEqual(['cordoned']);
  });
});

describe('a pod on a node that is silent', () => {
  const silent = (count: number, options: Parameters<typeof makeIdle>[1] = {}): WarmPod[] =>
    Array.from({ length: count }, (_, i) =>
      makeIdle(`silent-${i}`, { node: i % 2 ? 'unknown' : 'silent', ...options }),
    );

  it('is kept, and another is made for it', () => {
    expect(plan({ minAgents: 3, maxAgents: 10 }, silent(3))).toMatchObject({ create: 3, remove: [], ready: 0 });
    expect(plan({ minAgents: 3, maxAgents: 10 }, [...silent(3), ...starting(3)])).toMatchObject({
      create: 0,
      remove: [],
    });
    expect(plan({ minAgents: 1, maxAgents: 10 }, silent(1, { ready: false })).remove).toEqual([]);
  });

  it('goes, one by one, when the others are ready that were made for it', () => {
    expect(plan({ minAgents: 3, maxAgents: 10 }, [...silent(3), ...ready(1), ...starting(2)]).remove).toHaveLength(1);
    expect(plan({ minAgents: 3, maxAgents: 10 }, [...silent(3), ...ready(3)]).remove).toHaveLength(3);
  });

  it('is not needed beyond the target', () => {
    expect(plan({ minAgents: 1, maxAgents: 10 }, silent(3)).remove).toHaveLength(2);
  });

  it('counts again as soon as its node answers', () => {
    const back = silent(3, { node: 'node-1' });
    expect(plan({ minAgents: 3, maxAgents: 10 }, back)).toMatchObject({ ready: 3, create: 0, remove: [] });
  });

  it('goes before one of an earlier revision, which can still serve', () => {
    const planned = plan({ minAgents: 2, maxAgents: 10 }, [...earlier(1), ...silent(1), ...ready(1)]);
    expect(named(planned.remove)).toEqual(['silent-0']);
  });

  it('makes room at the cap, one at a time', () => {
    const full = { minAgents: 3, maxAgents: 3 };
    expect(plan(full, silent(3)).remove).toHaveLength(1);
    const going = makeIdle('going', { node: 'silent', metadata: { deletionTimestamp: at(2) } });
    expect(plan(full, [...silent(2), going])).toMatchObject({ create: 0, remove: [] });
  });

  it('is not outdated for that', () => {
    expect(plan({ minAgents: 3, maxAgents: 10 }, silent(3)).outdated).toBe(0);
    expect(plan({ minAgents: 3, maxAgents: 10 }, silent(3, { revision: 'rev-1' })).outdated).toBe(3);
  });
});

describe('a new revision', () => {
  it('is made beside the earlier one, which stays until it is ready', () => {
    const planned = plan({ minAgents: 3, maxAgents: 10 }, earlier(3));
    expect(planned).toMatchObject({ create: 3, remove: [], outdated: 3, ready: 0 });
    expect(plan({ minAgents: 3, maxAgents: 10 }, [...earlier(3), ...starting(3)]).remove).toEqual([]);
  });

  it('takes the place of the earlier one, pod by pod', () => {
    const planned = plan({ minAgents: 3, maxAgents: 10 }, [...earlier(3), ...ready(2), ...starting(1)]);
    expect(planned.remove).toHaveLength(2);
    expect(planned.remove.every(({ current }) => !current)).toBe(true);
    expect(plan({ minAgents: 3, maxAgents: 10 }, [...earlier(1), ...ready(3)]).remove).toHaveLength(1);
  });

  it('lets go at once of what never was ready of the earlier one', () => {
    const never = makeIdle('never', { ready: false, revision: 'rev-1' });
    expect(named(plan({ minAgents: 2, maxAgents: 10 }, [never, ...earlier(1)]).remove)).toEqual(['never']);
  });

  it('leaves the earlier one alone for ever when it never is ready', () => {
    const planned = plan({ minAgents: 3, maxAgents: 3 }, [...earlier(2), ...starting(1)]);
    expect(planned).toMatchObject({ remove: [], create: 0 });
  });

  it('has one pod of the earlier one make room at the cap, and waits until that has gone', () => {
    const full = { minAgents: 3, maxAgents: 3 };
    expect(plan(full, earlier(3)).remove).toHaveLength(1);
    const leaving = makeIdle('leaving', { revision: 'rev-1', metadata: { deletionTimestamp: at(2) } });
    expect(plan(full, [...earlier(2), leaving]).remove).toEqual([]);
    expect(plan(full, earlier(2))).toMatchObject({ create: 1, remove: [] });
    expect(plan(full, earlier(2), { creating: 1 })).toMatchObject({ create: 0, remove: [] });
  });

  it('has none make room where something goes anyway', () => {
    const never = makeIdle('never', { ready: false, revision: 'rev-1' });
    expect(named(plan({ minAgents: 3, maxAgents: 3 }, [...earlier(2), never]).remove)).toEqual(['never']);
  });

  it('is not waited for by a pool that shall be empty', () => {
    expect(plan({ minAgents: 0, maxAgents: 3 }, earlier(2)).remove).toHaveLength(2);
  });
});

describe('a present revision that cannot start', () => {
  const broken = (count: number, options: Parameters<typeof makeIdle>[1] = {}): WarmPod[] =>
    Array.from({ length: count }, (_, i) =>
      makeIdle(`broken-${i}`, { ready: false, revision: BROKEN_REVISION, ...options }),
    );
  const instead = (scaling: Scaling, idle: WarmPod[], view: Partial<PoolView> = {}): PoolPlan =>
    plan(scaling, idle, { broken: true, instead: true, ...view });

  it('leaves the pool to the last good one, which is filled up to its target', () => {
    expect(instead({ minAgents: 3, maxAgents: 10 }, [...ready(1), ...broken(1)])).toMatchObject({
      target: 3,
      create: 2,
      probes: 0,
      remove: [],
    });
  });

  it('has one pod, as a probe: others go, and where there is none one is made', () => {
    const scaling = { minAgents: 2, maxAgents: 10 };
    expect(named(instead(scaling, [...ready(2), ...broken(3)]).remove)).toEqual(['broken-1', 'broken-2']);
    expect(instead(scaling, ready(2))).toMatchObject({ probes: 1, create: 0, remove: [] });
    expect(instead(scaling, ready(2), { creating: 1 }).probes).toBe(0);
    expect(instead(scaling, [...ready(2), ...broken(1, { metadata: { deletionTimestamp: at(2) } })]).probes).toBe(0);
    expect(instead(scaling, [...ready(2), ...broken(1, { node: 'silent' })]).probes).toBe(1);
  });

  it('has no probe where no pod is wanted', () => {
    expect(instead({ minAgents: 0, maxAgents: 3 }, []).probes).toBe(0);
    expect(named(instead({ minAgents: 0, maxAgents: 3 }, broken(1)).remove)).toEqual(['broken-0']);
  });

  it('has a probe at the cap only beside a good pod that is ready, and never in the place of the only one', () => {
    expect(instead({ minAgents: 3, maxAgents: 3 }, ready(2))).toMatchObject({ probes: 1, create: 0 });
    expect(instead({ minAgents: 3, maxAgents: 3 }, [...ready(2), ...broken(1)])).toMatchObject({
      create: 0,
      remove: [],
    });
    expect(instead({ minAgents: 1, maxAgents: 1 }, ready(1))).toMatchObject({ probes: 0, create: 0, remove: [] });
    expect(instead({ minAgents: 1, maxAgents: 1 }, [])).toMatchObject({ probes: 0, create: 1 });
    expect(instead({ minAgents: 1, maxAgents: 2 }, [])).toMatchObject({ probes: 1, create: 1 });
  });

  it('gives its place at the cap to a good one when none is ready, unless one is on its way', () => {
    expect(named(instead({ minAgents: 1, maxAgents: 1 }, broken(1)).remove)).toEqual(['broken-0']);
    expect(named(instead({ minAgents: 3, maxAgents: 3 }, broken(1), { active: 2 }).remove)).toEqual(['broken-0']);
    expect(instead({ minAgents: 3, maxAgents: 3 }, [...starting(1), ...broken(1)], { active: 1 }).remove).toEqual([]);
    const going = broken(1, { metadata: { deletionTimestamp: at(2) } });
    expect(instead({ minAgents: 1, maxAgents: 1 }, going)).toMatchObject({ create: 0, remove: [] });
  });

  it('takes no pod away that is ready, also where the last good one is not known', () => {
    const full = { minAgents: 1, maxAgents: 1 };
    expect(plan(full, earlier(1)).remove).toHaveLength(1);
    expect(plan(full, earlier(1), { broken: true }).remove).toEqual([]);
    expect(instead(full, earlier(1)).remove).toEqual([]);
    expect(plan(full, [makeIdle('silent', { node: 'silent' })], { broken: true }).remove).toHaveLength(1);
  });

  it('is nothing to wait for where no pod ever waits', () => {
    expect(keepsPool(specOf({ minAgents: 1 }))).toBe(true);
    expect(keepsPool(specOf({ buffer: { percent: 1 } }))).toBe(true);
    expect(keepsPool(specOf({}))).toBe(false);
    expect(keepsPool(specOf({ minAgents: 1 }, { paused: true }))).toBe(false);
    expect(keepsPool(specOf({}, { protocol: 'Process' }))).toBe(false);
  });
});

describe('whatever a pool looks like', () => {
  const pod = fc.record({
    ready: fc.boolean(),
    revision: fc.constantFrom(REVISION, 'rev-1', BROKEN_REVISION),
    keys: fc.constantFrom('c1', 'c1', 'c1', 'other'),
    metadata: fc.constantFrom({}, {}, { deletionTimestamp: at(2) }),
    readySince: fc.nat(9),
    node: fc.constantFrom('node-1', 'node-1', 'silent', 'unknown', 'cordoned', null),
  });
  const views = fc
    .record({
      pods: fc.array(pod, { maxLength: 12 }),
      creating: fc.nat(4),
      busy: fc.nat(6),
      maxAgents: fc.nat(15),
      minAgents: fc.nat(15),
      mode: fc.constantFrom({}, { broken: true }, { broken: true, instead: true }),
    })
    .filter(({ minAgents, maxAgents }) => minAgents <= maxAgents);

  it('there are never more pods than maxAgents by what it makes, and never more removed than there are', () => {
    fc.assert(
      fc.property(views, ({ pods, creating, busy, maxAgents, minAgents, mode }) => {
        const idle = pods.map((options, i) => makeIdle(`p${i}`, options));
        const all = idle.length + creating + busy;
        const planned = plan({ minAgents, maxAgents }, idle, { creating, active: busy, pods: all, ...mode });
        const made = planned.create + planned.probes;
        if (made > 0) expect(all + made).toBeLessThanOrEqual(maxAgents);
        const gone = [...planned.remove, ...planned.surplus];
        expect(new Set(gone).size).toBe(gone.length);
        expect(gone.every(({ leaving }) => !leaving)).toBe(true);
        expect(planned.surplus.every(({ current, usable }) => current && usable)).toBe(true);
        // What is of no use goes, and what may be missed stays, except for one at the cap.
        expect(idle.filter(({ useless, leaving }) => useless && !leaving).every((each) => gone.includes(each))).toBe(
          true,
        );
        const missed = planned.remove.filter(({ useless, ready: isReady, usable }) => !useless && (isReady || !usable));
        const kept = idle.filter((each) => !each.leaving && (each.ready || !each.usable) && !gone.includes(each));
        const blocked = planned.create === 0 && all >= maxAgents && planned.remove.length === 1;
        if (missed.length > 0 && !blocked) expect(kept.length).toBeGreaterThanOrEqual(planned.target);
        // Of those that are ready, so many stay as are wanted while there is a problem.
        const good = idle.filter((each) => each.ready && each.usable);
        const left = good.filter((each) => !gone.includes(each));
        if (mode.broken) expect(left.length).toBeGreaterThanOrEqual(Math.min(good.length, planned.target));
      }),
    );
  });

  it('it comes to its target and then to rest, if what it makes becomes ready', () => {
    fc.assert(
      fc.property(views, ({ pods, busy, maxAgents, minAgents }) => {
        let idle = pods.map((options, i) => makeIdle(`p${i}`, options));
        let made = 0;
        for (let round = 0; round < 60; round += 1) {
          const planned = plan({ minAgents, maxAgents }, idle, { active: busy, pods: idle.length + busy });
          const gone = new Set([...planned.remove, ...planned.surplus]);
          const left = idle.filter((each) => !gone.has(each) && !each.leaving);
          const fresh = Array.from({ length: planned.create }, () => makeIdle(`made-${(made += 1)}`));
          // What starts becomes ready, too.
          const next = [...left, ...fresh].map((each) =>
            each.current && each.usable && !each.ready ? makeIdle(each.pod.metadata.name) : each,
          );
          const rests =
            planned.create === 0 && next.length === idle.length && next.every((each, i) => each === idle[i]);
          idle = next;
          if (rests) break;
        }
        expect(idle).toHaveLength(poolTarget(specOf({ minAgents, maxAgents }), busy));
        expect(idle.every(({ current, ready: isReady, usable }) => current && isReady && usable)).toBe(true);
      }),
    );
  });

  it('it comes to rest with good pods and one that shows whether the present revision still cannot start', () => {
    fc.assert(
      fc.property(views, ({ pods, busy, maxAgents, minAgents }) => {
        // None of the present revision becomes ready.
        let idle = pods.map((options, i) =>
          makeIdle(`p${i}`, { ...options, ready: options.ready && options.revision !== BROKEN_REVISION }),
        );
        let rests = false;
        for (let round = 0; round < 60 && !rests; round += 1) {
          const view = { active: busy, pods: idle.length + busy, broken: true, instead: true };
          const planned = plan({ minAgents, maxAgents }, idle, view);
          const gone = new Set([...planned.remove, ...planned.surplus]);
          const left = idle.filter((each) => !gone.has(each) && !each.leaving);
          const fresh = Array.from({ length: planned.create }, (_, i) => makeIdle(`made-${round}-${i}`));
          const probes = Array.from({ length: planned.probes }, () =>
            makeIdle(`probe-${round}`, { ready: false, revision: BROKEN_REVISION }),
          );
          const next = [...left, ...fresh, ...probes].map((each) =>
            each.current && each.usable && !each.ready ? makeIdle(each.pod.metadata.name) : each,
          );
          rests = next.length === idle.length && next.every((each, i) => each === idle[i]);
          idle = next;
        }
        expect(rests).toBe(true);
        const target = poolTarget(specOf({ minAgents, maxAgents }), busy);
        const room = maxAgents - busy;
        const good = idle.filter(({ ready: isReady, usable }) => isReady && usable).length;
        const probes = idle.filter(({ probe }) => probe).length;
        // At the cap the probe has a place of the pool, but not the only one.
        expect(good).toBeGreaterThanOrEqual(Math.min(target, Math.max(1, room - 1)));
        expect(probes).toBeLessThanOrEqual(1);
        if (target > 0 && room > target) expect(probes).toBe(1);
      }),
    );
  });
});
