import * as z from 'zod/mini';
import { environment, publicKeys, type PublicKeys } from './wire.ts';

export interface SupervisorConfig {
  podUid: string;
  agentPort: number;
  publicKeys: PublicKeys;
  /** Where the kubelet reads the termination message. */
  terminationLog: string;
}

const json = z.pipe(
  z.string(),
  z.transform((text: string, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.issues.push({ code: 'custom', message: 'must be JSON', input: text });
      return z.NEVER;
    }
  }),
);

const schema = z.object({
  [environment.podUid]: z.string().check(z.minLength(1)),
  [environment.agentPort]: z._default(z.coerce.number().check(z.int(), z.minimum(1), z.maximum(65_535)), 8080),
  [environment.publicKeys]: z.pipe(json, publicKeys),
  [environment.terminationLog]: z._default(z.string(), '/dev/termination-log'),
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
