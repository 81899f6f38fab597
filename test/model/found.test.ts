import { readFile } from 'node:fs/promises';
import { describe, it } from 'vitest';
import { runScenario } from './run.ts';
import type { Scenario } from './scenario.ts';

/** Stories that broke something once, as a hunt has found and shortened them. */
const stories = JSON.parse(await readFile(new URL('found-stories.json', import.meta.url), 'utf8')) as Record<
  string,
  Scenario
>;

describe('all invariants hold in the story of', () => {
  it.each(Object.keys(stories))('%s', async (name) => {
    await runScenario(stories[name] as Scenario);
  });
});
