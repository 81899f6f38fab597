import { describe, expect, it } from 'vitest';
import { labels, startedByGateway } from '../../src/api/names.ts';
import { sessions } from '../../src/api/resources.ts';
import type { Session } from '../../src/api/session.ts';
import { pods } from '../../src/kube/resources.ts';
import { report, secondsSince, useBullpen } from '../support/bullpen.ts';

/** How long the traces of ended sessions stay. */
const bullpen = await useBullpen('e2e-retention');
const { kube } = bullpen;
const byGateway = { [labels.startedBy]: startedByGateway };

/** Runs one session after the other, so that they ended in this order. */
async function runOneByOne(agent: string, names: string[], sessionLabels = {}): Promise<Session[]> {
  const ended = [];
  for (const name of names) {
    await kube.createSession(name, { agent }, sessionLabels);
    ended.push(await kube.sessionInPhase(name, 'Ended'));
  }
  return ended;
}

function podName(session: Session | undefined): string {
  return session?.status?.podName ?? '';
}

describe.concurrent('pods of ended sessions', () => {
  it('go when they are too old; the Session and its record stay', async () => {
    await kube.createAgent('aging', 'exit 0', { retention: { pods: { seconds: 2 } } });
    const [ended] = await runOneByOne('aging', ['aging']);
    await kube.gone(pods, podName(ended));
    const endedAt = Date.parse(ended?.status?.endedAt ?? '');
    report(`retention.pods.seconds 2: pod gone ${secondsSince(endedAt)} after the end`);
    expect(Date.now() - endedAt).toBeGreaterThanOrEqual(2000);
    expect((await kube.session('aging')).status).toMatchObject({ phase: 'Ended', reason: 'Completed' });
  });

  it('go at once where none are kept', async () => {
    await kube.createAgent('tidy', 'exit 5', { retention: { pods: { count: 0 } } });
    const [ended] = await runOneByOne('tidy', ['tidy']);
    await kube.gone(pods, podName(ended));
    expect((await kube.session('tidy')).status).toMatchObject({ phase: 'Ended', reason: 'Failed', exitCode: 5 });
  });

  it('go oldest first when there are too many', async () => {
    await kube.createAgent('crowded', 'sleep 1', { retention: { pods: { count: 1 } } });
    const [older, newer] = await runOneByOne('crowded', ['older', 'newer']);
    await kube.gone(pods, podName(older));
    expect((await kube.pod(podName(newer))).metadata.deletionTimestamp).toBeUndefined();
    expect(await bullpen.logs(newer as Session)).toBe('');
  });
});

describe.concurrent('ended Sessions', () => {
  it('that were started over REST go when they are too old; those that a manifest made stay', async () => {
    await kube.createAgent('served', 'exit 0', { retention: { sessions: { seconds: 1 } } });
    await runOneByOne('served', ['by-manifest']);
    await kube.createSession('by-gateway', { agent: 'served' }, byGateway);
    await kube.gone(sessions, 'by-gateway');
    expect((await kube.session('by-manifest')).metadata.deletionTimestamp).toBeUndefined();
  });

  it('that were started over REST go oldest first when there are too many', async () => {
    await kube.createAgent('busy', 'sleep 1', { retention: { sessions: { count: 1 } } });
    const [first, second] = await runOneByOne('busy', ['first', 'second'], byGateway);
    await kube.gone(sessions, 'first');
    await bullpen.podsGone(first as Session);
    expect((await kube.session('second')).metadata.uid).toBe(second?.metadata.uid);
  });

  it('with a time to live of their own keep to that', async () => {
    await kube.createAgent('own', 'exit 0', { retention: { sessions: { count: 0 } } });
    await kube.createSession('own-ttl', { agent: 'own', ttlSecondsAfterFinished: 3600 }, byGateway);
    await kube.sessionInPhase('own-ttl', 'Ended');
    await kube.createSession('no-ttl', { agent: 'own' }, byGateway);
    // Both are judged in one pass: when one is gone, the other has been spared.
    await kube.gone(sessions, 'no-ttl');
    expect((await kube.session('own-ttl')).metadata.deletionTimestamp).toBeUndefined();
  });
});
