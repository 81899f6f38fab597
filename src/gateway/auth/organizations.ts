import { labels } from '../../api/names.ts';
import type { KubeApi } from '../../kube/api.ts';
import type { Clock } from '../../kube/clock.ts';
import { namespaces } from '../../kube/resources.ts';
import { Answers } from './answers.ts';
import type { TokenReviewer } from './authenticator.ts';
import type { Principal } from './principal.ts';

/** Namespaces that one look asks about at most. */
const MAX_ASKED = 200;

/** How long a list of them is good: whoever has just made one may look for it. */
const LIST_MS = 2_000;

/** Which organizations somebody may use: that of a key, and for a user of Kubernetes those in which they may list Agents. */
export class Organizations {
  readonly #api: KubeApi;
  readonly #tokens: TokenReviewer;
  readonly #served: readonly string[];
  readonly #lists: Answers<string[]>;

  constructor(deps: {
    api: KubeApi;
    tokens: TokenReviewer;
    /** The namespaces that are served; when empty, all that are labelled as organizations. */
    served: readonly string[];
    clock: Clock;
  }) {
    this.#api = deps.api;
    this.#tokens = deps.tokens;
    this.#served = deps.served;
    this.#lists = new Answers({ clock: deps.clock, keepMs: LIST_MS });
  }

  async of(principal: Principal): Promise<string[]> {
    if (principal.kind === 'key') return [principal.key.metadata.namespace ?? ''];
    if (principal.kind === 'nobody') return [];
    const names = this.#served.length > 0 ? this.#served : await this.#lists.get('', () => this.#labelled());
    const asked = names.slice(0, MAX_ASKED).map(async (namespace) => {
      const allowed = await this.#tokens.allows(principal, { verb: 'list', resource: 'agents', namespace });
      return allowed ? [namespace] : [];
    });
    return (await Promise.all(asked)).flat().sort();
  }

  async #labelled(): Promise<string[]> {
    const { items } = await this.#api.list(namespaces, { labelSelector: labels.organization });
    return items.map(({ metadata }) => metadata.name);
  }
}
