import {
  isConflict,
  isDenied,
  isForbidden,
  isNotFound,
  isNotAuthorized,
  isUnavailable,
  KubeError,
} from '../../kube/errors.ts';
import { Problem } from '../problems.ts';

/** When to come back after the API server did not answer. */
const RETRY_AFTER_SECONDS = 5;

/** Of the gateway's own: what callers may do has been looked at before. */
const NO_RIGHT =
  'The gateway may not do this in this namespace. Whoever administers the cluster makes it an organization: bullpen org create NAMESPACE';

/** Characters of what Kubernetes says. */
const MAX_WORDS = 1000;

/**
 * What the caller is told of an error, whatever was thrown: nothing that was not meant for them.
 *
 * @param isPublic whether anybody may be the caller, who is told nothing of the cluster
 */
export function problemOf(error: unknown, isPublic = false): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof KubeError) {
    const retry = { retryAfterSeconds: error.retryAfterSeconds ?? RETRY_AFTER_SECONDS, cause: error };
    if (isUnavailable(error)) return new Problem('Unavailable', retry);
    if (isNotAuthorized(error)) return new Problem('Forbidden', { error: NO_RIGHT, cause: error });
    // A policy, a quota, or a namespace that is going: its words were written for whoever wanted this.
    if (isDenied(error) || isForbidden(error)) {
      const words = isPublic ? '' : `: ${wordsOf(error)}`;
      return new Problem('Forbidden', { error: `Kubernetes refuses it${words}`, cause: error });
    }
    // What it was about is known to be there, or to have been: its namespace may not be, or not any more.
    if (isNotFound(error))
      return new Problem('NotFound', { error: 'It is not there, or its organization', cause: error });
    if (isConflict(error)) return new Problem('Conflict', { cause: error });
    return new Problem('Internal', { cause: error });
  }
  // Express speaks of a request that it cannot read, such as a path that is not well encoded.
  const status = (error as { status?: unknown } | undefined)?.status;
  if (status === 400) return new Problem('BadRequest', { error: 'The request cannot be read' });
  return new Problem('Internal', { cause: error });
}

function wordsOf({ status, reason }: KubeError): string {
  return (status?.message ?? reason).slice(0, MAX_WORDS);
}
