import { z } from 'zod';
import { sealingFile } from '../api/names.ts';
import type { ConfigMap } from '../kube/objects.ts';
import type { Store } from '../kube/store.ts';
import type { SealingJwk } from '../sealing/sealing.ts';

const published = z.object({
  keys: z.array(z.object({ kid: z.string(), kty: z.literal('OKP'), crv: z.literal('X25519'), x: z.string() })).min(1),
});

/** The key that the controller has published for whoever seals; undefined while there is none that can be used. */
export class SealingKey {
  readonly #maps: Store<ConfigMap>;
  readonly #read = new WeakMap<ConfigMap, SealingJwk>();

  /** @param maps the one ConfigMap that the controller publishes */
  constructor(maps: Store<ConfigMap>) {
    this.#maps = maps;
  }

  get current(): SealingJwk | undefined {
    const [map] = this.#maps.values();
    if (map === undefined) return undefined;
    const known = this.#read.get(map) ?? read(map);
    if (known !== undefined) this.#read.set(map, known);
    return known;
  }
}

function read(map: ConfigMap): SealingJwk | undefined {
  try {
    return published.parse(JSON.parse(map.data?.[sealingFile] ?? '')).keys[0];
  } catch {
    return undefined; // Somebody has changed it; the controller puts it right.
  }
}
