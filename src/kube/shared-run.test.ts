import { expect, it } from 'vitest';
import { SharedRun } from './shared-run.ts';

it('a shared run starts after the call, and is shared by those who wait for it', async () => {
  const runs: PromiseWithResolvers<undefined>[] = [];
  const shared = new SharedRun(async () => {
    const run = Promise.withResolvers<undefined>();
    runs.push(run);
    await run.promise;
  });
  const first = shared.run();
  const second = shared.run();
  const third = shared.run();
  expect([runs.length, second === third, first === second]).toEqual([1, true, false]);
  runs[0]?.reject(new Error('first'));
  await expect(first).rejects.toThrow('first');
  await Promise.resolve();
  runs[1]?.resolve(undefined);
  await Promise.all([second, third]);
  const last = shared.run();
  expect(runs).toHaveLength(3);
  runs[2]?.resolve(undefined);
  await last;
});
