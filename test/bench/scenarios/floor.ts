import type { Bed } from '../bed.ts';
import { currentVersion, follow } from '../follow.ts';
import { ms, table } from '../markdown.ts';
import { openLoop } from '../open-loop.ts';
import { summarize } from '../statistics.ts';
import type { Scenario } from './scenario.ts';

export const floor: Scenario = {
  title: 'the same clock on what the API server does alone, and whether the generator keeps up',
  async run(bed, { quick }) {
    const seconds = quick ? 5 : 30;
    // Once around for connections and code that is not compiled yet.
    await createAndWatch(bed, 'configmaps', 'warm-up', 20, 3);
    const configMaps = await createAndWatch(bed, 'configmaps', 'config', 40, seconds);
    const pods = await createAndWatch(bed, 'pods', 'pod', 20, seconds);
    const rows = [
      ['ConfigMap created → its watch event, 40 per second', configMaps],
      ['Pod created (and scheduled, and run by the fake kubelet) → its first watch event, 20 per second', pods],
    ] as const;
    return [
      '### Without Bullpen, in milliseconds',
      table(
        ['what', 'p50', 'p99', 'max', 'sent late max'],
        rows.map(([name, { times, lateness }]) => [
          name,
          ...[times.p50, times.p99, times.max, lateness.max].map((value) => ms(value)),
        ]),
      ),
    ].join('\n\n');
  },
};

async function createAndWatch(
  bed: Bed,
  plural: 'configmaps' | 'pods',
  prefix: string,
  perSecond: number,
  seconds: number,
) {
  const path = `/api/v1/namespaces/${bed.namespace}/${plural}`;
  const version = await currentVersion(bed.api, path);
  const abort = new AbortController();
  const sentAt = new Map<string, number>();
  const seenAt = new Map<string, number>();
  const count = perSecond * seconds;
  const allSeen = Promise.withResolvers<undefined>();
  const watching = follow(bed.api, path, version, abort.signal, ({ metadata: { name } }) => {
    if (!name.startsWith(prefix) || seenAt.has(name)) return;
    seenAt.set(name, performance.now());
    if (seenAt.size === count) allSeen.resolve(undefined);
  }).catch((error: unknown) => allSeen.reject(error));
  const lateness = await openLoop({
    perSecond,
    count,
    arrivals: 'even',
    send: async (index) => {
      const name = `${prefix}-${index}`;
      sentAt.set(name, performance.now());
      await bed.api.text('POST', path, manifest(plural, name));
    },
  });
  await allSeen.promise;
  abort.abort();
  await watching;
  const times = [...sentAt].map(([name, sent]) => (seenAt.get(name) ?? NaN) - sent);
  return { times: summarize(times), lateness: summarize(lateness) };
}

function manifest(plural: 'configmaps' | 'pods', name: string): object {
  const metadata = { name };
  if (plural === 'configmaps') return { metadata, data: { text: 'x'.repeat(500) } };
  return {
    metadata,
    spec: { restartPolicy: 'Never', containers: [{ name: 'agent', image: 'registry.example/agent:1' }] },
  };
}
