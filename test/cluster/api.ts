import { readFile } from 'node:fs/promises';
import { Pool, type Dispatcher } from 'undici';
import { parse } from 'yaml';
import { kubeconfigOf } from './state.ts';

/** Where a cluster's API is and how to be let in. */
export interface ApiAccess {
  server: string;
  ca?: string;
  cert?: string;
  key?: string;
  token?: string;
  insecure: boolean;
}

/** An answer other than 2xx. */
export class ApiError extends Error {
  readonly status: number;

  constructor(what: string, status: number, body: string) {
    super(`${what}: ${status} ${body.slice(0, 500)}`);
    this.name = 'ApiError';
    this.status = status;
  }
}

/** Reads the current context of a kubeconfig that holds its credentials as data (no exec plugins, no files). */
export async function readApiAccess(kubeconfig: string): Promise<ApiAccess> {
  const config = parse(await readFile(kubeconfig, 'utf8')) as {
    clusters: { name: string; cluster: Record<string, string | boolean> }[];
    users: { name: string; user: Record<string, string> }[];
    contexts: { name: string; context: { cluster: string; user: string } }[];
    'current-context': string;
  };
  const context = config.contexts.find((entry) => entry.name === config['current-context'])?.context;
  const cluster = config.clusters.find((entry) => entry.name === context?.cluster)?.cluster;
  const user = config.users.find((entry) => entry.name === context?.user)?.user;
  if (typeof cluster?.['server'] !== 'string') throw new Error(`${kubeconfig} has no usable current context`);
  const decode = (value: unknown): string | undefined =>
    typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : undefined;
  const access: ApiAccess = { server: cluster['server'], insecure: cluster['insecure-skip-tls-verify'] === true };
  const ca = decode(cluster['certificate-authority-data']);
  const cert = decode(user?.['client-certificate-data']);
  const key = decode(user?.['client-key-data']);
  const token = user?.['token'];
  return {
    ...access,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    ...(token === undefined ? {} : { token }),
  };
}

/**
 * A bare client of the Kubernetes API for the tools around the tests. It shares no code with what is tested, so that an error in one
 * does not hide an error in the other.
 */
export class Api {
  readonly #pool: Pool;
  readonly #headers: Record<string, string>;

  constructor(access: ApiAccess, userAgent: string, connections = 16) {
    const { ca, cert, key } = access;
    this.#pool = new Pool(new URL(access.server).origin, {
      connections,
      // Over HTTP/2 all would share few connections, and one that hangs would hold up all.
      allowH2: false,
      connect: {
        rejectUnauthorized: !access.insecure,
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined || key === undefined ? {} : { cert, key }),
      },
    });
    this.#headers = { 'user-agent': userAgent, accept: 'application/json' };
    if (access.token !== undefined) this.#headers['authorization'] = `Bearer ${access.token}`;
  }

  /** The parsed answer. Throws {@link ApiError} for any status but 2xx. */
  async call<T>(method: Dispatcher.HttpMethod, path: string, body?: unknown, contentType?: string): Promise<T> {
    const text = await this.text(method, path, body, contentType);
    return JSON.parse(text) as T;
  }

  async text(method: Dispatcher.HttpMethod, path: string, body?: unknown, contentType?: string): Promise<string> {
    const response = await this.#pool.request({
      method,
      path,
      headers: {
        ...this.#headers,
        ...(body === undefined ? {} : { 'content-type': contentType ?? 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      reset: false, // undici else closes the connection after a DELETE with a body
      headersTimeout: 15_000,
      bodyTimeout: 15_000,
    });
    const text = await response.body.text();
    if (response.statusCode < 200 || response.statusCode > 299) {
      throw new ApiError(`${method} ${path}`, response.statusCode, text);
    }
    return text;
  }

  /** Lines of a streamed answer, each parsed: a watch. Ends when the server ends it. */
  async *lines<T>(path: string, signal: AbortSignal): AsyncGenerator<T> {
    const response = await this.#pool.request({ method: 'GET', path, headers: this.#headers, signal, bodyTimeout: 0 });
    if (response.statusCode !== 200) throw new ApiError(path, response.statusCode, await response.body.text());
    let rest = '';
    for await (const chunk of response.body.setEncoding('utf8') as AsyncIterable<string>) {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) if (part !== '') yield JSON.parse(part) as T;
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** Calls `use` with a client of the cluster in this folder (one connection), and closes it. */
export async function withApi<T>(folder: string, use: (api: Api) => Promise<T>): Promise<T> {
  const api = new Api(await readApiAccess(kubeconfigOf(folder)), 'bullpen-test-cluster', 1);
  try {
    return await use(api);
  } finally {
    await api.close();
  }
}
