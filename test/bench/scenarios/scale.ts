import { setTimeout as sleep } from 'node:timers/promises';
import type { ControllerProcess } from '../../support/controller-process.ts';
import type { Bed } from '../bed.ts';
import { runLeg } from '../leg.ts';
import { decimal, ms, table } from '../markdown.ts';
import { Observer } from '../observer.ts';
import { openLoop } from '../open-loop.ts';
import { usageOf } from '../process-usage.ts';
import { createEnded } from '../ended-sessions.ts';
import { total } from '../prometheus.ts';
import type { Scenario, ScenarioContext } from './scenario.ts';

const LIVE_AGENT = 'long';
const ENDED_AGENT = 'ended';
const SHORT_AGENT = 'short';

/** As many ended pods as an Agent keeps at most by default: they are in the controller's cache too. */
const ENDED_PODS = 100;

export const scale: Scenario = {
  title: 'memory, CPU and time to the first decision with 1,000 running and 10,000 ended Sessions',
  async run(bed, context) {
    const { quick } = context;
    const live = quick ? 100 : 1000;
    const ended = quick ? 1000 : 10_000;
    await populate(bed, context, live, ended);

    const rows: string[][] = [];
    let controller: ControllerProcess | undefined;
    for (let round = 0; round < context.repeat; round++) {
      await controller?.stop();
      const decision = await firstDecision(bed, `clean-${round}`);
      rows.push(['lease free', ...decision.cells]);
      controller = decision.controller;
    }
    if (controller === undefined) throw new Error('--repeat must be at least 1');
    await sleep(quick ? 2000 : 20_000);
    const settled = await usageOf(controller.pid);
    const leg = await runLeg(bed, controller, {
      name: 'at-scale',
      agent: SHORT_AGENT,
      load: { perSecond: 10, arrivals: 'even' },
      count: quick ? 50 : 300,
      warmPool: undefined,
    });
    const after = await usageOf(controller.pid);

    await controller.kill();
    const killed = await firstDecision(bed, 'killed');
    rows.push(['after SIGKILL', ...killed.cells]);
    const standby = await bed.spawnController();
    await standby.log('started; waiting for the lease');
    await sleep(5000);
    rows.push(['after SIGKILL, by a standby', ...(await takeover(bed, 'standby', killed.controller))]);

    const memory = [
      ['20 s after its start', settled],
      [`after ${leg.options.count} more Sessions at 10 per second`, after],
    ] as const;
    const perSession = (value: number): string => decimal(value / leg.options.count, 1);
    return [
      `### With ${live} running and ${ended} ended Sessions`,
      table(
        ['controller', 'RSS MiB', 'peak RSS MiB'],
        memory.map(([what, usage]) => [what, decimal(usage.rssMiB, 0), decimal(usage.peakRssMiB, 0)]),
      ),
      table(['from start to first decision, in milliseconds', 'leading', 'first pod'], rows),
      `At 10 Sessions per second beside them: pod p50 ${ms(leg.toPod.p50)} ms, p99 ${ms(leg.toPod.p99)} ms; ${perSession(1000 * leg.counted.cpuSeconds)} ms of controller CPU and ${perSession(total(leg.counted.reconciles))} reconciliations per Session.`,
    ].join('\n\n');
  },
};

/**
 * Sessions that run, with fake pods, and Sessions that have ended. Those that run are started by a controller, and so are the last of
 * the others, whose pods are still there; the rest is written. Afterwards no controller runs.
 */
async function populate(bed: Bed, { log }: ScenarioContext, live: number, ended: number): Promise<void> {
  const controller = await bed.startController();
  await bed.createAgent({ name: LIVE_AGENT });
  await bed.createAgent({ name: ENDED_AGENT, runMs: { least: 0, most: 500 } });
  await bed.createAgent({ name: SHORT_AGENT, runMs: { least: 2000, most: 5000 }, keepNothing: true });
  const observer = await Observer.start(bed);
  log(`starting ${live} Sessions`);
  const running = Array.from({ length: live }, (_, index) => `live-${index}`);
  await startAll(bed, running, LIVE_AGENT);
  await observer.all(running, 'running', 180_000);
  log(`starting ${ENDED_PODS} that end`);
  const short = Array.from({ length: ENDED_PODS }, (_, index) => `ended-${index}`);
  await startAll(bed, short, ENDED_AGENT);
  await observer.all(short, 'ended', 60_000);
  await observer.stop();
  await controller.stop();
  log(`writing ${ended - ENDED_PODS} that have ended`);
  await createEnded(bed, { agent: ENDED_AGENT, like: 'ended-0', count: ended - ENDED_PODS });
}

async function startAll(bed: Bed, names: readonly string[], agent: string): Promise<void> {
  const send = (index: number): Promise<void> => bed.createSession(names[index] ?? '', agent);
  await openLoop({ perSecond: 40, count: names.length, arrivals: 'even', send });
}

/** From the start of a process to the pod of a Session that waits for it. */
async function firstDecision(bed: Bed, name: string): Promise<{ controller: ControllerProcess; cells: string[] }> {
  const observer = await Observer.start(bed);
  await bed.createSession(name, LIVE_AGENT);
  const began = performance.now();
  const controller = await bed.spawnController();
  await controller.log('leading');
  const leading = performance.now() - began;
  await observer.all([name], 'pod', 60_000);
  await observer.stop();
  return { controller, cells: [ms(leading), ms((observer.of(name).pod ?? NaN) - began)] };
}

/** From the end of the leader to the pod that a standby, already running, makes. */
async function takeover(bed: Bed, name: string, leader: ControllerProcess): Promise<string[]> {
  const observer = await Observer.start(bed);
  const began = performance.now();
  await leader.kill();
  await bed.createSession(name, LIVE_AGENT);
  await observer.all([name], 'pod', 60_000);
  await observer.stop();
  return ['–', ms((observer.of(name).pod ?? NaN) - began)];
}
