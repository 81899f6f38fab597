import type { Pod } from '../../src/kube/objects.ts';

/**
 * What has really been done to sessions, beside what the API shows: an end reason that it does not bear out is a lie.
 * Disruptions are noted by the pod's uid, or by node.
 */
export class Truth {
  readonly #disruptedPods = new Set<string>();
  readonly #troubledNodes = new Set<string>();
  /** Pods whose finalizer somebody else took. */
  readonly stripped = new Set<string>();
  /** Pods whose label somebody took off: once their Session is gone as well, nothing leads to them. */
  readonly unlabelled = new Set<string>();
  /** Pods of protocol Http in which something was killed. */
  readonly struck = new Set<string>();
  /** The Agent was deleted, or made such that it takes no Sessions: one that was to get another pod gets none. */
  agentWasChanged = false;
  /** Supervisors could not be reached, or their answers were lost: that a session has begun may not have been known. */
  callTrouble = false;
  /** Creations did not go well: a Session may come to its end without a pod. */
  creationTrouble = false;
  /** Requests of the controller have failed. */
  requestTrouble = false;
  /** Requests were carried out later than the API server promises: the cap cannot be kept then, one pod per Session can. */
  promisesBroken = false;

  disruptPod(pod: Pod): void {
    this.#disruptedPods.add(pod.metadata.uid);
  }

  troubleNode(name: string): void {
    this.#troubledNodes.add(name);
  }

  wasDisrupted(pod: Pod | undefined): boolean {
    if (pod === undefined) return false;
    return this.#disruptedPods.has(pod.metadata.uid) || this.#troubledNodes.has(pod.spec.nodeName ?? '');
  }
}
