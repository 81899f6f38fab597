import { randomUUID } from 'node:crypto';
import { sessionLimits } from '../../api/limits.ts';
import { apiVersion } from '../../api/names.ts';
import { sessions } from '../../api/resources.ts';
import type { RejectReason } from '../../api/reasons.ts';
import type { Session, SessionSpec } from '../../api/session.ts';
import { isInvalid, isOutcomeUnknown } from '../../kube/errors.ts';
import type { NewObject } from '../../kube/objects.ts';
import { sessionId } from '../../pods/names.ts';
import { createWithSecret, dropBodySecret } from '../body-secret.ts';
import { CliError, ofObjects, type Command, type Options, type Tools } from '../command.ts';
import { explain } from '../explain.ts';
import { renderOne } from '../print.ts';
import { watchSession } from '../watch-session.ts';

export const start: Command = {
  name: 'start',
  args: ['AGENT'],
  summary: 'Start a session, and wait until it runs',
  options: {
    data: { type: 'string', short: 'd', value: 'JSON', help: 'what the agent is told' },
    'data-file': { type: 'string', value: 'PATH', help: 'the same from a file; - is standard input' },
    name: { type: 'string', value: 'NAME', help: 'name of the Session; a new UUID when left out' },
    'no-wait': { type: 'boolean', help: 'do not wait until it runs' },
  },
  outputs: ofObjects,
  async run(tools, [agent = ''], options) {
    const { output, print, note, interrupted } = tools;
    const body = await dataOf(tools, options);
    const name = typeof options['name'] === 'string' ? options['name'] : randomUUID();
    // Whoever breaks off what comes now is told what there is.
    interrupted();
    const made = await create(tools, agent, name, body);
    const isAwaited = options['no-wait'] !== true;
    const session = isAwaited ? await untilItRuns(tools, made) : made;
    await print(output === '' ? sessionId(session.metadata) : renderOne(session, output, sessions));
    const { startKind = '', podName } = session.status ?? {};
    if (output === '' && podName !== undefined)
      note(`${startKind.toLowerCase()} start on pod ${podName}; its log: bullpen logs ${name} -f`);
    // It runs, whatever becomes of this.
    if (isAwaited) await dropBodySecret(tools, session);
  },
};

/** What to look at after a refusal. */
const NEXT: Partial<Record<RejectReason, (agent: string) => string>> = {
  AgentNotFound: () => 'bullpen agents lists those that there are; -n takes another namespace.',
  AgentInvalid: (agent) => `bullpen status ${agent} says what is wrong with it.`,
  AtCapacity: (agent) => `bullpen sessions ${agent} --active lists those that run; spec.scaling.maxAgents allows more.`,
};

/** It runs, or never will. */
function isDecided(session: Session | undefined): Session | undefined {
  if (session === undefined) throw new CliError('The session was deleted before it ran.');
  const { phase, reason, message, startedAt } = session.status ?? {};
  if (phase === 'Rejected') {
    const next = NEXT[reason as RejectReason]?.(session.spec.agent);
    throw new CliError(
      `The session was refused (${reason ?? ''}): ${message ?? ''}${next === undefined ? '' : `\n${next}`}`,
    );
  }
  if (phase === 'Ended' && startedAt === undefined)
    throw new CliError(`The session ended before it ran (${reason ?? ''}): ${message ?? ''}`);
  return startedAt === undefined ? undefined : session;
}

/** What the agent is to be told, byte for byte. */
async function dataOf({ readFile }: Tools, { data, 'data-file': path }: Options): Promise<string | undefined> {
  if (data !== undefined && path !== undefined) throw new CliError('Give one of --data and --data-file.', 2);
  if (typeof path === 'string') {
    const text = await readFile(path).catch((error: unknown) => {
      throw new CliError(`cannot read ${path}: ${(error as Error).message}`, 2);
    });
    return checked(text, path);
  }
  return typeof data === 'string' ? checked(data, '--data') : undefined;
}

function checked(text: string, where: string): string {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new CliError(`${where} is not valid JSON: ${(error as Error).message}`, 2);
  }
  return text;
}

/** A body that is short is in the Session, where whoever may read Sessions reads it; a longer one in a Secret. */
async function create(tools: Tools, agent: string, name: string, body: string | undefined): Promise<Session> {
  if (body === undefined) return await createSession(tools, name, { agent });
  if (Array.from(body).length <= sessionLimits.bodyCharacters) return await createSession(tools, name, { agent, body });
  return await createWithSecret(tools, { name, body }, (spec) => createSession(tools, name, { agent, ...spec }));
}

async function createSession({ api, namespace }: Tools, name: string, spec: SessionSpec): Promise<Session> {
  const wanted: NewObject<Session> = { apiVersion, kind: 'Session', metadata: { name }, spec };
  try {
    return await api.create(sessions, namespace, wanted);
  } catch (error) {
    if (isInvalid(error)) throw new CliError(explain(error), 2);
    if (!isOutcomeUnknown(error)) throw error;
    throw new CliError(
      `Whether session ${name} was made is not known: bullpen stop ${name} ends it where it was.\n${explain(error)}`,
    );
  }
}

/** What has become of a session that was made, and goes on whatever becomes of this command. */
async function untilItRuns(tools: Tools, session: Session): Promise<Session> {
  const { name, namespace = '' } = session.metadata;
  try {
    return await watchSession(tools, { namespace, name }, isDecided);
  } catch (error) {
    if (error instanceof CliError) throw error;
    const stop = `bullpen stop ${name} ends it.`;
    if (tools.interrupted().aborted) throw new CliError(`Session ${name} was made, and goes on: ${stop}`, 130);
    throw new CliError(`Session ${name} was made, and whether it runs is not known: ${stop}\n${explain(error)}`);
  }
}
