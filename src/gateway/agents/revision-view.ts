import { z } from 'zod';
import type { Agent } from '../../api/agent.ts';
import { readinessOf } from '../agent-readiness.ts';
import { deploymentId } from './deployment-id.ts';

/** A revision of an agent, as far as the Agent's status tells of it. What its pods say is not known here, and left out. */
export const agentRevision = z.object({
  deploymentID: z.string(),
  phase: z.enum(['Creating', 'Active', 'Failed']),
  readyReplicas: z.int().optional().describe('Pods that wait for a session.'),
  phaseStartedAt: z.iso.datetime().optional(),
  health: z.object({ ready: z.boolean(), reason: z.string().optional(), message: z.string().optional() }).optional(),
});
export type AgentRevision = z.output<typeof agentRevision>;

/**
 * The revision that the controller has judged last, and the one before that serves meanwhile.
 *
 * @param hasFailed it will not get ready by itself
 */
export function revisionsOf(
  agent: Agent,
  hasFailed: boolean,
): { currentRevision?: AgentRevision; previousRevision?: AgentRevision } {
  const { metadata, status } = agent;
  if (status?.revision === undefined) return {};
  const id = (revision: string): string => deploymentId(metadata.namespace ?? '', metadata.name, revision);
  const { ready, reason, message, since } = readinessOf(agent);
  const { revision, lastReadyRevision } = status;
  const isPreviousInUse = !ready && lastReadyRevision !== undefined && lastReadyRevision !== revision;
  return {
    currentRevision: {
      deploymentID: id(revision),
      phase: ready || reason === 'Paused' ? 'Active' : hasFailed ? 'Failed' : 'Creating',
      ...(!isPreviousInUse && status.warm !== undefined && { readyReplicas: status.warm }),
      ...(since !== undefined && { phaseStartedAt: since }),
      health: { ready, ...(reason !== undefined && { reason }), ...(message !== undefined && { message }) },
    },
    ...(isPreviousInUse && { previousRevision: { deploymentID: id(lastReadyRevision), phase: 'Active' } }),
  };
}
