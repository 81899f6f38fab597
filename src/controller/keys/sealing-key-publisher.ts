import { labels, managedBy, sealingFile } from '../../api/names.ts';
import type { KubeApi } from '../../kube/api.ts';
import { sleep, type Clock } from '../../kube/clock.ts';
import { find } from '../../kube/find.ts';
import type { Logger } from '../../kube/logger.ts';
import { configMaps } from '../../kube/resources.ts';
import type { PublicKey } from './key-set.ts';

/** How often it is looked whether somebody has changed what is published. */
const LOOK_MS = 60_000;
/** When a look that failed is repeated. */
const RETRY_MS = 2_000;
const FIELD_MANAGER = 'bullpen-controller';

/** Publishes the public halves of the keys with which bodies are sealed for the controller: a ConfigMap, because they are no secret. */
export class SealingKeyPublisher {
  readonly #api: KubeApi;
  readonly #map: { namespace: string; name: string };
  readonly #keys: () => readonly PublicKey<'sealing'>[];
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(deps: {
    api: KubeApi;
    map: { namespace: string; name: string };
    /** Newest first. */
    keys: () => readonly PublicKey<'sealing'>[];
    clock: Clock;
    logger: Logger;
  }) {
    this.#api = deps.api;
    this.#map = deps.map;
    this.#keys = deps.keys;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
  }

  /**
   * Keeps the ConfigMap up to date until the signal is aborted.
   *
   * @param onChanged calls back whenever there are other keys, and returns what ends that
   */
  async run(onChanged: (listener: () => void) => () => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const changed = new AbortController();
      const stop = onChanged(() => changed.abort());
      const ok = await this.#publish(signal);
      await sleep(this.#clock, ok ? LOOK_MS : RETRY_MS, AbortSignal.any([signal, changed.signal])).catch(
        () => undefined,
      );
      stop();
    }
  }

  /** Writes only where something else is there. @returns whether what is published is right */
  async #publish(signal: AbortSignal): Promise<boolean> {
    const text = JSON.stringify({ keys: this.#keys() });
    try {
      const published = await find(this.#api, configMaps, this.#map, { signal });
      if (published?.data?.[sealingFile] === text) return true;
      const body = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { ...this.#map, labels: { [labels.managedBy]: managedBy } },
        data: { [sealingFile]: text },
      };
      const options = { fieldManager: FIELD_MANAGER, force: true, signal };
      await this.#api.patch(configMaps, this.#map, { type: 'apply', body }, options);
      this.#logger.info({ configMap: this.#map.name }, 'published the keys that seal');
      return true;
    } catch (error) {
      if (!signal.aborted)
        this.#logger.warn({ err: error, configMap: this.#map.name }, 'cannot publish the keys that seal');
      return false;
    }
  }
}
