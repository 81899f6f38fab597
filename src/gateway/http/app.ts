import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type ErrorRequestHandler, type Express, type Request, type Response } from 'express';
import type { z } from 'zod';
import type { AccessWatch } from '../auth/access-watch.ts';
import type { Authenticator, Demand } from '../auth/authenticator.ts';
import { nameOf } from '../auth/principal.ts';
import { Problem } from '../problems.ts';
import type { Clock } from '../../kube/clock.ts';
import type { GatewayMetrics } from '../../telemetry/gateway-metrics.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { addressOf } from './address-of.ts';
import { ByteBudget } from './byte-budget.ts';
import { problemOf } from './problem-of.ts';
import { readJson } from './read-body.ts';
import { STYLE } from '../openapi/page.ts';
import { RateLimiter, type Rate } from './rate-limiter.ts';
import { fixedReply, sendJson, sendProblem } from './reply.ts';
import type { Route } from './route.ts';
import { sendLines } from './send-lines.ts';

/** What may be asked in a second: by one key or user, and from one address before anybody knows who it is. */
export interface Rates {
  caller: Rate;
  address: Rate;
}

export interface AppDeps {
  routes: readonly Route[];
  authenticator: Authenticator;
  logger: Logger;
  rates: Rates;
  /** How many proxies in front of it may say who calls, by X-Forwarded-For. */
  trustedProxies: number;
  /** Holds every reply against its schema: for tests. */
  checkReplies: boolean;
  /** The documents that say how the API is used. */
  documents: { json: object; html: string };
  access: AccessWatch;
  metrics: GatewayMetrics;
  /** Aborted when the process is to end: replies that have no end of their own end then. */
  stopping: AbortSignal;
  clock: Clock;
}

/** What browsers may do with the public plane: a key is in the header, never in a cookie, so any page may call it. */
const CORS = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE, OPTIONS',
  // `*` would not cover Authorization.
  'access-control-allow-headers': 'authorization, content-type, idempotency-key',
  'access-control-expose-headers': 'x-request-id, retry-after',
  'access-control-max-age': '600',
};

const SECURITY = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

