import type { Agent } from '../../api/agent.ts';
import type { ControllerRevision, NewObject } from '../../kube/objects.ts';
import { isRecordOf, newRecord, recordName } from '../../pods/revision-record.ts';
import type { Serving } from '../agent-state.ts';

/** Revisions of an Agent that are kept. */
const KEPT = 10;

export interface RecordPlan {
  /** Somebody else's of that name: an Agent that was deleted and made again finds those of the one before. */
  inTheWay?: ControllerRevision;
  create?: NewObject<ControllerRevision>;
  /** An earlier one is the present one again: as with a Deployment, it gets the greatest number. */
  renumber?: { record: ControllerRevision; number: number };
  /** The oldest beyond those that are kept. */
  remove: ControllerRevision[];
}

/**
 * What to do so that the present revision of an Agent is on record, and the newest there.
 *
 * @param found the records of the Agent's name
 */
export function planRecord(
  agent: Agent,
  { spec, revision }: Serving,
  found: readonly ControllerRevision[],
): RecordPlan {
  const { metadata, status = {} } = agent;
  const own = found.filter((record) => isRecordOf(agent, record));
  const wanted = recordName(metadata.name, revision);
  const known = found.find((record) => record.metadata.name === wanted);
  const isOwn = known !== undefined && own.includes(known);
  const number = 1 + Math.max(0, ...own.filter((record) => record !== known).map((record) => record.revision));
  // What a status names must be there.
  const needed = [status.lastReadyRevision, status.recordedRevision].map((named) =>
    recordName(metadata.name, named ?? ''),
  );
  const others = own
    .filter((record) => record !== known && !needed.includes(record.metadata.name))
    .sort((a, b) => b.revision - a.revision);
  const kept = own.length - others.length + (isOwn ? 0 : 1);
  return {
    ...(known && !isOwn && { inTheWay: known }),
    ...(!isOwn && { create: newRecord(agent, { spec, revision, number }) }),
    ...(isOwn && known.revision < number && { renumber: { record: known, number } }),
    remove: others.slice(KEPT - kept),
  };
}
