import type { Agent } from '../../api/agent.ts';
import { agents } from '../../api/resources.ts';
import { CliError, type Command } from '../command.ts';
import { ago, render, type Column } from '../print.ts';

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
  async run({ api, namespace, output, clock, print, note }, _args, options) {
    const all = options['all-namespaces'] === true;
    const { items } = await api.list(agents, all ? {} : { namespace });
    const where: Column<Agent>[] = all ? [{ name: 'Namespace', of: ({ metadata }) => metadata.namespace }] : [];
    if (items.length === 0 && output !== 'json' && output !== 'yaml')
      note(all ? 'No agents.' : `No agents in namespace ${namespace}.`);
    else print(render(items, { output, resource: agents, columns: [...where, ...columns(clock.now())] }));
  },
};

export const status: Command = {
  name: 'status',
  args: ['AGENT?'],
  summary: 'Say how agents are, and what is wrong with those that are not ready',
  options: {},
  async run({ api, namespace, print, note }, [name]) {
    const { items } = await api.list(agents, {
      namespace,
      ...(name !== undefined && { fieldSelector: `metadata.name=${name}` }),
    });
    if (items.length === 0) {
      if (name !== undefined) throw new CliError(`There is no agent ${name} in namespace ${namespace}.`);
      note(`No agents in namespace ${namespace}.`);
      return;
    }
    let bad = 0;
    for (const agent of items) {
      const ready = readyOf(agent);
      const isReady = ready?.status === 'True';
      if (!isReady) bad += 1;
      const { activeSessions = 0, warm = 0 } = agent.status ?? {};
      const counts = `${activeSessions} active, ${warm} warm, at most ${String(agent.spec.scaling?.maxAgents)}`;
      print(`${agent.metadata.name}: ${isReady ? 'ready' : 'NOT READY'} (${counts})`);
      if (ready?.message !== undefined && ready.reason !== 'Ready') print(`  ${ready.reason}: ${ready.message}`);
    }
    if (bad > 0) throw new CliError(`${bad} of ${items.length} agents are not ready.`);
  },
};
