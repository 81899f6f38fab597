import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool, type Dispatcher } from 'undici';
import { readApiAccess } from '../cluster/api.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { parseCall, type ProxiedCall } from './proxied-call.ts';
import { WatchFaults } from './watch-faults.ts';

export type { ProxiedCall } from './proxied-call.ts';
export type { WatchFaults } from './watch-faults.ts';

/** What becomes of a call. */
export type Fault =
  /** It is carried out, and the connection breaks before the reply. */
  | 'lose-reply'
  /** The connection breaks before it reaches the API server. */
  | 'lose-request'
  /** It is carried out, and nothing is ever heard of it: a connection whose other end is gone without a word. */
  | 'silence'
  /** It never arrives, and nothing is ever heard of it. */
  | 'silence-before'
  /** It reaches the API server only then: a packet that was held up, while its sender went on or was frozen. */
  | { arrivesAfter: Promise<unknown> }
  /** It is carried out, and its reply takes so long. */
  | { replyAfterMs: number }
  /** Something in front of the API server answers instead of it; with `asStatus` in the API's own words. */
  | { status: number; retryAfter?: number; asStatus?: string };

/** A fault that is in force until it is ended, or has struck as often as it was to. */
export interface FaultRule {
  /** How often it has struck. */
  readonly hits: number;
  /** Resolves when it strikes for the first time. */
  readonly struck: Promise<unknown>;
  end(): void;
}

interface Rule extends FaultRule {
  hits: number;
  matches: (call: ProxiedCall) => boolean;
  fault: Fault;
  times: number;
  onHit: (call: ProxiedCall) => void;
}

/**
 * Stands between one client and the API server, as an HTTP server on loopback, and does on command what networks and
 * overloaded servers do. It has an admin's rights; whoever uses {@link kubeconfig} acts with them, unless {@link actAs}
 * says otherwise.
 */
export class ChaosProxy {
  /** Every call that arrived, in order. */
  readonly calls: ProxiedCall[] = [];
  /** Path of a kubeconfig that leads here. */
  readonly kubeconfig: string;
  readonly #server: Server;
  readonly #upstream: Pool;
  readonly #rules = new Set<Rule>();
  readonly #watches = new Map<string, WatchFaults>();
  readonly #identity: Record<string, string> = {};

  private constructor(server: Server, upstream: Pool, kubeconfig: string) {
    this.#server = server;
    this.#upstream = upstream;
    this.kubeconfig = kubeconfig;
    server.on('request', (message: IncomingMessage, response: ServerResponse) => {
      // Whatever fails on the way looks like a broken connection.
      this.#serve(message, response).catch(() => response.destroy());
    });
  }

