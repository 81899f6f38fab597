import { expect, it, vi } from 'vitest';
import { SharedRun } from './shared-run.ts';

it('a shared run starts after the call, and is shared by those who wait for it', async () => {
  const runs: PromiseWithResolvers<undefined>[] = [];
  const shared = new SharedRun(async () => {
    const run = Promise.withResolvers<undefined>();
    runs.push(run);
    await run.promise;
  });
  const begun = (count: number): Promise<void> => vi.waitFor(() => expect(runs).toHaveLength(count));
  const first = shared.run();
  expect(shared.run()).toBe(first); // it has not begun yet
  await begun(1);
  const second = shared.run();
  const third = shared.run();
  expect([second === third, first === second]).toEqual([true, false]);
  runs[0]?.reject(new Error('first'));
  await expect(first).rejects.toThrow('first');
  await begun(2);
  runs[1]?.resolve(undefined);
  await Promise.all([second, third]);
  const last = shared.run();
  await begun(3);
  runs[2]?.resolve(undefined);
  await last;
});
