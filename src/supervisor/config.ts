import { z } from 'zod';
import { environment, publicKeys, type PublicKeys } from './wire.ts';

export interface SupervisorConfig {
  podUid: string;
  agentPort: number;
  publicKeys: PublicKeys;
  /** Where the kubelet reads the termination message. */
  terminationLog: string;
}

function parseJson(text: string, context: z.RefinementCtx): unknown {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue('must be JSON');
    return z.NEVER;
  }
}

const schema = z.object({
  [environment.podUid]: z.string().min(1),
  [environment.agentPort]: z.coerce.number().int().min(1).max(65_535).default(8080),
  [environment.publicKeys]: z.string().transform(parseJson).pipe(publicKeys),
  [environment.terminationLog]: z.string().default('/dev/termination-log'),
});

/** What the pod's environment says. Throws an error that names the variable which is wrong. */
export function readSupervisorConfig(env: NodeJS.ProcessEnv): SupervisorConfig {
  const read = schema.safeParse(env);
  if (!read.success) throw new Error(z.prettifyError(read.error));
  const { data } = read;
  return {
    podUid: data[environment.podUid],
    agentPort: data[environment.agentPort],
    publicKeys: data[environment.publicKeys],
    terminationLog: data[environment.terminationLog],
  };
}
