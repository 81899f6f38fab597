import { terminationSignal } from '../kube/lifecycle.ts';

/** Runs a program until it ends by itself or by a signal, then ends the process: 0, or 1 with the error as a line of JSON. */
export async function runToEnd(program: (signal: AbortSignal) => Promise<void>): Promise<never> {
  try {
    await program(terminationSignal(process));
    process.exit(0);
  } catch (error) {
    process.stderr.write(
      `${JSON.stringify({ level: 'fatal', msg: error instanceof Error ? error.message : String(error) })}\n`,
    );
    process.exit(1);
  }
}
