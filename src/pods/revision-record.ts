import type { Agent, AgentSpec } from '../api/agent.ts';
import { labels, managedBy } from '../api/names.ts';
import type { ControllerRevision, NewObject } from '../kube/objects.ts';
import { ownedByAgent } from './pod-metadata.ts';
import { podPart } from './revision.ts';

/** Selects the records of an Agent's name. One that was deleted a moment ago may have left some: see {@link isRecordOf}. */
export function recordsOf(agent: string): string {
  return `${labels.agent}=${agent}`;
}

/** The name of a revision's record: at most 74 characters, of the 253 that there may be. */
export function recordName(agent: string, revision: string): string {
  return `${agent}-${revision}`;
}

/** What is kept of a revision: what makes its pods, until its Agent is gone. */
export function newRecord(
  { metadata: { name, uid } }: Agent,
  { spec, revision, number }: { spec: AgentSpec; revision: string; number: number },
): NewObject<ControllerRevision> {
  return {
    metadata: {
      name: recordName(name, revision),
      labels: { [labels.managedBy]: managedBy, [labels.agent]: name, [labels.revision]: revision },
      ownerReferences: [ownedByAgent({ name, uid })],
    },
    data: { spec: podPart(spec) },
    revision: number,
  };
}

/** Whether a record is of this very Agent, and not of one before it that had its name. */
export function isRecordOf({ metadata: { uid } }: Agent, { metadata }: ControllerRevision): boolean {
  return metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
}

/** The part of a spec that is in a record, or undefined when there is none in it. It may be older than a rule. */
export function podPartIn({ data }: ControllerRevision): object | undefined {
  const { spec } = (data ?? {}) as { spec?: unknown };
  return typeof spec === 'object' && spec !== null ? spec : undefined;
}
