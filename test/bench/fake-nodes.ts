import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface FakeNodes {
  stop(): Promise<void>;
}

/** Starts fake-nodes-program.ts; resolves when the nodes can take pods. */
export async function startFakeNodes(kubeconfig: string, nodes: number): Promise<FakeNodes> {
  const program = join(import.meta.dirname, 'fake-nodes-program.ts');
  const child = spawn(process.execPath, [program, kubeconfig, String(nodes)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit').then(() => undefined);
  const first = await Promise.race([once(child.stdout, 'data'), ended]);
  if (first === undefined) throw new Error('the fake nodes could not be started');
  return {
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}
