import { beforeEach, describe, expect, it } from 'vitest';
import type { Agent } from '../../api/agent.ts';
import { clientError } from '../../kube/errors.ts';
import { STRICT_POLICY } from '../../pods/policy.ts';
import type { Serving } from '../agent-state.ts';
import { makeAgent } from '../testing/objects.ts';
import type { Attempts } from './attempts.ts';
import { LastGood } from './last-good.ts';
import { RevisionRecorder } from './revision-recorder.ts';
import { agentOf, KEY, RecordStage, supervisor } from './testing/record-stage.ts';

const { signal } = new AbortController();

let stage: RecordStage;
let attempts: Attempts;
let lastGood: LastGood;

beforeEach(() => {
  stage = new RecordStage();
  restart();
});

/** As after a change of the leader: nothing is remembered but what is stage.stored. */
function restart(): void {
  attempts = stage.attempts();
  lastGood = new LastGood({ api: stage.api, platform: stage.platform, attempts });
}

/** Records an Agent of this image, of which a pod is ready; returns its revision. */
async function recorded(spec: Agent['spec'] = { image: 'good' }): Promise<string> {
  const agent = agentOf(spec);
  const verdict = stage.judge(agent);
  new RevisionRecorder({ api: stage.api, attempts }).record(KEY, agent, verdict, signal);
  await stage.clock.advanceAsync(0);
  lastGood.sawReady(KEY, agent, verdict.revision);
  return verdict.revision;
}

/** What serves instead of this Agent, once it has been asked for and read. */
async function instead(agent: Agent): Promise<Serving | 'loading' | undefined> {
  lastGood.insteadOf(KEY, agent, stage.judge(agent), signal);
  await stage.clock.advanceAsync(0);
  return lastGood.insteadOf(KEY, agent, stage.judge(agent), signal);
}

describe('the last good revision', () => {
  it('is that of which a pod was ready last', async () => {
    const good = await recorded();
    const next = agentOf({ image: 'next' }, { lastReadyRevision: 'before' });
    expect(lastGood.revisionOf(KEY, next)).toBe(good);
    restart();
    expect(lastGood.revisionOf(KEY, next)).toBe('before');
  });

  it('serves with the present scaling and limits, also under another leader', async () => {
    const good = await recorded();
    restart();
    const scaling = { minAgents: 4, maxAgents: 9 };
    const broken = agentOf({ image: 'broken', scaling, startTimeoutSeconds: 7 }, { lastReadyRevision: good });
    const serving = await instead(broken);
    expect(serving).toMatchObject({
      revision: good,
      spec: { image: 'good', scaling, startTimeoutSeconds: 7 },
    });
  });

  it('is read once, and waited for', async () => {
    const good = await recorded();
    restart();
    stage.requests = [];
    const broken = (image: string) => agentOf({ image }, { lastReadyRevision: good });
    for (let i = 0; i < 2; i += 1)
      expect(lastGood.insteadOf(KEY, broken('broken:1'), stage.judge(broken('broken:1')), signal)).toBe('loading');
    await instead(broken('broken:1'));
    await instead(broken('broken:2'));
    expect(stage.requests).toEqual([`get echo-${good}`]);
  });

  it('is of no help where it would be the same pods again', async () => {
    const good = await recorded();
    expect(await instead(agentOf({ image: 'good' }, { lastReadyRevision: good }, 'now'))).toBeUndefined();
  });

  it('is judged by the rules of today', async () => {
    const hostNetwork = { podTemplate: { spec: { hostNetwork: true } } };
    stage.platform = { supervisor, policy: { ...STRICT_POLICY, allowHostNamespaces: true } };
    restart();
    const lastReadyRevision = await recorded({ image: 'good', ...hostNetwork });
    stage.platform = { supervisor, policy: STRICT_POLICY };
    restart();
    const broken = agentOf({ image: 'broken' }, { lastReadyRevision });
    expect(await instead(broken)).toBeUndefined();
    await instead(broken);
    expect(stage.logged).toEqual([`cannot use the last good revision, ${lastReadyRevision}`]);
  });

  it.each([
    ['is missing', () => stage.stored.clear()],
    ['cannot be read', () => (stage.failure = clientError('get', 'ConnectionLost', 'unknown'))],
    ['holds nothing', () => stage.stored.forEach((each, name) => stage.stored.set(name, { ...each, data: {} }))],
  ])('is not used when its record %s, which is said once, and looked for again a minute later', async (_how, spoil) => {
    const good = await recorded();
    restart();
    const kept = [...stage.stored];
    stage.requests = [];
    stage.woken = 0;
    spoil();
    const broken = agentOf({ image: 'broken' }, { lastReadyRevision: good });
    expect(await instead(broken)).toBeUndefined();
    expect(await instead(broken)).toBeUndefined();
    expect(stage.requests).toHaveLength(1);
    expect(stage.woken).toBe(1);
    stage.stored = new Map(kept);
    stage.woken = 0;
    await stage.clock.advanceAsync(60_000);
    expect(stage.woken).toBe(1);
    expect(await instead(broken)).toMatchObject({ revision: good });
    expect(stage.logged).toEqual([`cannot read the last good revision, ${good}`]);
  });

  it('is that of the Agent that there is, not of one of its name before', async () => {
    await recorded();
    const again = { ...agentOf({ image: 'good' }), metadata: { ...makeAgent().metadata, uid: 'another' } };
    expect(lastGood.revisionOf(KEY, again)).toBeUndefined();
  });
});
