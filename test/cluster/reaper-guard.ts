import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface Guard {
  /** Tells the guard that there is nothing to do any more; resolves when it has ended. */
  release(): Promise<void>;
}

/**
 * Starts a small process (reaper.ts) that tears the cluster in the folder down as soon as this process ends, however it ends: the
 * kernel closes the pipe between them even after SIGKILL.
 */
export function guardFolder(folder: string): Guard {
  const child = spawn(nodeProgram(), [join(import.meta.dirname, 'reaper.ts'), folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = once(child, 'close');
  child.unref();
  // It must not keep this process from ending, or it would wait for ever.
  (child.stdin as unknown as { unref(): void }).unref();
  return {
    async release() {
      child.ref();
      child.stdin.end();
      await ended;
    },
  };
}

/** The Node.js of this project, which runs TypeScript; the one that runs now may be older. */
function nodeProgram(): string {
  return join(import.meta.dirname, '../../node_modules/.bin/node');
}
