import { annotations } from '../api/names.ts';
import type { Pod } from '../kube/objects.ts';
import type { PublicKeys } from '../supervisor/wire.ts';

/** The annotation that notes which keys a pod trusts. */
export function trustedKeysAnnotation({ controller, gateway }: PublicKeys): Record<string, string> {
  return { [annotations.keys]: [...controller, ...gateway].map(({ kid }) => kid).join(',') };
}

/** The ids of the keys that a pod trusts: none, if nobody speaks to it. */
export function kidsOfPod(pod: Pod): string[] {
  return pod.metadata.annotations?.[annotations.keys]?.split(',') ?? [];
}
