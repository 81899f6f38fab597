import { createHash } from 'node:crypto';
import type { Agent } from '../../api/agent.ts';
import { redeployMark } from '../../pods/revision.ts';
import { isJudged } from '../agent-readiness.ts';
import { uuidOf } from '../uuid.ts';

/** A deployment is what Kubernetes' words call a revision of an Agent; Pipecat's clients want a UUID for it. */
export function deploymentId(namespace: string, agent: string, revision: string): string {
  return uuidOf(createHash('sha256').update(`${namespace}/${agent}/${revision}`).digest());
}

/** What an Agent's owner has asked for: its revision, or, while the controller has not looked at it, something that is none yet. */
export function desiredDeployment(agent: Agent): string {
  const { metadata, status } = agent;
  const { namespace = '', name, generation = 0 } = metadata;
  const unseen = `generation-${generation}-${redeployMark(metadata) ?? ''}`;
  return deploymentId(namespace, name, (isJudged(agent) ? status?.revision : undefined) ?? unseen);
}

/**
 * What the controller has judged last; undefined while that is nothing. Where pods are to wait, the judgement is that one of them is
 * ready: before that nobody knows whether the image can be pulled, and clients that deploy take what is judged for done.
 */
export function reconciledDeployment({ metadata, spec, status }: Agent): string | undefined {
  const { namespace = '', name } = metadata;
  const waits = (spec.scaling?.minAgents ?? 0) > 0;
  const judged = waits ? status?.lastReadyRevision : status?.revision;
  return judged === undefined ? undefined : deploymentId(namespace, name, judged);
}
