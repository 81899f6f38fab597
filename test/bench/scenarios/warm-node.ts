import { setTimeout as sleep } from 'node:timers/promises';
import { supervisorContainer } from '../../../src/api/names.ts';
import { loadBullpenImage } from '../../support/bullpen-image.ts';
import type { ContainerUsage } from '../../support/container-usage.ts';
import { ECHO_AGENT_IMAGE, loadEchoAgentImage } from '../../support/example-images.ts';
import { listeningAfterMs, supervisorUsage } from '../../support/supervisor-usage.ts';
import type { Bed, BedPod } from '../bed.ts';
import { decimal, ms, table } from '../markdown.ts';
import { Observer } from '../observer.ts';
import { median, summarize } from '../statistics.ts';
import type { Scenario } from './scenario.ts';

const POOL = 5;
const WARM_STARTS = 20;
const COLD_STARTS = 5;
const RUNNING_SECONDS = 30;

/** What a supervisor may take. */
const AIM = { listeningMs: 150, anonymousMB: 30 };

/** Many fit on a small node. */
const SPEC = {
  image: ECHO_AGENT_IMAGE,
  protocol: 'Http' as const,
  terminationGracePeriodSeconds: 5,
  podTemplate: {
    spec: {
      containers: [
        {
          name: 'agent',
          imagePullPolicy: 'Never',
          resources: { requests: { cpu: '10m', memory: '32Mi' }, limits: { memory: '128Mi' } },
        },
      ],
    },
  },
};

export const warmNode: Scenario = {
  title: `warm and cold starts of protocol Http on a real kubelet, and what the supervisor uses`,
  nodes: 'real',
  async run(bed, { quick, log }) {
    log('loading images');
    await loadBullpenImage(bed.cluster);
    await loadEchoAgentImage(bed.cluster);
    await bed.startController();
    await bed.createAgent({
      name: 'warm',
      keepNothing: true,
      spec: { ...SPEC, scaling: { minAgents: POOL, maxAgents: 20 } },
    });
    await bed.createAgent({ name: 'cold', keepNothing: true, spec: SPEC });
    const observer = await Observer.start(bed, { pods: false });
    const warm = await measure(bed, observer, 'warm', quick ? 3 : WARM_STARTS);
    log('cold starts');
    const cold = await measure(bed, observer, 'cold', quick ? 2 : COLD_STARTS);
    await observer.stop();
    log('what the supervisor uses');
    await bed.rest(POOL);
    return [
      '### On a real kubelet, in milliseconds from the create call of a Session',
      table(
        ['starts', 'Running p50', 'p99', 'max', '`/bot` p50', 'p99', 'of the kind meant'],
        [
          [`${warm.running.count} warm, one at a time, pool of ${POOL}`, ...warm.cells],
          [`${cold.running.count} cold, one at a time`, ...cold.cells],
        ],
      ),
      await footprint(bed, quick ? 5 : RUNNING_SECONDS),
    ].join('\n\n');
  },
};

/** Starts one at a time, each when the pool is full again and nothing else is left of the one before. */
async function measure(bed: Bed, observer: Observer, agent: 'warm' | 'cold', count: number) {
  const running: number[] = [];
  const toBot: number[] = [];
  let asMeant = 0;
  for (let index = 0; index < count; index++) {
    const name = `${agent}-${index}`;
    await bed.rest(POOL);
    await sleep(1000);
    const [own, wall] = [performance.now(), Date.now()];
    await bed.createSession(name, agent, JSON.stringify({ seconds: 1 }));
    await observer.all([name], 'running', 60_000);
    await observer.all([name], 'ended', 60_000);
    const { startKind, startedAt = '' } = observer.last(name)?.status ?? {};
    running.push((observer.of(name).running ?? NaN) - own);
    // The supervisor notes when it tells the agent, by the clock of this machine.
    toBot.push(Date.parse(startedAt) - wall);
    if (startKind?.toLowerCase() === agent) asMeant += 1;
  }
  const summary = summarize(running);
  const bots = summarize(toBot);
  return {
    running: summary,
    cells: [
      ...[summary.p50, summary.p99, summary.max, bots.p50, bots.p99].map((value) => ms(value)),
      `${asMeant} of ${count}`,
    ],
  };
}

/** Of the supervisors of the pool, which wait, and of one that has a session. */
async function footprint(bed: Bed, seconds: number): Promise<string> {
  const waiting = await bed.warmPods('warm');
  const startMs = await Promise.all(waiting.map(async (pod) => listeningAfterMs(await supervisorLog(bed, pod))));
  const idle = await observe(bed, waiting, seconds);
  const observer = await Observer.start(bed, { pods: false });
  await bed.createSession('used', 'warm', '{}');
  await observer.all(['used'], 'running', 60_000);
  const pod = `${bed.pods}/${observer.last('used')?.status?.podName ?? ''}`;
  const busy = await observe(bed, [await bed.api.call<BedPod>('GET', pod)], seconds);
  await bed.api.text('PATCH', `${bed.sessions}/used`, { spec: { stop: true } }, 'application/merge-patch+json');
  await observer.stop();
  const row = (what: string, { anonymousMiB, cpuSeconds }: ContainerUsage): string[] => [
    what,
    decimal(anonymousMiB, 1),
    decimal((anonymousMiB * 2 ** 20) / 1e6, 1),
    decimal((1000 * cpuSeconds) / seconds, 2),
  ];
  return [
    table(
      [`a supervisor, over ${seconds} s`, 'anonymous memory MiB', 'in MB', 'CPU ms per second'],
      [
        row('waits for a session', idle),
        row('has a session', busy),
        ['aim', '', `< ${AIM.anonymousMB}`, 'next to none'],
      ],
    ),
    `It listens ${ms(median(startMs))} ms after its process began (the greatest of ${startMs.length}: ${ms(Math.max(...startMs))} ms; aim: < ${AIM.listeningMs} ms).`,
  ].join('\n\n');
}

/** The median of these pods' supervisors: memory at the end, and processor time in the meantime. */
async function observe(bed: Bed, pods: readonly BedPod[], seconds: number): Promise<ContainerUsage> {
  const before = await Promise.all(pods.map((pod) => supervisorUsage(bed.cluster, pod)));
  await sleep(1000 * seconds);
  const after = await Promise.all(pods.map((pod) => supervisorUsage(bed.cluster, pod)));
  return {
    anonymousMiB: median(after.map(({ anonymousMiB }) => anonymousMiB)),
    cpuSeconds: median(after.map(({ cpuSeconds }, index) => cpuSeconds - (before[index]?.cpuSeconds ?? NaN))),
  };
}

async function supervisorLog(bed: Bed, { metadata }: BedPod): Promise<string> {
  const args = ['logs', metadata.name, '--namespace', bed.namespace, '--container', supervisorContainer];
  return (await bed.cluster.kubectl(args)).stdout;
}
