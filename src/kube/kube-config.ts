import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { isDeepStrictEqual } from 'node:util';
import type { KubeConfig } from '@kubernetes/client-node';
import { settlesWithin, type Clock } from './clock.ts';
import type { Credentials, CredentialSource } from './credentials.ts';
import type { Logger } from './logger.ts';

/**
 * How long credentials are used before the files behind them are read again.
 * client-go's number; a kubelet renews a token when a fifth of its life (at least two minutes) is left.
 */
const refreshMs = 60_000;

/** How long reading them may take; an exec plugin may wait for a person or a network. */
const readTimeoutMs = 30_000;

/**
 * A 401 makes us read them again, but not more often than this: a plugin run for every refused request would be a
 * storm.
 */
const shortestRefreshMs = 1000;

export interface KubeConfigCredentialsOptions {
  clock: Clock;
  logger?: Logger | undefined;
}

/**
 * Credentials as client-node's KubeConfig has them: client certificates, tokens, token files (in a cluster), exec
 * plugins, OIDC. Certificates, CA and token files are read again every minute, and at once after a 401.
 */
export class KubeConfigCredentials implements CredentialSource {
  readonly #load: () => KubeConfig;
  readonly #options: KubeConfigCredentialsOptions;
  #config: KubeConfig;
  #current: Credentials | undefined;
  #loadedAt = -Infinity;
  #reload = false;
  #loading: Promise<Credentials> | undefined;

  /** Pass a function rather than a KubeConfig to have the kubeconfig file itself read again after a 401. */
  constructor(config: KubeConfig | (() => KubeConfig), options: KubeConfigCredentialsOptions) {
    this.#load = typeof config === 'function' ? config : () => config;
    this.#config = this.#load();
    this.#options = options;
  }

  /** The URL of the API server. */
  get server(): string {
    const cluster = this.#config.getCurrentCluster();
    if (cluster === null) throw new Error('no cluster is chosen: set one with `kubectl config use-context`');
    if (cluster.proxyUrl) throw new Error(`the kubeconfig wants a proxy (${cluster.proxyUrl}), which is not supported`);
    return cluster.server;
  }

  current(): Credentials | Promise<Credentials> {
    const age = this.#options.clock.monotonic() - this.#loadedAt;
    if (this.#current !== undefined && age < refreshMs) return this.#current;
    this.#loading ??= this.#refresh().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  invalidate(): void {
    if (this.#options.clock.monotonic() - this.#loadedAt < shortestRefreshMs) return;
    this.#loadedAt = -Infinity;
    this.#reload = true;
  }

  /** What we had goes on being used while its source cannot be read: it may well be good still. */
  async #refresh(): Promise<Credentials> {
    const { clock, logger } = this.#options;
    try {
      if (this.#reload) this.#config = this.#load();
      this.#reload = false;
      const reading = readCredentials(this.#config);
      const inTime = await settlesWithin(clock, reading, readTimeoutMs);
      if (!inTime) throw new Error(`the credentials were not there after ${readTimeoutMs} ms`);
      const read = await reading;
      const tls =
        this.#current !== undefined && isDeepStrictEqual(this.#current.tls, read.tls) ? this.#current.tls : read.tls;
      this.#current = { headers: read.headers, tls };
    } catch (error) {
      if (this.#current === undefined) throw error;
      logger?.warn({ err: error }, 'cannot read the Kubernetes credentials again; using the old ones');
    }
    this.#loadedAt = clock.monotonic();
    return this.#current;
  }
}

async function readCredentials(config: KubeConfig): Promise<Credentials> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    if (typeof value === 'string') headers[name] = value;
  }
  if (typeof options.auth === 'string')
    headers['Authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  // client-node remembers the token file's content for a minute of its own: after a 401 that would be the refused one.
  const tokenFile = tokenFileOf(config);
  if (tokenFile !== undefined) headers['Authorization'] = `Bearer ${(await readFile(tokenFile, 'utf8')).trim()}`;

  const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized } = options;
  const tls = { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized };
  const given = Object.entries(tls).filter(([, value]) => value !== undefined);
  return { headers, tls: Object.fromEntries(given) };
}

function tokenFileOf(config: KubeConfig): string | undefined {
  const provider = config.getCurrentUser()?.authProvider as { config?: { tokenFile?: unknown } } | null | undefined;
  const file = provider?.config?.tokenFile;
  return typeof file === 'string' ? file : undefined;
}
