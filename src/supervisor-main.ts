import { terminationSignal } from './kube/lifecycle.ts';
import { runSupervisor } from './programs/supervisor.ts';

try {
  await runSupervisor(process.env, terminationSignal(process));
  process.exit(0);
} catch (error) {
  process.stderr.write(
    `${JSON.stringify({ level: 'fatal', msg: error instanceof Error ? error.message : String(error) })}\n`,
  );
  process.exit(1);
}
