import { sessions } from '../../api/resources.ts';
import type { Session } from '../../api/session.ts';
import { isFinished } from '../../api/session-phase.ts';
import { isNotFound } from '../../kube/errors.ts';
import { sessionId } from '../../pods/names.ts';
import { CliError, ofLists, ofObjects, type Command, type Options, type Tools } from '../command.ts';
import { ago, isData, render, renderOne, type Column } from '../print.ts';

function columns(now: number): Column<Session>[] {
  return [
    { name: 'Name', of: ({ metadata }) => metadata.name },
    { name: 'Agent', of: ({ spec }) => spec.agent },
    { name: 'Phase', of: ({ status }) => status?.phase ?? 'Pending' },
    { name: 'Reason', of: ({ status }) => status?.reason },
    { name: 'Start', of: ({ status }) => status?.startKind },
    { name: 'Age', of: ({ metadata }) => ago(metadata.creationTimestamp, now) },
    { name: 'Pod', of: ({ status }) => status?.podName, wide: true },
    { name: 'Node', of: ({ status }) => status?.nodeName, wide: true },
    { name: 'Id', of: ({ metadata }) => sessionId(metadata), wide: true },
    { name: 'Message', of: ({ status }) => status?.message, wide: true },
  ];
}

export const sessionsList: Command = {
  name: 'sessions',
  args: ['AGENT?'],
  summary: 'List sessions, the newest first',
  options: {
    'all-namespaces': { type: 'boolean', short: 'A', help: 'of all namespaces' },
    active: { type: 'boolean', help: 'only those that are not over' },
  },
  outputs: ofLists,
  async run({ api, namespace, output, clock, print, note }, [agent], options) {
    const all = options['all-namespaces'] === true;
    const { items } = await api.list(sessions, {
      ...(!all && { namespace }),
      ...(agent !== undefined && { fieldSelector: `spec.agent=${agent}` }),
    });
    const wanted = items
      .filter((session) => options['active'] !== true || !isFinished(session))
      .sort((a, b) => b.metadata.creationTimestamp.localeCompare(a.metadata.creationTimestamp));
    const where: Column<Session>[] = all ? [{ name: 'Namespace', of: ({ metadata }) => metadata.namespace }] : [];
    if (wanted.length === 0 && !isData(output)) note('No sessions.');
    else await print(render(wanted, { output, resource: sessions, columns: [...where, ...columns(clock.now())] }));
  },
};

export const stop: Command = {
  name: 'stop',
  args: ['SESSION?'],
  summary: 'Stop a session; its logs and its record stay',
  options: { session: { type: 'string', short: 's', value: 'ID', help: 'the session, by its name or its id' } },
  outputs: ofObjects,
  async run(tools, args, options) {
    const { api, namespace, output, print } = tools;
    const session = await findSession(tools, args, options);
    const { name, uid } = session.metadata;
    const body = { metadata: { uid }, spec: { stop: true } };
    const told = await api.patch(sessions, { namespace, name }, { type: 'merge', body });
    await print(output === '' ? `session.bullpen.dev/${name} is told to stop` : renderOne(told, output, sessions));
  },
};

/** The session that is meant: by its name, or by the id that callers know, whichever was given. */
export async function findSession(
  { api, namespace }: Tools,
  args: readonly string[],
  options: Options,
): Promise<Session> {
  // Pipecat's own command line has the agent first, and the session as an option.
  const wanted = typeof options['session'] === 'string' ? options['session'] : args[0];
  if (wanted === undefined) throw new CliError('Which session? Name it, or give --session: see bullpen sessions', 2);
  try {
    return await api.get(sessions, { namespace, name: wanted });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  const { items } = await api.list(sessions, { namespace });
  const found = items.find(({ metadata }) => metadata.uid === wanted);
  if (found === undefined)
    throw new CliError(`There is no session ${wanted} in namespace ${namespace}: see bullpen sessions`);
  return found;
}
