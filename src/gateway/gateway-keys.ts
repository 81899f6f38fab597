import { z } from 'zod';
import type { KubeApi } from '../kube/api.ts';
import { sleep, type Clock } from '../kube/clock.ts';
import type { Logger } from '../kube/logger.ts';
import { secrets as secretResource } from '../kube/resources.ts';
import type { SharedSecret } from './start/idempotency.ts';

/** How often the Secret is looked at: new keys come first and the old ones stay for hours, so nothing depends on the moment. */
const LOOK_MS = 60_000;
/** While there are none. */
const RETRY_MS = 1_000;
const FILE = 'keys.json';

const keySet = z.object({ keys: z.array(z.object({ kid: z.string(), d: z.string() })).min(1) });

/** What all replicas of the gateway share and nobody else has: the keys that the controller makes for it. */
export class GatewayKeys {
  readonly #api: KubeApi;
  readonly #secret: { namespace: string; name: string };
  readonly #clock: Clock;
  readonly #logger: Logger;
  #secrets: readonly SharedSecret[] = [];

  constructor(deps: { api: KubeApi; secret: { namespace: string; name: string }; clock: Clock; logger: Logger }) {
    this.#api = deps.api;
    this.#secret = deps.secret;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
  }

  /** Newest first; none until they have been read. */
  get secrets(): readonly SharedSecret[] {
    return this.#secrets;
  }

  /** Reads them; what cannot be read leaves the keys of before in use. */
  async look(signal: AbortSignal): Promise<void> {
    try {
      this.#secrets = await this.#read(signal);
    } catch (error) {
      if (!signal.aborted)
        this.#logger.warn({ err: error, secret: this.#secret.name }, "cannot read the gateway's keys");
    }
  }

  /** Keeps up with the Secret, which has been looked at, until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(this.#clock, this.#secrets.length > 0 ? LOOK_MS : RETRY_MS, signal).catch(() => undefined);
      if (!signal.aborted) await this.look(signal);
    }
  }

  async #read(signal: AbortSignal): Promise<SharedSecret[]> {
    const { data } = await this.#api.get(secretResource, this.#secret, { signal });
    try {
      const { keys } = keySet.parse(JSON.parse(Buffer.from(data?.[FILE] ?? '', 'base64').toString('utf8')));
      return keys.map(({ kid, d }) => ({ kid, secret: Buffer.from(d, 'base64url') }));
    } catch {
      // What parsers say quotes what they parse.
      throw new Error(`the Secret ${this.#secret.name} holds no keys that can be used`);
    }
  }
}
