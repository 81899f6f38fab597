import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { report, secondsSince, useBullpen } from '../support/bullpen.ts';
import { Recorder } from '../support/replay.ts';
import { replay } from '../support/replay-rules.ts';

/** A burst on a real kubelet, in the middle of which the controller is killed. Every revision that there ever was is looked at. */
const bullpen = await useBullpen('e2e-burst');
const { kube } = bullpen;

const SESSIONS = 60;
const MAX_AGENTS = 5;

describe('60 Sessions created at once against maxAgents: 5', () => {
  let recorder: Recorder;
  beforeAll(async () => {
    recorder = await Recorder.start(bullpen.cluster, bullpen.namespace);
  });
  afterAll(() => recorder.close());

  it('never exceed 5 and all run once, though the controller is killed in the middle and started again', async () => {
    await kube.createAgent('five', 'exit 0', {
      scaling: { maxAgents: MAX_AGENTS },
      whenFull: 'Queue',
      queueTimeoutSeconds: 600,
    });
    const since = Date.now();
    const names = Array.from({ length: SESSIONS }, (_, index) => `burst-${index}`);
    await Promise.all(names.map((name) => kube.createSession(name, { agent: 'five' })));
    await kube.sessionInPhase('burst-10', 'Starting', 'Running', 'Ended');
    await bullpen.replaceController();
    await Promise.all(names.map((name) => kube.sessionInPhase(name, 'Ended')));
    report(`${SESSIONS} sessions, ${MAX_AGENTS} at a time, with a new leader in between: ${secondsSince(since)}`);
    const { violations, peaks, podsCreated, sessions, revisions } = replay(await recorder.changes(), {
      five: MAX_AGENTS,
    });
    report(`${revisions} revisions replayed`);
    expect(violations).toEqual([]);
    expect(peaks['five']).toEqual({ pods: MAX_AGENTS, sessions: MAX_AGENTS });
    expect(podsCreated).toBe(SESSIONS);
    expect([...sessions.values()].map(({ status }) => status?.reason)).toEqual(names.map(() => 'Completed'));
  });
});
