import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** An agent has got `POST /bot`. */
export interface BotCall {
  sessionUid: string;
  /** Wall-clock milliseconds. */
  at: number;
}

export interface FakeNodes {
  /** The calls since the last time that this was asked. */
  newCalls(): Promise<BotCall[]>;
  stop(): Promise<void>;
}

/** Starts fake-nodes-program.ts; resolves when the nodes can take pods. */
export async function startFakeNodes(kubeconfig: string, nodes: number, namespace: string): Promise<FakeNodes> {
  const program = join(import.meta.dirname, 'fake-nodes-program.ts');
  const child = spawn(process.execPath, [program, kubeconfig, String(nodes), namespace], {
    stdio: ['pipe', 'pipe', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit').then(() => undefined);
  const first = await Promise.race([once(child.stdout ?? child, 'data'), ended]);
  if (first === undefined) throw new Error('the fake nodes could not be started');
  return {
    async newCalls() {
      const answer = Promise.race([once(child, 'message'), ended]);
      child.send('new calls');
      const message = (await answer) as [BotCall[]] | undefined;
      if (message === undefined) throw new Error('the fake nodes have ended');
      return message[0];
    },
    async stop() {
      child.stdin?.end();
      await ended;
    },
  };
}
