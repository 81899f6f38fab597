import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Session } from '../../src/api/session.ts';
import { pods } from '../../src/kube/resources.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { ControllerProcess } from '../support/controller-process.ts';
import { TestKube } from '../support/kube.ts';

/** The life of a session of protocol Process on a real kubelet. */
const NAMESPACE = 'e2e-session-life';

let cluster: Cluster;
let kube: TestKube;
let controller: ControllerProcess;

beforeAll(async () => {
  cluster = await connectCluster();
  await cluster.kubectl(['apply', '-f', 'crds']);
  kube = new TestKube(cluster, NAMESPACE);
  await kube.createNamespace();
  controller = await ControllerProcess.startLeading(cluster, { namespace: NAMESPACE, watchNamespaces: [NAMESPACE] });
});

afterAll(async () => {
  await controller?.stop();
  await kube?.close();
});

async function logs(session: Session, ...options: string[]): Promise<string> {
  const { stdout } = await cluster.kubectl(['logs', '-n', NAMESPACE, session.status?.podName ?? '', ...options]);
  return stdout;
}

describe('a session', () => {
  it('runs to success, with its id and body as environment and file', async () => {
    await kube.createAgent(
      'echo',
      'echo "id=$BULLPEN_SESSION_ID env=$BULLPEN_BODY"; printf "file="; cat "$BULLPEN_BODY_FILE"',
    );
    const body = '{"text": "grüße, 世界 \\n \\"quoted\\" $HOME $(HOME)"}';
    const created = await kube.createSession('success', { agent: 'echo', body });
    const ended = await kube.sessionInPhase('success', 'Ended');
    expect(ended.status).toMatchObject({
      reason: 'Completed',
      exitCode: 0,
      startKind: 'Cold',
      endedAtSource: 'Kubelet',
    });
    expect(await logs(ended)).toBe(`id=${created.metadata.uid} env=${body}\nfile=${body}`);
  });

  it('ends as Failed with the agent’s exit code', async () => {
    await kube.createAgent('seven', 'echo oh no; exit 7');
    await kube.createSession('failed', { agent: 'seven' });
    const { status } = await kube.sessionInPhase('failed', 'Ended');
    expect(status).toMatchObject({ reason: 'Failed', exitCode: 7, message: 'the agent exited with code 7' });
  });

  it('ends as OutOfMemory when the agent uses more than its limit', async () => {
    await kube.createAgent('greedy', 'head -c 200m /dev/zero | tail');
    await kube.createSession('oom', { agent: 'greedy' });
    const { status } = await kube.sessionInPhase('oom', 'Ended');
    expect(status).toMatchObject({ reason: 'OutOfMemory' });
  });

  it('is cut at its limit, not before it, and the agent hears TERM', async () => {
    await kube.createAgent('endless', `trap 'echo term; exit 0' TERM; echo start; while :; do sleep 0.05; done`);
    const limit = 4;
    await kube.createSession('limit', { agent: 'endless', maxSessionDuration: limit });
    const ended = await kube.sessionInPhase('limit', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'DeadlineExceeded' });
    // The container runtime notes when it read each line, to the nanosecond.
    const lines = (await logs(ended, '--timestamps')).split('\n').map((line) => line.split(' '));
    const [start, term] = ['start', 'term'].map(
      (word) => Date.parse(lines.find((line) => line[1] === word)?.[0] ?? '') / 1000,
    );
    const overshoot = (term ?? 0) - (start ?? 0) - limit;
    console.log(`cut ${overshoot.toFixed(2)} s after the limit of ${limit} s`);
    expect(overshoot).toBeGreaterThanOrEqual(-0.1); // The shell writes its first line a moment after its container started.
    expect(overshoot).toBeLessThan(15);
  });

  it('is stopped: TERM at once, a goodbye, and its logs are kept', async () => {
    const trap = "trap 'echo goodbye; exit 0' TERM; echo hello; while :; do sleep 0.05; done";
    await kube.createAgent('polite', trap);
    await kube.createSession('stop', { agent: 'polite' });
    await kube.sessionInPhase('stop', 'Running');
    const since = Date.now();
    await kube.patchSession('stop', { stop: true });
    const ended = await kube.sessionInPhase('stop', 'Ended');
    console.log(`stopped ${((Date.now() - since) / 1000).toFixed(2)} s after spec.stop`);
    expect(ended.status).toMatchObject({ reason: 'Stopped' });
    expect(await logs(ended)).toBe('hello\ngoodbye\n');
  });

  it('is deleted: its pod goes with it and nothing is left', async () => {
    await kube.createSession('delete', { agent: 'polite' });
    const running = await kube.sessionInPhase('delete', 'Running');
    await kube.deleteSession('delete');
    await kube.gone(pods, running.status?.podName ?? '');
  });
});
