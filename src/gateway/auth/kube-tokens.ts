import type { KubeApi } from '../../kube/api.ts';
import type { Clock } from '../../kube/clock.ts';
import type { KubeObject } from '../../kube/objects.ts';
import type { Resource } from '../../kube/resources.ts';
import { group } from '../../api/names.ts';
import { hashOf } from '../../keys/api-key.ts';
import { Answers } from './answers.ts';
import type { TokenReviewer } from './authenticator.ts';
import type { Principal } from './principal.ts';

type User = Extract<Principal, { kind: 'user' }>;

interface TokenReview extends KubeObject {
  spec: { token: string; audiences?: string[] };
  status?: {
    authenticated?: boolean;
    user?: { username?: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> };
  };
}

interface AccessReview extends KubeObject {
  spec: {
    user: string;
    uid?: string;
    groups: readonly string[];
    extra?: Readonly<Record<string, readonly string[]>>;
    resourceAttributes: { group: string; resource: string; verb: string; namespace: string };
  };
  status?: { allowed?: boolean };
}

const tokenReviews: Resource<TokenReview> = {
  group: 'authentication.k8s.io',
  version: 'v1',
  plural: 'tokenreviews',
  kind: 'TokenReview',
  namespaced: false,
};
const accessReviews: Resource<AccessReview> = {
  group: 'authorization.k8s.io',
  version: 'v1',
  plural: 'subjectaccessreviews',
  kind: 'SubjectAccessReview',
  namespaced: false,
};

/** How long an answer of Kubernetes' holds: as long as the API server itself keeps one. */
const KEEP_MS = 10_000;

/** Kubernetes' own users, by their tokens, with the rights that they have in Kubernetes: there is no other permission model. */
export class KubeTokens implements TokenReviewer {
  readonly #api: KubeApi;
  readonly #users: Answers<User | undefined>;
  readonly #rights: Answers<boolean>;

  constructor({ api, clock }: { api: KubeApi; clock: Clock }) {
    this.#api = api;
    this.#users = new Answers({ clock, keepMs: KEEP_MS });
    this.#rights = new Answers({ clock, keepMs: KEEP_MS });
  }

  async review(token: string, admit?: () => void): Promise<User | undefined> {
    const ask = async (): Promise<User | undefined> => {
      const { status } = await this.#api.create(tokenReviews, undefined, { metadata: {}, spec: { token } });
      const { username: name, uid, groups = [], extra } = status?.user ?? {};
      if (status?.authenticated !== true || name === undefined) return undefined;
      return { kind: 'user', name, groups, ...(uid !== undefined && { uid }), ...(extra && { extra }) };
    };
    return await this.#users.get(hashOf(token), ask, admit);
  }

  async allows(
    user: User,
    access: { verb: string; resource: string; namespace: string },
    admit?: () => void,
  ): Promise<boolean> {
    const { verb, resource, namespace } = access;
    const { kind: _kind, name, ...more } = user;
    const ask = async (): Promise<boolean> => {
      const attributes = { group: resource === 'secrets' ? '' : group, resource, verb, namespace };
      // All that the token said of them: there are tokens that give less than their owner has, and say so in `extra`.
      const spec = { user: name, ...more, resourceAttributes: attributes };
      const { status } = await this.#api.create(accessReviews, undefined, { metadata: {}, spec });
      return status?.allowed === true;
    };
    return await this.#rights.get(JSON.stringify([name, more, verb, resource, namespace]), ask, admit);
  }
}
