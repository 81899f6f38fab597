import { runToEnd } from './programs/run-to-end.ts';
import { runSupervisor } from './programs/supervisor.ts';

await runToEnd((signal) => runSupervisor(process.env, signal));
