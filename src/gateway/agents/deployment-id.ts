import { createHash } from 'node:crypto';
import type { Agent } from '../../api/agent.ts';
import { uuidOf } from '../uuid.ts';

/** A deployment is what Kubernetes' words call a revision of an Agent; Pipecat's clients want a UUID for it. */
export function deploymentId(namespace: string, agent: string, revision: string): string {
  return uuidOf(createHash('sha256').update(`${namespace}/${agent}/${revision}`).digest());
}

/** What an Agent's owner has asked for: its revision, or, while the controller has not looked at it, something that is none yet. */
export function desiredDeployment({ metadata, status }: Agent): string {
  const { namespace = '', name, generation = 0 } = metadata;
  const isSeen = status?.observedGeneration === generation && status.revision !== undefined;
  return deploymentId(namespace, name, isSeen ? (status.revision ?? '') : `generation-${generation}`);
}

/** What the controller has judged last; undefined while that is nothing. */
export function reconciledDeployment({ metadata, status }: Agent): string | undefined {
  const { namespace = '', name } = metadata;
  return status?.revision === undefined ? undefined : deploymentId(namespace, name, status.revision);
}
