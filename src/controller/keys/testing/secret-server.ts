import type { KubeApi } from '../../../kube/api.ts';
import { errorFromAnswer } from '../../../kube/errors.ts';
import type { NewObject, Secret } from '../../../kube/objects.ts';
import { purposes, type Purpose } from '../key-set.ts';

/** One Secret, kept as the API server keeps it. Fails the next calls with these HTTP statuses. */
export class SecretServer {
  secret: Secret | undefined;
  writes = 0;
  readonly privateKeys = new Set<string>();
  failures: [code: number, reason: string][] = [];
  /** What somebody else does between our read and our write. */
  meanwhile: () => void = () => undefined;
  #version = 0;

  readonly api = {
    get: () => this.#answer('get', () => this.secret ?? refuse('get', 404, 'NotFound')),
    create: (_: unknown, namespace: string, body: NewObject<Secret>) =>
      this.#answer('create', () => {
        if (this.secret !== undefined) refuse('create', 409, 'AlreadyExists');
        this.writes++;
        return this.put({ ...body, metadata: { ...body.metadata, namespace } } as Secret);
      }),
    replace: (_: unknown, body: Secret) =>
      this.#answer('replace', () => {
        if (body.metadata.resourceVersion !== this.secret?.metadata.resourceVersion) refuse('replace', 409, 'Conflict');
        this.writes++;
        return this.put(body);
      }),
  } as unknown as KubeApi;

  put(secret: Secret): Secret {
    const metadata = { ...secret.metadata, resourceVersion: String(++this.#version) };
    const text = textOf(secret) + textOf(secret, 'sealing');
    for (const [, key = ''] of text.matchAll(/"d":"([^"]+)"/g)) this.privateKeys.add(key);
    return (this.secret = { ...secret, metadata });
  }

  annotate(annotations: Record<string, string>): void {
    if (this.secret === undefined) throw new Error('there is no Secret');
    this.put({ ...this.secret, metadata: { ...this.secret.metadata, annotations } });
  }

  async #answer<T>(what: string, act: () => T): Promise<T> {
    await Promise.resolve();
    const failure = this.failures.shift();
    if (failure !== undefined) refuse(what, ...failure);
    if (what !== 'get') this.meanwhile();
    return act();
  }
}

/** What is in the Secret for a purpose. */
export function textOf(secret: Secret | undefined, purpose: Purpose = 'signing'): string {
  return Buffer.from(secret?.data?.[purposes[purpose].file] ?? '', 'base64').toString();
}

function refuse(what: string, code: number, reason: string): never {
  throw errorFromAnswer(what, code, JSON.stringify({ kind: 'Status', code, reason }), undefined);
}
