import fc from 'fast-check';
import { runScenario } from './run.ts';
import { stories } from './stories.ts';
import type { World } from './world.ts';

/**
 * Every default run tells the same stories. `BULLPEN_MODEL_RUNS=5000` hunts with so many new ones of each kind; a failure
 * prints the seed and path with which `BULLPEN_MODEL_SEED` and `BULLPEN_MODEL_PATH` tell its story again.
 */
const hunt = process.env['BULLPEN_MODEL_RUNS'];
const seed = process.env['BULLPEN_MODEL_SEED'];
const path = process.env['BULLPEN_MODEL_PATH'];

const DEFAULT_SEED = 1;
const DEFAULT_RUNS = 250;
/** The default run is bounded by time as well, for slow machines. */
const TIME_LIMIT_MS = 3_000;

/** Fewer prove nothing. A machine ten times as slow tells more. */
const LEAST_RUNS = 5;

/** For vitest, milliseconds. */
export const timeout = hunt === undefined ? 60_000 : 24 * 3_600_000;

/** Tells stories of a kind, and checks every world at its end. Rejects with the shortest story that breaks something. */
export async function holdsIn(
  kind: keyof typeof stories,
  check: (world: World) => void = () => undefined,
): Promise<void> {
  const bounds =
    hunt === undefined
      ? { seed: DEFAULT_SEED, numRuns: DEFAULT_RUNS, interruptAfterTimeLimit: TIME_LIMIT_MS }
      : { numRuns: Number(hunt) };
  const replay = { ...(seed !== undefined && { seed: Number(seed) }), ...(path !== undefined && { path }) };
  let told = 0;
  const property = fc.asyncProperty(stories[kind], async (story) => {
    const { world } = await runScenario(story);
    check(world);
    told++;
  });
  await fc.assert(property, { ...bounds, ...replay });
  if (path === undefined && told < LEAST_RUNS)
    throw new Error(`only ${told} stories of "${kind}" could be told in time`);
}
