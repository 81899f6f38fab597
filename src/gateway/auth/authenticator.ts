import type { ApiKey, ApiKeyType } from '../../api/api-key.ts';
import { keyPrefixes } from '../../keys/api-key.ts';
import type { KeyStore } from '../keys/key-store.ts';
import { Problem } from '../problems.ts';
import type { Plane } from '../http/route.ts';
import type { Principal } from './principal.ts';

/** The keys that each plane takes. */
const TYPES = {
  public: ['Public'],
  private: ['Private', 'Cli'],
  organization: ['Private', 'Cli'],
  user: ['Private', 'Cli'],
} as const satisfies Record<Exclude<Plane, 'open'>, ApiKeyType[]>;

const NOBODY: Principal = { kind: 'nobody' };

/** A token of Kubernetes' is longer than any key; more than this is none. */
const MAX_TOKEN_LENGTH = 16 * 1024;

/** What a namespace may be called: nothing else is in a path to Kubernetes. */
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** What a plane, and the organization in the path if there is one, asks of who calls. */
export interface Demand {
  plane: Plane;
  organization: string | undefined;
  access: { verb: string; resource: string } | undefined;
}

/**
 * Asks Kubernetes about tokens that are no keys of ours.
 *
 * `admit` is called before it does, where the answer is not known yet, and throws where this is not to be asked: anybody may send any token,
 * and each would be a request to the API server.
 */
export interface TokenReviewer {
  /** Who has this token; undefined when it is not good. */
  review(token: string, admit?: () => void): Promise<Extract<Principal, { kind: 'user' }> | undefined>;
  /** Whether they may do this in the namespace. */
  allows(
    user: Extract<Principal, { kind: 'user' }>,
    access: { verb: string; resource: string; namespace: string },
    admit?: () => void,
  ): Promise<boolean>;
}

/**
 * Finds out who calls, and whether they may. A key that is not good, or good for another organization, is refused in the same words:
 * whoever calls learns nothing of what there is elsewhere.
 */
export class Authenticator {
  readonly #keys: KeyStore;
  readonly #tokens: TokenReviewer | undefined;
  readonly #onUse: ((key: ApiKey) => void) | undefined;

  constructor(deps: {
    keys: KeyStore;
    tokens?: TokenReviewer | undefined;
    /** Told of each use of a good key. */
    onUse?: ((key: ApiKey) => void) | undefined;
  }) {
    this.#keys = deps.keys;
    this.#onUse = deps.onUse;
    this.#tokens = deps.tokens;
  }

  /**
   * @param admit called at most once for what is a question to Kubernetes; see {@link TokenReviewer}
   * @throws Problem Unauthorized, Forbidden or NotFound, or what `admit` throws
   */
  async authenticate(
    authorization: string | undefined,
    { plane, organization: asked, access }: Demand,
    admit: () => void = () => undefined,
  ): Promise<{ principal: Principal; organization: string }> {
    if (plane === 'open') return { principal: NOBODY, organization: '' };
    const token = bearerOf(authorization);
    const key = this.#keys.find(token);
    if (key !== undefined) return this.#ofKey(key, plane, asked);
    const user = mayBeUsers(plane, token) ? await this.#tokens?.review(token, admit) : undefined;
    if (user === undefined) throw new Problem('Unauthorized');
    if (plane === 'user') return { principal: user, organization: '' };
    // A route that forgot to say what it is about, or what it takes, opens nothing.
    if (asked === undefined || access === undefined) throw new Problem('Unauthorized');
    if (!NAMESPACE.test(asked)) throw new Problem('NotFound', { error: 'Organization not found' });
    const allowed = await this.#tokens?.allows(user, { ...access, namespace: asked }, admit);
    if (allowed !== true) throw new Problem('Forbidden', { error: forbidden(user.name, access, asked) });
    return { principal: user, organization: asked };
  }

  #ofKey(
    key: ApiKey,
    plane: Exclude<Plane, 'open'>,
    asked: string | undefined,
  ): { principal: Principal; organization: string } {
    const { namespace = '' } = key.metadata;
    const types: readonly ApiKeyType[] = TYPES[plane];
    const isRight = types.includes(key.spec.type) && (asked === undefined || asked === namespace);
    if (!isRight) throw new Problem('Unauthorized');
    this.#onUse?.(key);
    return { principal: { kind: 'key', key }, organization: namespace };
  }
}

/** Whether a token may be one of Kubernetes': a key of ours that is no good any more is nobody else's business. */
function mayBeUsers(plane: Plane, token: string): boolean {
  const isOurs = Object.values(keyPrefixes).some((prefix) => token.startsWith(prefix));
  return plane !== 'public' && plane !== 'private' && !isOurs;
}

function bearerOf(authorization: string | undefined): string {
  const token = /^Bearer +([!-~]+) *$/i.exec(authorization ?? '')?.[1];
  if (token === undefined || token.length > MAX_TOKEN_LENGTH) throw new Problem('Unauthorized');
  return token;
}

function forbidden(user: string, { verb, resource }: { verb: string; resource: string }, namespace: string): string {
  return `${user} may not ${verb} ${resource} in namespace ${namespace}: give them a Role that allows it`;
}
