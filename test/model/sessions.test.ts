import fc from 'fast-check';
import { describe, it } from 'vitest';
import { runScenario } from './run.ts';
import { stories } from './stories.ts';

/**
 * The loops of the controller against a model of Kubernetes, in stories that fast-check makes up and shortens.
 *
 * Every run has the same stories. `BULLPEN_MODEL_RUNS=5000` hunts with so many new ones of each kind; a failure prints the
 * seed and path with which `BULLPEN_MODEL_SEED` and `BULLPEN_MODEL_PATH` tell the same story again.
 */
const hunt = process.env['BULLPEN_MODEL_RUNS'];
const seed = process.env['BULLPEN_MODEL_SEED'];
const path = process.env['BULLPEN_MODEL_PATH'];

const DEFAULT_SEED = 1;
const DEFAULT_RUNS = 120;
/** The default run is bounded by time as well, for slow machines. */
const TIME_LIMIT_MS = 6_000;

const INVARIANTS = 'I1-I3, I5-I7, I10, I11 and usage hold';

async function holdsIn(story: keyof typeof stories): Promise<void> {
  const bounds =
    hunt === undefined ? { numRuns: DEFAULT_RUNS, interruptAfterTimeLimit: TIME_LIMIT_MS } : { numRuns: Number(hunt) };
  const replay = { ...(seed !== undefined && { seed: Number(seed) }), ...(path !== undefined && { path }) };
  const property = fc.asyncProperty(stories[story], async (told) => {
    await runScenario(told);
  });
  await fc.assert(property, { ...(hunt === undefined && { seed: DEFAULT_SEED }), ...bounds, ...replay });
}

const timeout = hunt === undefined ? 60_000 : 24 * 3_600_000;

describe(`${INVARIANTS}, at every commit and in the end`, { timeout }, () => {
  it('while people make, stop and delete Sessions and change Agents', () => holdsIn('people'));
  it('while bursts meet a full Agent, creations get lost and leaders change', () => holdsIn('cap'));
  it('while requests fail or come late, and watches are stale, broken, silent or expired', () => holdsIn('network'));
  it('while leaders are killed, cut off, paused and replaced with requests under way', () => holdsIn('leaders'));
  it('while pods and nodes fail in every way', () => holdsIn('nodes'));
  it('while all of this happens at once', () => holdsIn('everything'));
});
