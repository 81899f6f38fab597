import type { z } from 'zod';
import type { Agent } from '../../api/agent.ts';
import { labels } from '../../api/names.ts';
import type { ControllerRevision, ObjectMeta } from '../../kube/objects.ts';
import { withPodPart } from '../../pods/revision.ts';
import { isRecordOf, podPartIn } from '../../pods/revision-record.ts';
import { viewDeployment, type agentDetails } from './agent-view.ts';
import { deploymentId } from './deployment-id.ts';

export type Deployment = z.output<typeof agentDetails>['deployment'];

/**
 * The deployments of an Agent, the newest first: what it says now, which may not be on record yet, and what is.
 *
 * @param records those of the Agent's name
 */
export function deploymentsOf(agent: Agent, records: readonly ControllerRevision[]): Deployment[] {
  const present = viewDeployment(agent);
  const history = records
    .filter((record) => isRecordOf(agent, record))
    .sort((a, b) => b.revision - a.revision)
    .flatMap((record) => recordedDeployment(agent, record) ?? []);
  const known = history.find(({ id }) => id === present.id);
  const { createdAt, updatedAt } = known ?? present;
  return [{ ...present, createdAt, updatedAt }, ...history.filter((each) => each !== known)];
}

/** With the present scaling and limits, which no revision has. Undefined for what is none of ours in spite of its labels. */
function recordedDeployment(agent: Agent, record: ControllerRevision): Deployment | undefined {
  const { name, namespace = '' } = agent.metadata;
  const revision = record.metadata.labels?.[labels.revision];
  const spec = withPodPart(agent.spec, podPartIn(record) ?? {});
  if (revision === undefined || typeof spec.image !== 'string') return undefined;
  return {
    ...viewDeployment({ ...agent, spec }),
    id: deploymentId(namespace, name, revision),
    createdAt: record.metadata.creationTimestamp,
    updatedAt: lastWrite(record.metadata),
  };
}

/** When an object was written last: that is known by who owns its fields only. */
function lastWrite({
  creationTimestamp,
  managedFields = [],
}: ObjectMeta & { managedFields?: { time?: string }[] }): string {
  const times = managedFields.flatMap(({ time }) => time ?? []);
  return times.sort((a, b) => Date.parse(b) - Date.parse(a))[0] ?? creationTimestamp;
}
