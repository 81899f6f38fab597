import { readCounters, between } from '../counters.ts';
import { decimal, ms, table } from '../markdown.ts';
import { Observer } from '../observer.ts';
import { summarize } from '../statistics.ts';
import type { Scenario } from './scenario.ts';

const SIZE = 300;

export const burst: Scenario = {
  title: `${SIZE} Sessions at once: until each has its pod`,
  async run(bed, { repeat, log }) {
    const controller = await bed.startController();
    const rows: string[][] = [];
    for (let round = 0; round < repeat; round++) {
      const agent = `burst-${round}`;
      await bed.createAgent({ name: agent });
      const names = Array.from({ length: SIZE }, (_, index) => `${agent}-${index}`);
      const observer = await Observer.start(bed);
      const before = await readCounters(bed, controller);
      const began = performance.now();
      await Promise.all(names.map((name) => bed.createSession(name, agent)));
      const created = performance.now() - began;
      await observer.all(names, 'running', 120_000);
      await observer.stop();
      const { cpuSeconds } = between(before, await readCounters(bed, controller));
      const pods = summarize(names.map((name) => (observer.of(name).pod ?? NaN) - began));
      const running = summarize(names.map((name) => (observer.of(name).running ?? NaN) - began));
      log(`burst ${round + 1}: the last pod after ${ms(pods.max)} ms`);
      rows.push([
        String(round + 1),
        ...[created, pods.p50, pods.max, running.p50, running.max].map((value) => ms(value)),
        decimal(cpuSeconds),
      ]);
    }
    return [
      `### ${SIZE} Sessions at once, in milliseconds from the first call`,
      table(
        ['run', 'all calls answered', 'pod p50', 'last pod', 'Running p50', 'last Running', 'controller CPU s'],
        rows,
      ),
    ].join('\n\n');
  },
};
