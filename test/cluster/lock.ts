import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Runs `action` while holding the lock on `file` (created if missing). Others wait, in this process or another.
 *
 * The lock is held by a child through flock(1) for as long as our end of its input is open, so the kernel frees it however this
 * process ends, and there are no stale locks to judge.
 */
export async function withLock<T>(file: string, action: () => Promise<T>): Promise<T> {
  const holder = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo held; cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  const ended = once(holder, 'exit');
  await Promise.race([
    once(holder.stdout, 'data'),
    ended.then(([code]) => {
      throw new Error(`flock could not lock ${file} (exit code ${String(code)})`);
    }),
  ]);
  try {
    return await action();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
