import { z } from 'zod';
import { parse } from '../http/app.ts';
import { onBoth, route, type Call, type Route } from '../http/route.ts';
import { Problem } from '../problems.ts';
import type { SecretSets } from '../secrets/secret-sets.ts';
import { OK, okReply, REGION } from './fields.ts';

/** A Secret holds at most 1 MiB. */
const MAX_BYTES = 1_500_000;

const setName = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/)
  .min(3)
  .max(63);
const key = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const type = z.enum(['secret', 'imagePullSecret']);
const value = z.object({ secretKey: key, secretValue: z.string() });

const region = z.string().nullish();

/** An image pull secret, several values, or one, as the command line sends them. */
const put = z.union([
  z
    .looseObject({
      isImagePullSecret: z.literal(true),
      host: z.string().min(1).max(255),
      secretValue: z.base64().describe('Base64 of user:token.'),
      region,
    })
    .transform((given) => ({ kind: 'imagePull' as const, ...given })),
  z
    .looseObject({ secrets: z.array(value).min(1).max(200), region })
    .transform((given) => ({ kind: 'values' as const, region: given.region, values: given.secrets })),
  z
    .looseObject({ ...value.shape, region })
    .transform((given) => ({ kind: 'values' as const, region: given.region, values: [given] })),
]);
const reference = z.looseObject({ name: setName, region, type: type.default('secret') });

const summary = z.object({ name: z.string(), type, region: z.string(), status: z.literal('ready') });
const listReply = z.object({ sets: z.array(summary) });
const setReply = z.object({
  secrets: z.array(z.object({ fieldName: z.string() })),
  region: z.string(),
  status: z.literal('ready'),
  source: z.enum(['own', 'referenced']),
});
const putReply = z.object({ status: z.literal('OK'), region: z.string() });

const query = z.looseObject({});
const listQuery = z.looseObject({ region: z.string().optional() });
const none = { params: z.looseObject({}), query };
const ofSet = { params: z.looseObject({ set: z.string() }), query };
const ofKey = { params: z.looseObject({ set: z.string(), key: z.string() }), query };

/** Secrets of agents: told once, and never shown again. */
export function secretRoutes(sets: SecretSets): Route[] {
  const at = (path: string) => ({ own: `/v1/secrets${path}`, org: `/v1/organizations/:org/secrets${path}` });
  const reads = { access: { verb: 'get', resource: 'secrets' } } as const;
  const writes = { access: { verb: 'patch', resource: 'secrets' } } as const;
  const deletes = { access: { verb: 'delete', resource: 'secrets' } } as const;
  const showing = {
    method: 'get',
    summary: 'The names of what is in a set; never the values',
    ...ofSet,
    reply: setReply,
    problems: ['BadRequest', 'SetNotFound'],
  } as const;
  const show =
    (notReadable: 'BadRequest' | 'NotReadable') =>
    async ({ organization, params }: Call<z.output<typeof ofSet.params>, unknown>) => {
      const { type: kind, keys, source } = await sets.get(organization, params.set);
      if (kind === 'imagePullSecret')
        throw new Problem(notReadable, { error: 'Cannot retrieve image pull secrets by name' });
      const secrets = keys.map((fieldName) => ({ fieldName }));
      return { body: { secrets, region: REGION, status: 'ready' as const, source } };
    };
  return [
    ...onBoth(at(''), {
      method: 'get',
      access: { verb: 'list', resource: 'secrets' },
      summary: 'List the sets of secrets',
      params: none.params,
      query: listQuery,
      reply: listReply,
      problems: [],
      handle: async ({ organization, query: { region: wanted = REGION } }) => {
        const all = wanted === REGION ? await sets.list(organization) : [];
        return {
          body: {
            sets: all.map(({ name, type: kind }) => ({ name, type: kind, region: REGION, status: 'ready' as const })),
          },
        };
      },
    }),
    route({
      method: 'post',
      path: '/v1/organizations/:org/secrets/references',
      plane: 'organization',
      ...writes,
      summary: 'Use a Secret that is there as a set',
      ...none,
      body: reference,
      reply: okReply,
      problems: ['BadRequest', 'Conflict'],
      handle: async ({ organization, readJson }) => {
        const { name, type: kind, region: wanted } = parse(reference, (await readJson(MAX_BYTES)).value);
        checkRegion(wanted);
        await sets.reference(organization, name, kind);
        return { body: OK };
      },
    }),
    route({ ...showing, plane: 'private', path: at('/:set').own, handle: show('BadRequest') }),
    // The command lines of before 1.0 take exactly this answer for "it exists".
    route({ ...showing, ...reads, plane: 'organization', path: at('/:set').org, handle: show('NotReadable') }),
    ...onBoth(at('/:set'), {
      method: 'put',
      ...writes,
      summary: 'Add to a set, or make it',
      ...ofSet,
      body: put,
      reply: putReply,
      status: 202,
      problems: ['BadRequest', 'Conflict'],
      handle: async ({ organization, params, readJson }: Call<z.output<typeof ofSet.params>, unknown>) => {
        const name = parse(z.object({ set: setName }), params).set;
        const given = parse(put, (await readJson(MAX_BYTES)).value);
        checkRegion(given.region);
        if (given.kind === 'imagePull') await sets.putImagePull(organization, name, given.host, given.secretValue);
        else await sets.put(organization, name, valuesOf(given.values));
        return { body: { status: 'OK' as const, region: REGION } };
      },
    }),
    ...onBoth(at('/:set'), {
      method: 'delete',
      ...deletes,
      summary: 'Delete a set',
      ...ofSet,
      reply: okReply,
      problems: ['SetNotFound'],
      handle: async ({ organization, params }) => {
        await sets.delete(organization, params.set);
        return { body: OK };
      },
    }),
    ...onBoth(at('/:set/:key'), {
      method: 'delete',
      ...deletes,
      summary: 'Take one value out of a set',
      ...ofKey,
      reply: okReply,
      problems: ['SetNotFound'],
      handle: async ({ organization, params }) => {
        await sets.deleteKey(organization, params.set, params.key);
        return { body: OK };
      },
    }),
  ];
}

function valuesOf(values: readonly z.output<typeof value>[]): Record<string, string> {
  return Object.fromEntries(values.map(({ secretKey, secretValue }) => [secretKey, secretValue]));
}

function checkRegion(wanted: string | null | undefined): void {
  if (typeof wanted === 'string' && wanted !== REGION)
    throw new Problem('BadRequest', { error: `Invalid region: this cluster is the region "${REGION}"` });
}
