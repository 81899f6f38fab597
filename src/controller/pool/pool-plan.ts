import type { AgentSpec } from '../../api/agent.ts';
import type { WarmPod } from './warm-pods.ts';

/**
 * How many pods wait for Sessions of an Agent, and which go.
 *
 * Wanted are `minAgents`, or more while sessions run (`buffer`), never so many that an Agent could have more than `maxAgents` pods.
 * Pods of an earlier revision stay until as many of the wanted one are ready.
 *
 * While pods of the Agent's present revision cannot start, the wanted one is the last that could. Then one pod of the present one is
 * kept beside it, as a probe: what it lacks may be there later. At the cap it has its place for as long as a good one is ready.
 */
export interface PoolView {
  spec: AgentSpec;
  /** Warm pods that no Session has got, and pods on the way to be. */
  idle: readonly WarmPod[];
  /** Creations whose pods the cache does not show yet. */
  creating: number;
  /** Live pods of the Agent's name, with those that are on the way. */
  pods: number;
  /** Sessions that are admitted and not over. */
  active: number;
  /** The present revision cannot start: no pod that is ready goes for it. */
  broken?: boolean;
  /** The spec is that of the last good revision, which serves instead. */
  instead?: boolean;
}

export interface PoolPlan {
  /** How many idle pods there should be. */
  target: number;
  /** How many of them are ready, of the wanted revision. */
  ready: number;
  /** Pods to make now. */
  create: number;
  /** Pods of the present revision to make now, as probes: one or none. */
  probes: number;
  /** Pods that nobody needs: of an earlier revision, or of no use. */
  remove: WarmPod[];
  /** Pods of the wanted revision beyond the target, the least useful first: they go after the cooldown. */
  surplus: WarmPod[];
  /** Pods of an earlier revision that still wait. */
  outdated: number;
}

/** Pods of one Agent that may be starting at one time: a part of the pool, and at least so many. */
const STARTING = { least: 10, part: 0.5 };

export function planPool(view: PoolView): PoolPlan {
  const { spec, idle, creating, pods, active, broken = false, instead = false } = view;
  const target = poolTarget(spec, active);
  const staying = idle.filter(({ leaving, useless }) => !leaving && !useless);
  const current = staying.filter((pod) => pod.usable && pod.current);
  const probe = instead && target > 0 ? staying.find((pod) => pod.usable && pod.probe) : undefined;
  const others = staying.filter((pod) => pod !== probe && (!pod.usable || !pod.current));
  const ready = current.filter((pod) => pod.ready).length;

  // They are kept for as long as they may be missed: ready ones of an earlier revision, and those on a node that is silent.
  const [kept, neverReady] = partition(others, (pod) => pod.ready || !pod.usable);
  const excess = Math.max(0, kept.length - Math.max(0, target - ready));
  const leastUseful = kept.sort(leastUsefulFirst);
  const remove = [
    ...idle.filter(({ leaving, useless }) => !leaving && useless),
    ...neverReady,
    ...leastUseful.slice(0, excess),
  ];

  const starting = current.length - ready + creating;
  const missing = target - current.length - creating;
  const room = spec.scaling.maxAgents - pods;
  const pace = Math.max(STARTING.least, Math.ceil(target * STARTING.part)) - starting;
  const serves = ready > 0 || kept.some((pod) => pod.ready && pod.usable);
  const probes =
    instead &&
    target > 0 &&
    creating === 0 &&
    !idle.some((pod) => pod.probe && !pod.silent) &&
    room > (serves ? 0 : Math.max(0, missing))
      ? 1
      : 0;
  const create = Math.max(0, Math.min(missing, room - probes, pace));
  // At the cap nothing new can start unless something old makes room: one, and the next when the new one is ready.
  const blocked =
    missing > 0 && room <= 0 && starting <= 0 && remove.length === 0 && !idle.some(({ leaving }) => leaving);
  const first = probe !== undefined && !serves ? probe : leastUseful[0];
  if (blocked && first !== undefined && !(broken && first.ready && first.usable)) remove.push(first);
  return {
    target,
    ready,
    create,
    probes,
    remove,
    surplus: current.length > target ? [...current].sort(leastUsefulFirst).slice(0, current.length - target) : [],
    outdated: others.filter((pod) => !pod.current).length,
  };
}

function partition<T>(items: readonly T[], holds: (item: T) => boolean): [yes: T[], no: T[]] {
  return [items.filter(holds), items.filter((item) => !holds(item))];
}

/** Whether an Agent ever has pods wait. */
export function keepsPool({ scaling: { minAgents, buffer }, paused, protocol }: AgentSpec): boolean {
  return !paused && protocol === 'Http' && Math.max(minAgents, buffer.count, buffer.percent) > 0;
}

/** How many pods should wait while so many sessions are active. */
export function poolTarget({ scaling, paused, protocol }: AgentSpec, active: number): number {
  if (paused || protocol !== 'Http') return 0;
  const { minAgents, maxAgents, buffer } = scaling;
  const wanted = Math.max(minAgents, buffer.count, Math.ceil((active * buffer.percent) / 100));
  return Math.max(0, Math.min(wanted, maxAgents - active));
}

function leastUsefulFirst(a: WarmPod, b: WarmPod): number {
  return (
    Number(a.usable) - Number(b.usable) ||
    Number(a.ready) - Number(b.ready) ||
    b.restarts - a.restarts ||
    b.readySince - a.readySince
  );
}
