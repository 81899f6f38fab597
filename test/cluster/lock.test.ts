import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { withLock } from './lock.ts';

test.runIf(process.platform === 'linux')('only one holds the lock at a time, and a failure frees it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bullpen-lock-'));
  const file = join(folder, 'lock');
  let inside = 0;
  let most = 0;
  const work = async (fail: boolean): Promise<void> => {
    inside += 1;
    most = Math.max(most, inside);
    await new Promise((resolve) => setImmediate(resolve));
    inside -= 1;
    if (fail) throw new Error('on purpose');
  };
  const results = await Promise.allSettled([true, false, false].map((fail) => withLock(file, () => work(fail))));
  expect(results.map((result) => result.status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
  expect(most).toBe(1);
  await rm(folder, { recursive: true });
});
