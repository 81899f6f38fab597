import type { ControllerProcess } from '../support/controller-process.ts';
import type { Bed } from './bed.ts';
import { between, readCounters, type Counters } from './counters.ts';
import { Observer } from './observer.ts';
import { openLoop, type OpenLoopOptions } from './open-loop.ts';
import type { Counts } from './prometheus.ts';
import { summarize, type Summary } from './statistics.ts';

export interface LegOptions {
  /** Names of its Sessions begin with it. */
  name: string;
  agent: string;
  count: number;
  /** How they come: on a schedule, or each when the one before it is Running. `perSecond: Infinity` is all at once. */
  load: Pick<OpenLoopOptions, 'perSecond' | 'arrivals'> | 'one by one';
  /** How many pods wait when nothing else is left of the Agent's Sessions; undefined for an Agent that keeps what has ended. */
  warmPool: number | undefined;
  /** Whether it looks at pods: default true. To read all their changes takes processor time from what is measured. */
  watchPods?: boolean;
}

/** What one leg has shown; times in milliseconds from the moment the create call was sent. */
export interface Leg {
  options: LegOptions;
  /** Until the bench's watch showed the Session itself: what the API server alone takes. */
  toSession: Summary;
  /** Empty when it does not look at pods. */
  toPod: Summary;
  toRunning: Summary;
  /** Until the agent had `POST /bot`, on fake nodes with protocol Http; by the wall clock. */
  toBot: Summary;
  /** From the first create call until all were seen Running. */
  allRunningMs: number;
  /** How late the generator sent its calls. */
  lateness: Summary;
  /** Sessions by what is in their status at the end: `Warm`, `Cold`, and reasons such as `Completed`. */
  startKinds: Counts;
  reasons: Counts;
  /** From the first call until all were seen Running. */
  countedToRunning: Counters;
  /** From the first call until the last trace was gone, if nothing is kept; else until the last end. */
  counted: Counters;
}

/** One load, from the first Session to the end of the last one. */
export async function runLeg(bed: Bed, controller: ControllerProcess, options: LegOptions): Promise<Leg> {
  const { name, count, agent, load, warmPool, watchPods = true } = options;
  const names = Array.from({ length: count }, (_, index) => `${name}-${index}`);
  const observer = await Observer.start(bed, { pods: watchPods });
  try {
    await bed.newBotCalls();
    const before = await readCounters(bed, controller);
    /** By `performance.now()`, and by the wall clock. */
    const sentAt = new Map<string, { own: number; wall: number }>();
    const send = async (index: number): Promise<void> => {
      const session = names[index] ?? '';
      sentAt.set(session, { own: performance.now(), wall: Date.now() });
      await bed.createSession(session, agent);
    };
    let lateness: number[] = [];
    if (load === 'one by one') {
      for (const [index, session] of names.entries()) {
        await send(index);
        await observer.all([session], 'running', 60_000);
      }
    } else {
      lateness = await openLoop({ ...load, count, send });
    }
    await observer.all(names, 'running', 120_000);
    const running = await readCounters(bed, controller);
    await observer.all(names, 'ended', 120_000);
    if (warmPool !== undefined) await bed.rest(warmPool);
    const after = await readCounters(bed, controller);
    const calls = new Map((await bed.newBotCalls()).map(({ sessionUid, at }) => [sessionUid, at]));

    const times = (sight: 'session' | 'pod' | 'running'): number[] =>
      names.map((session) => {
        const seenAt = observer.of(session)[sight];
        if (seenAt === undefined) throw new Error(`Session ${session} ended without being seen "${sight}"`);
        return seenAt - (sentAt.get(session)?.own ?? NaN);
      });
    const bots = names.flatMap((session) => {
      const at = calls.get(observer.last(session)?.metadata.uid ?? '');
      return at === undefined ? [] : [at - (sentAt.get(session)?.wall ?? NaN)];
    });
    const statuses = names.map((session) => observer.last(session)?.status);
    return {
      options,
      toSession: summarize(times('session')),
      toPod: summarize(watchPods ? times('pod') : []),
      toRunning: summarize(times('running')),
      toBot: summarize(bots),
      allRunningMs:
        Math.max(...names.map((session) => observer.of(session).running ?? NaN)) -
        Math.min(...[...sentAt.values()].map(({ own }) => own)),
      lateness: summarize(lateness),
      startKinds: tally(statuses.map((status) => status?.startKind)),
      reasons: tally(statuses.map((status) => status?.reason)),
      countedToRunning: between(before, running),
      counted: between(before, after),
    };
  } finally {
    await observer.stop();
  }
}

function tally(words: readonly (string | undefined)[]): Counts {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word ?? 'none', (counts.get(word ?? 'none') ?? 0) + 1);
  return counts;
}