  static async start(cluster: Cluster): Promise<ChaosProxy> {
    const { server, ca, cert, key, insecure } = await readApiAccess(cluster.kubeconfig);
    const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }), rejectUnauthorized: !insecure };
    const upstream = new Pool(server, { connect: tls, connections: null, headersTimeout: 0, bodyTimeout: 0 });
    const listener = createServer({ keepAliveTimeout: 0, requestTimeout: 0 });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const folder = await mkdtemp(join(tmpdir(), 'bullpen-proxy-'));
    const kubeconfig = join(folder, 'kubeconfig');
    const { port } = listener.address() as AddressInfo;
    await writeFile(kubeconfig, JSON.stringify(kubeconfigFor(`http://127.0.0.1:${port}`)));
    return new ChaosProxy(listener, upstream, kubeconfig);
  }

  /**
   * Lets a fault strike the calls that match: `POST pods`, `PATCH sessions/status` (see {@link ProxiedCall.what}), or a
   * predicate. The rule that was made last goes first.
   */
  when(
    match: string | ((call: ProxiedCall) => boolean),
    fault: Fault,
    { times = Infinity, onHit = () => undefined }: { times?: number; onHit?: (call: ProxiedCall) => void } = {},
  ): FaultRule {
    const struck = Promise.withResolvers<undefined>();
    const rule: Rule = {
      hits: 0,
      struck: struck.promise,
      matches: typeof match === 'string' ? (call) => call.what === match : match,
      fault,
      times,
      onHit: (call) => {
        struck.resolve(undefined);
        onHit(call);
      },
      end: () => this.#rules.delete(rule),
    };
    this.#rules.add(rule);
    return rule;
  }

  /** Faults of the watches of one resource (`pods`): those that run, and those that come. */
  watches(resource: string): WatchFaults {
    const faults = this.#watches.get(resource) ?? new WatchFaults();
    this.#watches.set(resource, faults);
    return faults;
  }

  /** From now on, requests have the rights of this user alone. */
  actAs(user: string): void {
    this.#identity['impersonate-user'] = user;
  }

  /** Calls that match, from the given place in {@link calls} on. */
  count(matches: (call: ProxiedCall) => boolean, since = 0): number {
    return this.calls.slice(since).filter(matches).length;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await this.#upstream.destroy();
    await rm(join(this.kubeconfig, '..'), { recursive: true, force: true });
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(message);
    const call = parseCall(message, body);
    this.calls.push(call);
    const rule = this.#strike(call);
    const fault = rule?.fault;
    if (fault !== 'lose-reply') rule?.onHit(call);
    if (fault === 'lose-request') response.destroy();
    else if (fault === 'silence-before') return;
    else if (typeof fault === 'object' && 'status' in fault) answerInstead(response, fault);
    else if (call.watch || call.stream) {
      // Nothing is carried out by these: a reply that is lost is all that can happen to them.
      if (fault === 'lose-reply') rule?.onHit(call);
      if (fault === 'lose-reply') response.destroy();
      else if (fault !== 'silence') await this.#relay(call, message, response);
    } else {
      if (typeof fault === 'object' && 'arrivesAfter' in fault) await fault.arrivesAfter;
      const reply = await this.#carryOut(call, message, body);
      // The moment at which it is done and nobody knows.
      if (fault === 'lose-reply') rule?.onHit(call);
      if (fault === 'lose-reply') response.destroy();
      if (fault === 'lose-reply' || fault === 'silence') return;
      if (typeof fault === 'object' && 'replyAfterMs' in fault) await sleep(fault.replyAfterMs);
      response.writeHead(reply.status, reply.headers).end(reply.body);
    }
  }

  #strike(call: ProxiedCall): Rule | undefined {
    const rule = [...this.#rules].reverse().find((candidate) => candidate.matches(call));
    if (rule === undefined) return undefined;
    rule.hits += 1;
    if (rule.hits >= rule.times) rule.end();
    return rule;
  }

  async #carryOut(
    call: ProxiedCall,
    message: IncomingMessage,
    body: Buffer,
  ): Promise<{ status: number; headers: Record<string, string>; body: Buffer }> {
    const answer = await this.#upstream.request({ ...this.#forwarded(message), body: body.length === 0 ? null : body });
    const reply = Buffer.from(await answer.body.arrayBuffer());
    call.status = answer.statusCode;
    return { status: answer.statusCode, headers: replyHeaders(answer), body: reply };
  }

  async #relay(call: ProxiedCall, message: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    const answer = await this.#upstream.request({ ...this.#forwarded(message), signal: gone.signal });
    call.status = answer.statusCode;
    response.writeHead(answer.statusCode, replyHeaders(answer));
    response.flushHeaders();
    if (call.watch) await this.watches(call.resource).relay(answer.body, response);
    else await pipeline(answer.body, response);
  }

  #forwarded(message: IncomingMessage): Pick<Dispatcher.RequestOptions, 'method' | 'path' | 'headers' | 'reset'> {
    const headers = Object.fromEntries(
      ['accept', 'content-type', 'user-agent'].flatMap((name) => {
        const value = message.headers[name];
        return typeof value === 'string' ? [[name, value]] : [];
      }),
    );
    return {
      method: message.method as Dispatcher.HttpMethod,
      path: message.url ?? '',
      headers: { ...headers, ...this.#identity },
      reset: false,
    };
  }
}

function replyHeaders({ headers }: Dispatcher.ResponseData): Record<string, string> {
  return Object.fromEntries(
    ['content-type', 'retry-after', 'warning'].flatMap((name) => {
      const value = headers[name];
      return typeof value === 'string' ? [[name, value]] : [];
    }),
  );
}

function answerInstead(response: ServerResponse, fault: Extract<Fault, { status: number }>): void {
  const { status, retryAfter, asStatus } = fault;
  const body =
    asStatus === undefined
      ? 'the proxy says no'
      : JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: status, reason: asStatus });
  response
    .writeHead(status, {
      'content-type': asStatus === undefined ? 'text/plain' : 'application/json',
      ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
    })
    .end(body);
}

function kubeconfigFor(server: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    // client-node speaks plain HTTP only to servers whose certificates it would not look at anyway.
    clusters: [{ name: 'proxy', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'proxy', user: {} }],
    contexts: [{ name: 'proxy', context: { cluster: 'proxy', user: 'proxy' } }],
    'current-context': 'proxy',
  };
}
