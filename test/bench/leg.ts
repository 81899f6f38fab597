import { waitFor } from '../cluster/wait.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import type { Bed } from './bed.ts';
import { between, readCounters, type Counters } from './counters.ts';
import { Observer } from './observer.ts';
import { openLoop, type OpenLoopOptions } from './open-loop.ts';
import { summarize, type Summary } from './statistics.ts';

export interface LegOptions extends Pick<OpenLoopOptions, 'perSecond' | 'count' | 'arrivals'> {
  /** Names of its Sessions begin with it. */
  name: string;
  agent: string;
  /** What is left of the Agent's Sessions when the leg is over: nothing, for an Agent that keeps nothing. */
  keepsNothing: boolean;
}

/** What one leg has shown; times in milliseconds from the moment the create call was sent. */
export interface Leg {
  options: LegOptions;
  /** Until the bench's watch showed the Session itself: what the API server alone takes. */
  toSession: Summary;
  toPod: Summary;
  toRunning: Summary;
  /** How late the generator sent its calls. */
  lateness: Summary;
  /** From the first call until the last trace was gone, if nothing is kept; else until the last end. */
  counted: Counters;
}

/** One load at one rate, from the first Session to the end of the last one. */
export async function runLeg(bed: Bed, controller: ControllerProcess, options: LegOptions): Promise<Leg> {
  const { name, count, agent, keepsNothing } = options;
  const names = Array.from({ length: count }, (_, index) => `${name}-${index}`);
  const observer = await Observer.start(bed);
  try {
    const before = await readCounters(bed, controller);
    const sentAt = new Map<string, number>();
    const lateness = await openLoop({
      ...options,
      send: async (index) => {
        const session = names[index] ?? '';
        sentAt.set(session, performance.now());
        await bed.createSession(session, agent);
      },
    });
    await observer.all(names, 'ended', 120_000);
    if (keepsNothing) {
      const left = async (): Promise<number> => (await bed.count('sessions')) + (await bed.count('pods'));
      await waitFor(async () => (await left()) === 0, { what: 'the traces to go', timeoutMs: 60_000, intervalMs: 500 });
    }
    const after = await readCounters(bed, controller);
    const times = (sight: 'session' | 'pod' | 'running'): Summary =>
      summarize(
        names.map((session) => {
          const seenAt = observer.of(session)[sight];
          if (seenAt === undefined) throw new Error(`Session ${session} ended without being seen "${sight}"`);
          return seenAt - (sentAt.get(session) ?? NaN);
        }),
      );
    return {
      options,
      toSession: times('session'),
      toPod: times('pod'),
      toRunning: times('running'),
      lateness: summarize(lateness),
      counted: between(before, after),
    };
  } finally {
    await observer.stop();
  }
}
