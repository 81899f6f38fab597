import type { IncomingHttpHeaders } from 'node:http';
import type { z } from 'zod';
import type { Principal } from '../auth/principal.ts';
import type { ProblemName } from '../problems.ts';
import type { JsonBody } from './read-body.ts';

/**
 * Who may call a route.
 *
 * - `public`: with a public key, which names the organization.
 * - `private`: with a private key, which names the organization.
 * - `organization`: the organization is in the path, and the key or the token must be good for it.
 * - `user`: any key or token; the route shows what it is good for.
 * - `open`: anybody.
 */
export type Plane = 'public' | 'private' | 'organization' | 'user' | 'open';

/** What a handler gets. Parameters and query are checked by the route's schemas. */
export interface Call<Params, Query> {
  params: Params;
  query: Query;
  /** Who calls; nobody in particular on an `open` route. */
  principal: Principal;
  /** The namespace that the call is about; empty where there is none. */
  organization: string;
  headers: IncomingHttpHeaders;
  /** The body, see `readJson` of read-body.ts. */
  readJson: (maxBytes: number) => Promise<JsonBody>;
  /** Aborted when the caller has gone, has taken the answer, or is to hear no more. */
  signal: AbortSignal;
}

export type Reply<Body = unknown> =
  | { status?: number; body: Body; headers?: Record<string, string> }
  /** What comes bit by bit, one JSON value in a line; it ends early when `signal` of the call is aborted. */
  | { lines: AsyncIterable<unknown> };

/** What one route is: how it is called, what it answers, and what does it. The OpenAPI document is made from the same. */
export interface Route<Params extends z.ZodType = z.ZodType, Query extends z.ZodType = z.ZodType, Body = unknown> {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** As in express: `/v1/public/:agentName/start`. */
  path: string;
  plane: Plane;
  /** What Kubernetes must allow to who comes with a token of Kubernetes'. */
  access?: { verb: string; resource: 'agents' | 'sessions' | 'apikeys' | 'secrets' };
  summary: string;
  description?: string;
  params: Params;
  query: Query;
  /** What a wrong query is refused with; BadRequest when left out. */
  queryProblem?: 'InvalidQuery';
  /** What the request's body is; the handler reads it, because some things are checked before. */
  body?: z.ZodType;
  reply: z.ZodType<Body>;
  /** What each line is, where the reply may come bit by bit. */
  line?: z.ZodType;
  /** Status of the reply; 200 when left out. */
  status?: number;
  /** What it may be refused with, beside what every route may be. */
  problems: readonly ProblemName[];
  handle(call: Call<z.output<Params>, z.output<Query>>): Promise<Reply<Body>>;
}

/** Ties the types of a route's parts together. */
export function route<Params extends z.ZodType, Query extends z.ZodType, Body>(
  definition: Route<Params, Query, Body>,
): Route {
  return definition;
}

/** The same route for private keys at one path and, with what Kubernetes must allow, for an organization in the path at another. */
export function onBoth<Params extends z.ZodType, Query extends z.ZodType, Body>(
  paths: { own: string; org: string },
  { access, ...definition }: Omit<Route<Params, Query, Body>, 'path' | 'plane'>,
): Route[] {
  return [
    route({ ...definition, plane: 'private', path: paths.own }),
    route({ ...definition, plane: 'organization', path: paths.org, ...(access && { access }) }),
  ];
}
