import { z } from 'zod';
import type { Plane, Route } from '../http/route.ts';
import { problems, type ProblemName } from '../problems.ts';

type Json = Record<string, unknown>;

/** What any route may be refused with. */
const ANY: readonly ProblemName[] = ['BadRequest', 'NotFound', 'RateLimited', 'Internal', 'Unavailable'];

const security: Record<Plane, Json[]> = {
  public: [{ publicKey: [] }],
  private: [{ privateKey: [] }],
  organization: [{ privateKey: [] }, { kubernetesToken: [] }],
  user: [{ privateKey: [] }, { kubernetesToken: [] }],
  open: [],
};

const tags: Record<Plane, string> = {
  public: 'Public: starts sessions, with a public key',
  private: 'Private, with a private key',
  organization: "The same for Pipecat's command line, with a token",
  user: "The same for Pipecat's command line, with a token",
  open: 'For anybody',
};

const errorSchema = {
  type: 'object',
  required: ['error', 'code'],
  properties: {
    error: { type: 'string', description: 'What is wrong, for people.' },
    code: { type: 'string', description: 'The same for programs; always a string.' },
  },
};

/** The OpenAPI 3.1 document of these routes: made from the same schemas that check requests and replies. */
export function openApiDocument(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method]: operation(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Bullpen',
      version,
      description:
        "The REST API of Pipecat Cloud, on your own cluster. Pipecat's client and command line work against it.",
    },
    paths,
    components: {
      securitySchemes: {
        publicKey: { type: 'http', scheme: 'bearer', description: 'A key that begins with pk_.' },
        privateKey: { type: 'http', scheme: 'bearer', description: 'A key that begins with sk_ or pcc_pat_.' },
        kubernetesToken: {
          type: 'http',
          scheme: 'bearer',
          description: 'A bearer token of Kubernetes; its RBAC decides.',
        },
      },
    },
  };
}

function operation(route: Route): Json {
  const { method, path, plane, access, summary, description, params, query, body, reply, line, status = 200 } = route;
  const access_ = access === undefined ? undefined : `Kubernetes' right: ${access.verb} ${access.resource}.`;
  const texts = [description, access_].filter((text) => text !== undefined);
  return {
    operationId: `${method}${path.replace(/[^A-Za-z0-9]+(\w?)/g, (_, letter: string) => letter.toUpperCase())}`,
    tags: [tags[plane]],
    summary,
    ...(texts.length > 0 && { description: texts.join(' ') }),
    security: security[plane],
    parameters: [...pathParameters(path, params), ...queryParameters(query)],
    ...(body && {
      requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body, 'input') } } },
    }),
    responses: {
      [String(status)]: {
        description: 'Done',
        content: {
          'application/json': { schema: schemaOf(reply, 'output') },
          ...(line && { 'application/x-ndjson': { schema: schemaOf(line, 'output') } }),
        },
      },
      ...refusals(route),
    },
  };
}

/** By status: several problems may have the same one. */
function refusals({ method, plane, body, problems: own }: Route): Record<string, Json> {
  const names = new Set<ProblemName>([
    ...own,
    // Also the gateway may not do everything everywhere.
    ...(plane === 'open' ? [] : (['Unauthorized', 'Forbidden'] as const)),
    ...(method === 'get' ? [] : (['Conflict'] as const)),
    ...(body === undefined ? [] : (['TooLarge', 'UnsupportedMediaType'] as const)),
    ...ANY,
  ]);
  const byStatus = new Map<number, { code: string; error: string }[]>();
  for (const name of names) {
    const { status, code, error } = problems[name];
    byStatus.set(status, [...(byStatus.get(status) ?? []), { code, error }]);
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, list]) => [
        String(status),
        {
          description: list.map(({ code, error }) => `\`${code}\`: ${error}`).join(' '),
          content: { 'application/json': { schema: errorSchema } },
        },
      ]),
  );
}

function pathParameters(path: string, params: z.ZodType): Json[] {
  const { properties = {} } = schemaOf(params, 'input') as { properties?: Record<string, Json> };
  return [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: properties[name] ?? { type: 'string' },
  }));
}

function queryParameters(query: z.ZodType): Json[] {
  const { properties = {} } = schemaOf(query, 'input') as { properties?: Record<string, Json> };
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', required: false, schema }));
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json;
  return rest;
}
