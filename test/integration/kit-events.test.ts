import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/kube/clock.ts';
import { EventRecorder, referenceTo } from '../../src/kube/events.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { configMaps } from '../support/config-maps.ts';
import { TestKube } from '../support/kube.ts';

/** What the recorder writes is what people see. */
const cluster = await connectCluster();
const namespace = `kit-events-${Date.now().toString(36)}`;
const kube = new TestKube(cluster, namespace);

beforeAll(() => kube.createNamespace());

afterAll(async () => {
  await cluster.kubectl(['delete', 'namespace', namespace, '--wait=false']);
  await kube.close();
});

test('Events show in kubectl describe, with how often they happened', async () => {
  const object = await kube.api.create(configMaps, namespace, { metadata: { name: 'thing' } });
  const recorder = new EventRecorder({
    api: kube.api,
    controller: 'bullpen.dev/test',
    instance: 'test-1',
    clock: systemClock,
  });
  const note = { regarding: referenceTo(configMaps, object), action: 'Test' } as const;
  for (let times = 0; times < 3; times++)
    recorder.event({ ...note, type: 'Warning', reason: 'Repeated', note: 'it happened again' });
  recorder.event({ ...note, type: 'Normal', reason: 'Once', note: `a long one: ${'é'.repeat(2000)}` });
  await recorder.stop();
  const { stdout } = await cluster.kubectl(['describe', 'configmap', 'thing', '--namespace', namespace]);
  const lines = stdout.split('\n').filter((line) => line.includes('bullpen.dev/test'));
  expect(lines).toHaveLength(2);
  expect(lines.find((line) => line.includes('Repeated'))).toMatch(
    /Warning\s+Repeated\s+.*\(x3 over .*\)\s+bullpen.dev\/test\s+it happened again/,
  );
  expect(lines.find((line) => line.includes('Once'))).toMatch(/Normal\s+Once\s+.*a long one: é+/);
});
