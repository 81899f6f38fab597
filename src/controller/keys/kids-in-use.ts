import type { Informer } from '../../kube/informer.ts';
import type { Pod } from '../../kube/objects.ts';
import { isLive } from '../../pods/pod-facts.ts';
import { kidsOfPod } from '../../pods/trusted-keys.ts';

/** The ids of the keys that each live pod trusts; undefined where pods may be that cannot be seen. */
export function kidsInUse(pods: Pick<Informer<Pod>, 'store' | 'refusedNamespaces'>): ReadonlySet<string>[] | undefined {
  return pods.refusedNamespaces.length > 0
    ? undefined
    : [...pods.store.values()].filter(isLive).map((pod) => new Set(kidsOfPod(pod)));
}
