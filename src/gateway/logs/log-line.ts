import { labels } from '../../api/names.ts';
import type { Session } from '../../api/session.ts';
import { isNotFound, KubeError } from '../../kube/errors.ts';
import type { Pod } from '../../kube/objects.ts';
import { sessionId } from '../../pods/names.ts';
import { deploymentId } from '../agents/deployment-id.ts';

/** Where a line is from. */
export interface Origin {
  deploymentId: string | null;
  sessionId: string | null;
}

/** A line as callers get it. */
export interface ShownLine extends Origin {
  log: string;
  timestamp: string;
}

/** @param session that of the pod; none for a pod that waits */
export function originOf(pod: Pod | undefined, session: Session | undefined): Origin {
  const { namespace = '', labels: { [labels.agent]: agent = '', [labels.revision]: revision } = {} } =
    pod?.metadata ?? {};
  return {
    deploymentId: revision === undefined ? null : deploymentId(namespace, agent, revision),
    sessionId: session === undefined ? null : sessionId(session.metadata),
  };
}

/** Whether a log could not be read because there is none: its container has not begun, or the pod is gone. */
export function hasNoLog(error: unknown): boolean {
  return isNotFound(error) || (error instanceof KubeError && error.code === 400);
}
