import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { Stage } from '../support/stage.ts';

/** The cap, on a real control plane, held against every revision there ever was. */
let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'capacity');
});

afterAll(() => stage?.close());

describe.concurrent('60 Sessions created at once against maxAgents: 5', () => {
  test('Reject: never more than 5, and everybody gets an answer', async () => {
    const scene = await stage.scene('reject');
    await scene.agent('five', 5, { whenFull: 'Reject' }, { exit: { afterMs: 1500, code: 0 } });
    await scene.leader();
    const names = await scene.burst('five', 60);
    await scene.settled(names);
    const { violations, peaks, sessions, podsCreated, revisions } = await scene.replay();
    expect(violations).toEqual([]);
    expect(peaks['five']).toEqual({ pods: 5, sessions: 5 });
    const outcomes = Map.groupBy(sessions.values(), ({ status }) => `${status?.phase}/${status?.reason}`);
    const completed = outcomes.get('Ended/Completed')?.length ?? 0;
    expect([...outcomes.keys()].sort()).toEqual(['Ended/Completed', 'Rejected/AtCapacity']);
    expect(podsCreated).toBe(completed);
    console.log(`${completed} completed, ${60 - completed} rejected, over ${revisions} revisions`);
  });

  test('Queue: never more than 5, all run, first come first served', async () => {
    const scene = await stage.scene('queue');
    // Slow enough that most of the early ones still wait when the late ones come.
    const slow = { exit: { afterMs: 500, code: 0 } };
    await scene.agent('five', 5, { whenFull: 'Queue', queueTimeoutSeconds: 600 }, slow);
    await scene.leader();
    const since = Date.now();
    const early = await scene.burst('five', 60, 'early');
    // The server notes the order of arrival in whole seconds.
    await sleep(2_000);
    const late = await scene.burst('five', 10, 'late');
    await scene.settled([...early, ...late]);
    const { violations, peaks, sessions, podsCreated, revisions } = await scene.replay();
    expect(violations).toEqual([]);
    expect(peaks['five']).toEqual({ pods: 5, sessions: 5 });
    expect(podsCreated).toBe(70);
    expect([...sessions.values()].map(({ status }) => status?.reason)).toEqual(Array(70).fill('Completed'));
    console.log(`70 ran, 5 at a time, in ${(Date.now() - since) / 1000} s, over ${revisions} revisions`);
    const admissions = (prefix: string): number[] =>
      [...sessions.values()]
        .filter(({ metadata }) => metadata.name.startsWith(prefix))
        .map(({ status }) => Date.parse(status?.admittedAt ?? ''));
    expect(Math.max(...admissions('early'))).toBeLessThanOrEqual(Math.min(...admissions('late')));
  });
});
