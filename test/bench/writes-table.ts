import type { Leg } from './leg.ts';
import { decimal, table } from './markdown.ts';
import { total, type Counts } from './prometheus.ts';

/**
 * Who sends which mutation. The API server's metric has no user, but in a bench each of these has one sender only; the controller's
 * own count is printed beside the sum of its rows, so that a mistake here would show.
 */
const senders: Record<string, string> = {
  'POST sessions': 'caller',
  'POST pods': 'controller',
  'PATCH pods': 'controller',
  'DELETE pods': 'controller',
  'PATCH sessions/status': 'controller',
  'DELETE sessions': 'controller',
  'PATCH agents/status': 'controller',
  'POST poddisruptionbudgets': 'controller',
  'POST networkpolicies': 'controller',
  'POST pods/binding': 'scheduler',
  'POST events': 'scheduler',
  'PATCH pods/status': 'kubelet (fake)',
  'PUT poddisruptionbudgets/status': 'controller manager',
  'PUT leases': 'leases',
};

/** Mutations at the API server per Session, by verb and resource. */
export function writesTable(legs: readonly Leg[]): string {
  const sessions = legs.reduce((sum, leg) => sum + leg.options.count, 0);
  const sum = (of: (leg: Leg) => Counts): Map<string, number> => {
    const sums = new Map<string, number>();
    for (const leg of legs) for (const [key, value] of of(leg)) sums.set(key, (sums.get(key) ?? 0) + value);
    return sums;
  };
  const writes = sum(({ counted }) => counted.writes);
  const failures = sum(({ counted }) => counted.failures);
  const reconciles = sum(({ counted }) => counted.reconciles);
  const own = total(sum(({ counted }) => counted.controllerWrites));
  const rows = [...writes]
    .map(([name, count]) => [name, senders[name] ?? 'others', count] as const)
    .sort(([a, from, x], [b, to, y]) => from.localeCompare(to) || y - x || a.localeCompare(b))
    .map(([name, sender, count]) => [`${name} (${sender})`, decimal(count / sessions, 3)]);
  const listed = (counts: Counts, format: (value: number) => string): string =>
    [...counts].map(([key, value]) => `${key} ${format(value)}`).join(', ') || 'none';
  const controllerRows = [...writes].reduce(
    (count, [name, value]) => count + (senders[name] === 'controller' ? value : 0),
    0,
  );
  return [
    table([`mutations at the API server, ${sessions} Sessions`, 'per Session'], rows),
    [
      `Rows of the controller: ${decimal(controllerRows / sessions, 3)} per Session;`,
      `by its own count, its lease included: ${decimal(own / sessions, 3)}.`,
    ].join(' '),
    `Failed mutations: ${listed(failures, (value) => decimal(value, 0))}.`,
    `Reconciliations per Session: ${listed(reconciles, (value) => decimal(value / sessions, 2))}.`,
  ].join('\n\n');
}
