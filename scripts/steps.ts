import { spawn } from 'node:child_process';

/** One command of `npm run check`, by the name under which it is reported. */
export interface Step {
  name: string;
  command: readonly string[];
  /** Environment on top of this process's. */
  env?: Record<string, string>;
}

export interface StepResult {
  step: Step;
  ok: boolean;
  seconds: number;
  output: string;
}

/** Runs a command and keeps what it prints. With `live`, it prints straight to the terminal instead. */
export function runStep(step: Step, { live = false } = {}): Promise<StepResult> {
  const [command = '', ...args] = step.command;
  const since = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', live ? 'inherit' : 'pipe', live ? 'inherit' : 'pipe'],
      env: { ...process.env, ...step.env },
    });
    const chunks: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
    const finish = (ok: boolean): void =>
      resolve({ step, ok, seconds: (performance.now() - since) / 1000, output: Buffer.concat(chunks).toString() });
    child.on('error', (error) => {
      chunks.push(Buffer.from(`${error.message}\n`));
      finish(false);
    });
    child.on('close', (code) => finish(code === 0));
  });
}
