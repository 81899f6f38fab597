import { setTimeout as sleep } from 'node:timers/promises';
import { between, readCounters } from '../counters.ts';
import { decimal, table } from '../markdown.ts';
import { Observer } from '../observer.ts';
import { openLoop } from '../open-loop.ts';
import { usageOf } from '../process-usage.ts';
import { warmPool } from '../workload.ts';
import type { Scenario } from './scenario.ts';

const LIVE = 200;
const POOL = 200;

export const idle: Scenario = {
  title: `what ${LIVE} live Sessions and ${POOL} warm pods cost while nothing happens`,
  async run(bed, { quick, log }) {
    const controller = await bed.startController();
    const first = await usageOf(controller.pid);
    await bed.createAgent({ name: 'long', spec: warmPool(POOL) });
    await bed.rest(POOL);
    const names = Array.from({ length: LIVE }, (_, index) => `live-${index}`);
    const observer = await Observer.start(bed, { pods: false });
    await openLoop({
      perSecond: 20,
      count: names.length,
      arrivals: 'even',
      send: (index) => bed.createSession(names[index] ?? '', 'long'),
    });
    await observer.all(names, 'running', 60_000);
    await observer.stop();
    log('waiting until the pool is full and the last counts are written');
    await sleep(20_000);
    const seconds = quick ? 15 : 60;
    log(`counting for ${seconds} s`);
    const before = await readCounters(bed, controller);
    await sleep(seconds * 1000);
    const { writes, reconciles, cpuSeconds, at } = between(before, await readCounters(bed, controller));
    const { rssMiB } = await usageOf(controller.pid);
    const perSecond = (count: number): string => decimal((1000 * count) / at, 3);
    const rows = [
      ...[...writes].map(([name, count]) => [name, perSecond(count)]),
      ...[...reconciles].map(([name, count]) => [`reconciliations: ${name}`, perSecond(count)]),
    ];
    return [
      `### When idle: ${LIVE} live Sessions and ${POOL} warm pods, nothing happens`,
      table([`mutations at the API server, counted for ${decimal(at / 1000, 0)} s`, 'per second'], rows),
      `Controller: ${decimal((100_000 * cpuSeconds) / at, 2)} % of one core, ${decimal(rssMiB, 0)} MiB resident (${decimal(first.rssMiB, 0)} MiB when it began to lead).`,
    ].join('\n\n');
  },
};
