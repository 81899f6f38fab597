import type { GatewayProcess } from './gateway-process.ts';

/** What the API says of one of its routes. */
export interface Operation {
  description?: string;
  security: Record<string, unknown>[];
  parameters: { name: string; in: 'path' | 'query' }[];
  requestBody?: object;
  responses: Record<string, unknown>;
}

export interface ApiRoute {
  /** In capitals. */
  method: string;
  /** With names in braces: `/v1/agents/{agentName}`. */
  path: string;
  /** `open` for anybody. */
  plane: 'public' | 'private' | 'organization' | 'user' | 'open';
  /** What Kubernetes must allow to who comes with one of its tokens. */
  right: { verb: string; resource: string } | undefined;
  operation: Operation;
}

/** All routes that a gateway says it has, so that a new one is in every test of all of them. */
export async function apiRoutes(gateway: GatewayProcess): Promise<ApiRoute[]> {
  const { body } = await gateway.call('GET', '/openapi.json');
  const { paths } = body as unknown as { paths: Record<string, Record<string, Operation>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      plane: planeOf(path, operation),
      right: rightOf(operation),
      operation,
    })),
  );
}

/** The path with these values for its names. Throws for a name that has none. */
export function fill(path: string, values: Readonly<Record<string, string>>): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`this test does not know what {${name}} of ${path} is: tell it`);
    return encodeURIComponent(value);
  });
}

function planeOf(path: string, { security }: Operation): ApiRoute['plane'] {
  const takes = security.flatMap((each) => Object.keys(each));
  if (takes.length === 0) return 'open';
  if (takes.includes('publicKey')) return 'public';
  if (!takes.includes('kubernetesToken')) return 'private';
  return path.includes('{org}') ? 'organization' : 'user';
}

function rightOf({ description = '' }: Operation): ApiRoute['right'] {
  const [, verb, resource] = /Kubernetes' right: (\w+) (\w+)\./.exec(description) ?? [];
  return verb === undefined || resource === undefined ? undefined : { verb, resource };
}
