import { beforeEach, describe, expect, it } from 'vitest';
import type { Agent } from '../../api/agent.ts';
import { errorFromAnswer } from '../../kube/errors.ts';
import { makeAgent } from '../testing/objects.ts';
import { RevisionRecorder } from './revision-recorder.ts';
import { agentOf, KEY, RecordStage } from './testing/record-stage.ts';

const { signal } = new AbortController();

let stage: RecordStage;
let recorder: RevisionRecorder;

beforeEach(() => {
  stage = new RecordStage();
  recorder = start();
});

/** As after a change of the leader: nothing is remembered but what is stored. */
function start(): RevisionRecorder {
  return new RevisionRecorder({ api: stage.api, attempts: stage.attempts() });
}

/** Returns the Agent's revision. */
async function record(agent: Agent): Promise<string> {
  const verdict = stage.judge(agent);
  recorder.record(KEY, agent, verdict, signal);
  await stage.clock.advanceAsync(0);
  return verdict.revision;
}

describe('a revision', () => {
  it('is known to be on record when it is, not before', async () => {
    const agent = agentOf({ image: 'a' });
    const verdict = stage.judge(agent);
    recorder.record(KEY, agent, verdict, signal);
    recorder.record(KEY, agent, verdict, signal);
    expect(recorder.recordedOf(KEY, agent)).toBeUndefined();
    await stage.clock.advanceAsync(0);
    expect(recorder.recordedOf(KEY, agent)).toBe(verdict.revision);
    expect(stage.requests).toEqual(['list', `create echo-${verdict.revision}`]);
    expect(stage.woken).toBe(1);
  });

  it('is recorded whatever the protocol of its Agent is', async () => {
    const revision = await record(agentOf({ image: 'a', protocol: 'Process' }));
    expect(stage.stored.get(`echo-${revision}`)?.data).toMatchObject({ spec: { image: 'a', protocol: 'Process' } });
  });

  it('is known to the next leader by the status of its Agent', async () => {
    const recordedRevision = await record(agentOf({ image: 'a' }));
    recorder = start();
    expect(recorder.recordedOf(KEY, agentOf({ image: 'a' }, { recordedRevision }))).toBe(recordedRevision);
  });

  it('that comes back is the newest again, and keeps its record', async () => {
    const first = await record(agentOf({ image: 'a' }));
    const second = await record(agentOf({ image: 'b' }));
    stage.requests = [];
    expect(await record(agentOf({ image: 'a' }))).toBe(first);
    expect(stage.requests).toEqual(['list', `patch echo-${first}`]);
    const numbers = [first, second].map((revision) => stage.stored.get(`echo-${revision}`)?.revision);
    expect(numbers).toEqual([3, 2]);
  });

  it('of an Agent that was made again takes the place of the one before', async () => {
    const revision = await record(agentOf({ image: 'a' }));
    const again = { ...agentOf({ image: 'a' }), metadata: { ...makeAgent().metadata, uid: 'another' } };
    expect(recorder.recordedOf(KEY, again)).toBeUndefined();
    await record(again);
    expect(stage.stored.get(`echo-${revision}`)?.metadata.ownerReferences).toMatchObject([{ uid: 'another' }]);
  });

  it('is recorded a minute later when that fails, which is said once', async () => {
    const agent = agentOf({ image: 'a' });
    stage.failure = errorFromAnswer('list', 403, 'forbidden', undefined);
    await record(agent);
    await record(agent);
    expect(stage.requests).toEqual(['list']);
    expect(recorder.recordedOf(KEY, agent)).toBeUndefined();
    stage.woken = 0;
    await stage.clock.advanceAsync(60_000);
    expect(stage.woken).toBe(1);
    const revision = await record(agent);
    expect(stage.stored.has(`echo-${revision}`)).toBe(true);
    expect(stage.logged).toEqual([`cannot record the revision ${revision}`]);
  });
});
