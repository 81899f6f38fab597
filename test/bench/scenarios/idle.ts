import { setTimeout as sleep } from 'node:timers/promises';
import { between, readCounters } from '../counters.ts';
import { decimal, table } from '../markdown.ts';
import { Observer } from '../observer.ts';
import { openLoop } from '../open-loop.ts';
import type { Scenario } from './scenario.ts';

export const idle: Scenario = {
  title: 'what 200 live Sessions cost while nothing happens',
  async run(bed, { quick, log }) {
    const controller = await bed.startController();
    await bed.createAgent({ name: 'long' });
    const names = Array.from({ length: 200 }, (_, index) => `live-${index}`);
    const observer = await Observer.start(bed);
    await openLoop({
      perSecond: 40,
      count: names.length,
      arrivals: 'even',
      send: (index) => bed.createSession(names[index] ?? '', 'long'),
    });
    await observer.all(names, 'running', 60_000);
    await observer.stop();
    log('waiting until the last counts are written');
    await sleep(15_000);
    const seconds = quick ? 15 : 60;
    log(`counting for ${seconds} s`);
    const before = await readCounters(bed, controller);
    await sleep(seconds * 1000);
    const { writes, controllerWrites, reconciles, cpuSeconds, at } = between(
      before,
      await readCounters(bed, controller),
    );
    const perSecond = (count: number): string => decimal((1000 * count) / at, 3);
    const rows = [
      ...[...writes].map(([name, count]) => [`API server: ${name}`, perSecond(count)]),
      ...[...controllerWrites].map(([name, count]) => [`the controller's own count: ${name}`, perSecond(count)]),
      ...[...reconciles].map(([name, count]) => [`reconciliations: ${name}`, perSecond(count)]),
    ];
    return [
      '### When idle: 200 live Sessions, nothing happens',
      table([`mutations, counted for ${decimal(at / 1000, 0)} s`, 'per second'], rows),
      `Controller CPU: ${decimal((100_000 * cpuSeconds) / at, 2)} % of one core.`,
    ].join('\n\n');
  },
};
