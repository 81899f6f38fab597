import { randomBytes } from 'node:crypto';
import type { ApiKeyType } from '../../src/api/api-key.ts';
import { apiKeyOf, makeKey } from '../../src/keys/api-key.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { waitFor } from '../cluster/wait.ts';
import type { ChaosProxy } from './chaos-proxy.ts';
import { programAccount } from './controller-account.ts';
import { ProgramProcess } from './program-process.ts';

export interface GatewayOptions {
  /** Its own namespace, in which its controller publishes. */
  namespace: string;
  /** Namespaces that it serves. */
  watchNamespaces?: string[];
  /** More of BULLPEN_CONFIG. */
  config?: Record<string, unknown>;
  /** Between it and the API server. */
  proxy?: ChaosProxy;
  env?: Record<string, string>;
}

/** A gateway that runs beside the cluster. It has the rights that the chart gives it, and no others. */
export class GatewayProcess extends ProgramProcess {
  #origin = '';

  /** Starts one; resolves when it serves. */
  static async start(cluster: Cluster, options: GatewayOptions): Promise<GatewayProcess> {
    const account = await programAccount(cluster, options.namespace, 'gateway');
    for (const organization of options.watchNamespaces ?? []) await bind(cluster, options.namespace, organization);
    options.proxy?.actAs(account.user);
    const config = {
      namespace: options.namespace,
      watchNamespaces: options.watchNamespaces ?? [],
      http: { port: 0 },
      health: { port: 0 },
      checkReplies: true,
      ...options.config,
    };
    const { kubeconfig } = options.proxy ?? account;
    const child = await ProgramProcess.spawn('gateway', { kubeconfig, config, env: options.env });
    const gateway = new GatewayProcess('gateway', child);
    const { port } = await gateway.log('serving');
    gateway.#origin = `http://127.0.0.1:${String(port)}`;
    return gateway;
  }

  /** Where it serves: `http://127.0.0.1:PORT`. */
  get origin(): string {
    return this.#origin;
  }

  /** Its metrics, in Prometheus' text format. */
  async metrics(): Promise<string> {
    const { health } = await this.log('serving');
    const response = await fetch(`http://127.0.0.1:${String(health)}/metrics`);
    return await response.text();
  }

  /** Resolves when a request, repeated, is answered so. Rejects with the last answer. */
  async answers(method: string, path: string, options: CallOptions, wanted: object): Promise<void> {
    let last: unknown;
    const holds = async (): Promise<boolean> => {
      const { status, body } = await this.call(method, path, options);
      last = { status, body };
      return isMatch(last, wanted);
    };
    await waitFor(holds, { what: `${method} ${path} to be answered so`, timeoutMs: 60_000 }).catch((error: unknown) => {
      throw new Error(`${String(error)}; it was ${JSON.stringify(last)}; the gateway last said:\n${this.tail(5)}`);
    });
  }

  /** A request of its API, with a key. The answer must be JSON, as all are. */
  async call(
    method: string,
    path: string,
    { key, body, headers = {}, signal }: CallOptions = {},
  ): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
    const response = await fetch(`${this.#origin}${path}`, {
      method,
      headers: {
        ...(key !== undefined && { authorization: `Bearer ${key}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      ...(signal && { signal }),
    });
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Record<string, unknown>,
    };
  }
}

/** A request, beside its method and path. */
interface CallOptions {
  key?: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Lets the gateway do in a namespace what it may do in an organization, as `bullpen org create` does. */
async function bind(cluster: Cluster, namespace: string, organization: string): Promise<void> {
  const role = `--clusterrole=${namespace}-bullpen-gateway-organization`;
  const account = `--serviceaccount=${namespace}:bullpen-gateway`;
  const args = ['create', 'rolebinding', 'gateway-organization', role, account, '--namespace', organization];
  await cluster.kubectl(args).catch((error: unknown) => {
    if (!String(error).includes('already exists')) throw error;
  });
}

/** Whether all that is in `wanted` is in `value`, too. */
function isMatch(value: unknown, wanted: unknown): boolean {
  if (wanted === null || typeof wanted !== 'object') return value === wanted;
  if (value === null || typeof value !== 'object') return false;
  return Object.entries(wanted).every(([key, member]) => isMatch((value as Record<string, unknown>)[key], member));
}

/** Makes a key of a namespace as an administrator would. */
export async function createKey(cluster: Cluster, namespace: string, type: ApiKeyType): Promise<string> {
  const key = makeKey(type, randomBytes);
  const object = apiKeyOf(key, type, 'of a test');
  const input = JSON.stringify({ ...object, metadata: { ...object.metadata, namespace } });
  await cluster.kubectl(['create', '-f', '-'], { input });
  return key;
}
