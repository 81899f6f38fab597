import type { Agent } from '../../api/agent.ts';
import { labels, managedBy } from '../../api/names.ts';
import type { ControllerRevision, NewObject } from '../../kube/objects.ts';
import { ownedByAgent } from '../../pods/pod-metadata.ts';
import { podPart } from '../../pods/revision.ts';
import type { Serving } from '../agent-state.ts';

/** Revisions of an Agent that are kept. */
const KEPT = 10;

/** The name of a revision's record: at most 74 characters, of the 253 that there may be. */
export function recordName(agent: string, revision: string): string {
  return `${agent}-${revision}`;
}

/** The part of a spec that is in a record, or undefined when there is none in it. */
export function podPartIn({ data }: ControllerRevision): object | undefined {
  const { spec } = (data ?? {}) as { spec?: unknown };
  return typeof spec === 'object' && spec !== null ? spec : undefined;
}

export interface RecordPlan {
  /** Somebody else's of that name: an Agent that was deleted and made again finds those of the one before. */
  inTheWay?: ControllerRevision;
  create?: NewObject<ControllerRevision>;
  /** The oldest beyond those that are kept. */
  remove: ControllerRevision[];
}

/**
 * What to do so that the revision of an Agent that has just been ready is on record.
 *
 * @param found the records of the Agent's name
 */
export function planRecord(agent: Agent, verdict: Serving, found: readonly ControllerRevision[]): RecordPlan {
  const { name, uid } = agent.metadata;
  const own = found.filter(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid));
  const wanted = recordName(name, verdict.revision);
  const known = found.find(({ metadata }) => metadata.name === wanted);
  const good = [wanted, recordName(name, agent.status?.lastReadyRevision ?? '')];
  const others = own.filter(({ metadata }) => !good.includes(metadata.name)).sort((a, b) => b.revision - a.revision);
  const isOwn = known !== undefined && own.includes(known);
  const kept = own.length - others.length + (isOwn ? 0 : 1);
  return {
    ...(known && !isOwn && { inTheWay: known }),
    ...(!isOwn && { create: newRecord(agent, verdict, 1 + Math.max(0, ...own.map(({ revision }) => revision))) }),
    remove: others.slice(KEPT - kept),
  };
}

function newRecord({ metadata }: Agent, verdict: Serving, number: number): NewObject<ControllerRevision> {
  const { name, uid } = metadata;
  return {
    metadata: {
      name: recordName(name, verdict.revision),
      labels: { [labels.managedBy]: managedBy, [labels.agent]: name, [labels.revision]: verdict.revision },
      ownerReferences: [ownedByAgent({ name, uid })],
    },
    data: { spec: podPart(verdict.spec) },
    revision: number,
  };
}
