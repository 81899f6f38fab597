import type { Command } from './command.ts';
import { agentsList, status } from './commands/agents.ts';
import { doctor } from './commands/doctor.ts';
import { keysCreate, keysList, keysRevoke } from './commands/keys.ts';
import { logs } from './commands/logs.ts';
import { orgCreate } from './commands/org.ts';
import { sessionsList, stop } from './commands/sessions.ts';
import { start } from './commands/start.ts';

/** Every command of `bullpen`, in the order of the help. */
export const commands: readonly Command[] = [
  start,
  stop,
  sessionsList,
  logs,
  agentsList,
  status,
  keysCreate,
  keysList,
  keysRevoke,
  orgCreate,
  doctor,
];
