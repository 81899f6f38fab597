import type { Agent } from '../../api/agent.ts';
import { agents } from '../../api/resources.ts';
import { CliError, ofLists, ofValues, type Command, type Tools } from '../command.ts';
import { ago, isData, render, type Column } from '../print.ts';

function readyOf({ status }: Agent) {
  return status?.conditions?.find(({ type }) => type === 'Ready');
}

function columns(now: number): Column<Agent>[] {
  return [
    { name: 'Name', of: ({ metadata }) => metadata.name },
    { name: 'Image', of: ({ spec }) => spec.image },
    { name: 'Active', of: ({ status }) => status?.activeSessions ?? 0 },
    { name: 'Max', of: ({ spec }) => spec.scaling?.maxAgents },
    { name: 'Warm', of: ({ status }) => status?.warm ?? 0 },
    { name: 'Ready', of: (agent) => readyOf(agent)?.status },
    { name: 'Age', of: ({ metadata }) => ago(metadata.creationTimestamp, now) },
    { name: 'Revision', of: ({ status }) => status?.revision, wide: true },
    { name: 'Reason', of: (agent) => readyOf(agent)?.reason, wide: true },
  ];
}

export const agentsList: Command = {
  name: 'agents',
  args: [],
  summary: 'List agents',
  options: { 'all-namespaces': { type: 'boolean', short: 'A', help: 'of all namespaces' } },
  outputs: ofLists,
  async run({ api, namespace, output, clock, print, note }, _args, options) {
    const all = options['all-namespaces'] === true;
    const { items } = await api.list(agents, all ? {} : { namespace });
    const where: Column<Agent>[] = all ? [{ name: 'Namespace', of: ({ metadata }) => metadata.namespace }] : [];
    if (items.length === 0 && !isData(output)) note(all ? 'No agents.' : `No agents in namespace ${namespace}.`);
    else await print(render(items, { output, resource: agents, columns: [...where, ...columns(clock.now())] }));
  },
};

export const status: Command = {
  name: 'status',
  args: ['AGENT?'],
  summary: 'Say how agents are, and what is wrong with those that are not ready',
  options: {},
  outputs: ofValues,
  async run({ api, namespace, output, print, note }, [name]) {
    const { items } = await api.list(agents, {
      namespace,
      ...(name !== undefined && { fieldSelector: `metadata.name=${name}` }),
    });
    if (items.length === 0) {
      if (name !== undefined) throw new CliError(`There is no agent ${name} in namespace ${namespace}.`);
      if (!isData(output)) note(`No agents in namespace ${namespace}.`);
    }
    if (isData(output))
      await print(render(items, { output, resource: agents, columns: [], single: name !== undefined }));
    else for (const agent of items) await tell(agent, print);
    const bad = items.filter((agent) => !isReady(agent)).length;
    if (bad > 0) throw new CliError(`${bad} of ${items.length} agents are not ready.`);
  },
};

function isReady(agent: Agent): boolean {
  return readyOf(agent)?.status === 'True';
}

async function tell(agent: Agent, print: Tools['print']): Promise<void> {
  const ready = readyOf(agent);
  const { activeSessions = 0, warm = 0 } = agent.status ?? {};
  const counts = `${activeSessions} active, ${warm} warm, at most ${String(agent.spec.scaling?.maxAgents)}`;
  await print(`${agent.metadata.name}: ${isReady(agent) ? 'ready' : 'NOT READY'} (${counts})`);
  if (ready?.message !== undefined && ready.reason !== 'Ready') await print(`  ${ready.reason}: ${ready.message}`);
}
