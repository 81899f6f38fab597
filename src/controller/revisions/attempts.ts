import type { Clock } from '../../kube/clock.ts';
import type { Logger } from '../../kube/logger.ts';
import { Background } from '../pool/background.ts';

/** Requests that may be under way at one time, of all Agents and of one. */
const PARALLEL = { limit: 2, perKey: 1 };

/** After a request that failed. */
const AGAIN_MS = 60_000;

/** What has been tried for one Agent, by what is complained about when it fails. */
export interface Tried {
  /** Under way, or failed a moment ago. */
  busy: Set<string>;
  /** Complained about. */
  said: Set<string>;
}

/** Does beside the agent loop what no session is to wait for. What fails is said once, and tried again now and then. */
export class Attempts {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #wake: (agentKey: string) => void;
  readonly #background = new Background(PARALLEL);

  constructor(deps: { clock: Clock; logger: Logger; wake: (agentKey: string) => void }) {
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#wake = deps.wake;
  }

  /** Does it, and wakes the loop then; nothing while the same is on its way. */
  run(agentKey: string, tried: Tried, complaint: string, task: () => Promise<void>, signal: AbortSignal): void {
    const { busy } = tried;
    if (busy.has(complaint)) return;
    busy.add(complaint);
    this.#background.run(agentKey, async () => {
      if (signal.aborted) return;
      try {
        await task();
        busy.delete(complaint);
      } catch (error) {
        this.say(agentKey, tried, complaint, { err: error });
        this.#clock.setTimeout(() => {
          busy.delete(complaint);
          this.#wake(agentKey);
        }, AGAIN_MS);
      }
      this.#wake(agentKey);
    });
  }

  say(agentKey: string, { said }: Tried, complaint: string, why: object): void {
    if (said.has(complaint)) return;
    said.add(complaint);
    this.#logger.warn({ ...why, agent: agentKey }, complaint);
  }
}