/** The page has a style of its own, and nothing else. */
const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; frame-ancestors 'none'`;

/** Bodies of all requests together. What is made of one is a few times as large, and a pod has 512 MiB. */
const MAX_BODY_BYTES = 32 * 1024 * 1024;

/** Of replies that have not been taken yet, as JSON, all together. */
const MAX_REPLY_BYTES = 64 * 1024 * 1024;

const ENDS = 'This replica of the gateway ends. Please ask again.';

const requestIdPattern = /^[\w.-]{1,128}$/;

/** The REST API, without a server. */
export function createApp({
  routes,
  authenticator,
  rates,
  trustedProxies,
  checkReplies,
  documents,
  logger,
  access,
  metrics,
  stopping,
  clock,
}: AppDeps): Express {
  const app = express();
  const now = (): number => clock.monotonic();
  app.set('trust proxy', trustedProxies);
  const callers = new RateLimiter(rates.caller, now);
  const addresses = new RateLimiter(rates.address, now);
  const bodies = new ByteBudget(MAX_BODY_BYTES);
  const replies = new ByteBudget(MAX_REPLY_BYTES);
  const serving = { authenticator, callers, addresses, bodies, replies, checkReplies, access, stopping, clock, logger };
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.set('case sensitive routing', true);
  app.use((request, response, next) => {
    const id = requestIdPattern.test(request.get('x-request-id') ?? '') ? request.get('x-request-id') : undefined;
    const requestId = id ?? randomUUID();
    response.locals['requestId'] = requestId;
    response.set({ ...SECURITY, 'x-request-id': requestId });
    // The official client puts its path behind whatever host it is given, also one with a slash at its end.
    request.url = request.url.replace(/^[^?]*/, (path) => path.replace(/\/{2,}/g, '/'));
    const began = now();
    metrics.requestBegan();
    response.on('close', () => settle({ logger, metrics }, request, response, now() - began));
    next();
  });
  app.use('/v1/public', (request, response, next) => {
    response.set(CORS);
    if (request.method !== 'OPTIONS') {
      next();
      return;
    }
    // The one answer without a body: browsers ask for it, and none of Pipecat's clients.
    response.status(204).end();
  });
  // They are large, and for anybody.
  app.get(['/openapi.json', '/docs'], (request, _response, next) => {
    addresses.take(addressOf(request.ip ?? ''));
    next();
  });
  app.get('/openapi.json', fixedReply('application/json; charset=utf-8', JSON.stringify(documents.json)));
  app.get('/docs', fixedReply('text/html; charset=utf-8', documents.html, { 'content-security-policy': PAGE_POLICY }));
  for (const each of routes) {
    app[each.method](each.path, async (request, response) => {
      response.locals['route'] = each.path;
      await serve(each, serving, request, response);
    });
  }
  const methods = new Map<string, string[]>();
  for (const { path, method } of routes) methods.set(path, [...(methods.get(path) ?? []), method.toUpperCase()]);
  for (const [path, allowed] of methods) {
    app.all(path, (_request, response) => {
      response.set('allow', allowed.join(', '));
      throw new Problem('MethodNotAllowed');
    });
  }
  app.use(() => {
    throw new Problem('NotFound');
  });
  const onError: ErrorRequestHandler = (error: unknown, request, response, _next) => {
    refuse(error, request, response, logger);
  };
  app.use(onError);
  return app;
}

interface Serving extends Pick<AppDeps, 'authenticator' | 'checkReplies' | 'access' | 'stopping' | 'clock' | 'logger'> {
  callers: RateLimiter;
  addresses: RateLimiter;
  bodies: ByteBudget;
  replies: ByteBudget;
}

async function serve(
  route: Route,
  { authenticator, callers, addresses, bodies, replies, checkReplies, ...streaming }: Serving,
  request: Request,
  response: Response,
): Promise<void> {
  const over = new AbortController();
  response.on('close', () => over.abort());
  const organization = request.params['org'];
  const demand = {
    plane: route.plane,
    organization: typeof organization === 'string' ? organization : undefined,
    access: route.access,
  };
  // Whoever has no key may ask for less; so may whoever is a question to Kubernetes, before it is asked.
  let counted = false;
  const count = (): void => {
    if (counted) return;
    counted = true;
    addresses.take(addressOf(request.ip ?? ''));
  };
  const authorization = request.get('authorization');
  const caller = await authenticator.authenticate(authorization, demand, count).catch((error: unknown) => {
    count();
    throw error;
  });
  const name = nameOf(caller.principal);
  response.locals['caller'] = name;
  callers.take(name);
  // Whoever has hung up wants nothing any more.
  if (over.signal.aborted) return;
  const [share, replyShare] = [bodies.share(caller.organization), replies.share(caller.organization)];
  over.signal.addEventListener('abort', () => [share, replyShare].forEach(({ release }) => release()), { once: true });
  const reply = await route.handle({
    ...caller,
    params: parse(route.params, request.params),
    query: parse(route.query, { ...request.query }, route.queryProblem),
    headers: request.headers,
    readJson: (maxBytes) => readJson(request, maxBytes, share),
    signal: over.signal,
  });
  if ('lines' in reply) {
    await stream(reply.lines, streaming, { over, demand, request, response });
    return;
  }
  const { status, body, headers } = reply;
  if (checkReplies) route.reply.parse(body);
  if (response.destroyed) return;
  // Where something has been done, that is said.
  const hold = route.method === 'get' ? replyShare.take : undefined;
  sendJson(request, response, status ?? route.status ?? 200, body, { headers, hold });
}

/** Answers for as long as there is something to say, the caller may hear it, and the process is to live. */
async function stream(
  lines: AsyncIterable<unknown>,
  { access, stopping, clock, logger }: Pick<Serving, 'access' | 'stopping' | 'clock' | 'logger'>,
  { over, demand, request, response }: { over: AbortController; demand: Demand; request: Request; response: Response },
): Promise<void> {
  const stop = (): void => over.abort(new Problem('Unavailable', { error: ENDS, retryAfterSeconds: 0 }));
  if (stopping.aborted) stop();
  stopping.addEventListener('abort', stop, { once: true, signal: over.signal });
  access.lost(request.get('authorization'), demand, over.signal).then(
    (problem) => over.abort(problem),
    () => undefined,
  );
  const problem = await sendLines(response, lines, { signal: over.signal, clock });
  if (problem?.kind === 'Internal') logger.error({ err: problem.cause, path: request.path }, 'a reply was broken off');
}

/** @throws Problem that says what is wrong, in the form that Pipecat Cloud has for it */
export function parse<S extends z.ZodType>(
  schema: S,
  value: unknown,
  problem: 'BadRequest' | 'InvalidQuery' = 'BadRequest',
): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map(({ path, message, code }) => ({ path, message, code }));
  const first = issues[0];
  const where = first === undefined || first.path.length === 0 ? '' : `${first.path.map(String).join('.')}: `;
  const error = `Invalid parameters: ${where}${first?.message ?? 'not valid'}`;
  throw new Problem(problem, { error, more: { err: { name: 'ZodError', issues } } });
}

function refuse(error: unknown, request: IncomingMessage, response: ServerResponse, logger: Logger): void {
  const problem = problemOf(error, request.url?.startsWith('/v1/public/'));
  const isOfKubernetes = problem.kind === 'Forbidden' && !(error instanceof Problem);
  // Whoever has hung up has no error.
  if ((problem.status >= 500 || isOfKubernetes) && problem.kind !== 'NotImplemented' && !response.destroyed)
    logger.error({ err: error, path: request.url?.split('?', 1)[0] }, 'cannot answer a request');
  if (response.headersSent) response.destroy();
  else if (!response.destroyed) sendProblem(request, response, problem);
}

/** Says who asked for what, and how that went; nothing of what was said. */
function settle(
  { logger, metrics }: Pick<AppDeps, 'logger' | 'metrics'>,
  request: Request,
  response: Response,
  ms: number,
): void {
  const { requestId, route, caller } = response.locals as Record<string, string | undefined>;
  const { method } = request;
  const status = response.writableFinished ? response.statusCode : 499;
  metrics.requestEnded({ route: route ?? '', method, status, seconds: ms / 1000 });
  logger.info(
    {
      requestId,
      method,
      // A path may hold anything; that of a route that there is, is bounded.
      path: request.url.split('?', 1)[0]?.slice(0, 256),
      route,
      caller,
      status,
      ms: Math.round(ms * 10) / 10,
    },
    'request',
  );
}
