import { z } from 'zod';
import type { Organizations } from '../auth/organizations.ts';
import { nameOf } from '../auth/principal.ts';
import { parse } from '../http/app.ts';
import { onBoth, route, type Call, type Route } from '../http/route.ts';
import type { ApiKey, ApiKeyType } from '../../api/api-key.ts';
import { isGood, type KeyStore } from '../keys/key-store.ts';
import type { KeyWriter } from '../keys/key-writer.ts';
import { Problem } from '../problems.ts';
import { OK, okReply, REGION } from './fields.ts';

const MAX_BYTES = 64 * 1024;
const params = z.looseObject({});
const query = z.looseObject({});
const any = { params, query };

const usersReply = z.object({
  user: z.object({ userId: z.string(), emails: z.array(z.object({ emailAddress: z.string() })).optional() }),
});
const organizationsReply = z.object({
  organizations: z.array(z.object({ name: z.string(), verboseName: z.string() })),
});
const regionsReply = z.object({
  regions: z.array(
    z.object({
      code: z.string(),
      display_name: z.string(),
      supported_architectures: z.array(z.string()),
    }),
  ),
});
const propertiesReply = z.object({ properties: z.object({ defaultRegion: z.string() }) });
const schemaReply = z.object({
  properties: z.object({
    defaultRegion: z.object({
      type: z.string(),
      description: z.string(),
      default: z.string(),
      currentValue: z.string(),
      readOnly: z.boolean(),
      availableValues: z.array(z.string()),
    }),
  }),
});
const propertyChange = z.looseObject({ defaultRegion: z.string().optional() });
const publicKey = z.object({
  id: z.string(),
  key: z.string(),
  metadata: z.object({ name: z.string() }),
  createdAt: z.iso.datetime(),
  revoked: z.boolean(),
});
const privateKey = publicKey.omit({ key: true }).extend({ type: z.enum(['private', 'cli']) });
/** Types of keys as the REST API calls them. */
const types = { public: 'Public', private: 'Private', cli: 'Cli' } as const satisfies Record<string, ApiKeyType>;
const keysReply = z.object({ public: z.array(publicKey), private: z.array(privateKey) });
const keyCreation = z.looseObject({
  name: z.string().min(1).max(128),
  type: z.enum(['public', 'private', 'cli']).default('public'),
});
const keyReply = z.object({ id: z.string(), key: z.string(), name: z.string(), type: z.string() });
const empty = z.object({});

export interface OrganizationDeps {
  keys: KeyStore;
  writer: KeyWriter;
  organizations: Pick<Organizations, 'of'>;
}

/** Who one is, what one may use, and the keys of an organization. */
export function organizationRoutes({ keys, writer, organizations }: OrganizationDeps): Route[] {
  const org = '/v1/organizations/:org';
  const regions = {
    regions: [{ code: REGION, display_name: 'This cluster', supported_architectures: ['amd64', 'arm64'] }],
  };
  const properties = { properties: { defaultRegion: REGION } };
  const schema = {
    properties: {
      defaultRegion: {
        type: 'string',
        description: 'Region of new agents. A cluster is one region.',
        default: REGION,
        currentValue: REGION,
        readOnly: true,
        availableValues: [REGION],
      },
    },
  };
  const reads = { access: { verb: 'list', resource: 'agents' } } as const;
  const changes = { access: { verb: 'patch', resource: 'agents' } } as const;
  const at = (path: string): { own: string; org: string } => ({ own: `/v1${path}`, org: `${org}${path}` });
  const still =
    <Body>(body: Body) =>
    (): Promise<{ body: Body }> =>
      Promise.resolve({ body });
  const checkChange = async ({ readJson }: Call<unknown, unknown>): Promise<void> => {
    const { value } = await readJson(MAX_BYTES);
    const { defaultRegion } = parse(propertyChange, value);
    if (defaultRegion !== undefined && defaultRegion !== REGION)
      throw new Problem('BadRequest', { error: `Invalid parameters: defaultRegion: must be "${REGION}"` });
  };
  const changing = {
    method: 'patch',
    summary: 'Change properties',
    ...any,
    body: propertyChange,
    problems: ['BadRequest'],
  } as const;
  return [
    route({
      method: 'get',
      path: '/v1/users',
      plane: 'user',
      summary: 'Who calls',
      ...any,
      reply: usersReply,
      problems: [],
      handle: ({ principal }) => {
        const name = principal.kind === 'key' ? displayNameOf(principal.key) : nameOf(principal);
        return Promise.resolve({ body: { user: { userId: name, emails: [{ emailAddress: name }] } } });
      },
    }),
    route({
      method: 'get',
      path: '/v1/organizations',
      plane: 'user',
      summary: 'The organizations that the caller may use',
      ...any,
      reply: organizationsReply,
      problems: [],
      handle: async ({ principal }) => {
        const names = await organizations.of(principal);
        return { body: { organizations: names.map((name) => ({ name, verboseName: name })) } };
      },
    }),
    route({
      method: 'get',
      path: `${org}/daily`,
      plane: 'organization',
      ...reads,
      summary: 'Nothing: the key of Daily is a Secret, and nobody is told it',
      ...any,
      reply: empty,
      problems: [],
      handle: still({}),
    }),
    ...onBoth(at('/regions'), {
      method: 'get',
      ...reads,
      summary: 'The regions: this cluster',
      ...any,
      reply: regionsReply,
      problems: [],
      handle: still(regions),
    }),
    ...onBoth(at('/properties'), {
      method: 'get',
      ...reads,
      summary: 'Properties of the organization',
      ...any,
      reply: propertiesReply,
      problems: [],
      handle: still(properties),
    }),
    ...onBoth(at('/properties/schema'), {
      method: 'get',
      ...reads,
      summary: 'What the properties may be',
      ...any,
      reply: schemaReply,
      problems: [],
      handle: still(schema),
    }),
    route({
      ...changing,
      plane: 'private',
      path: '/v1/properties',
      reply: schemaReply,
      handle: async (call) => {
        await checkChange(call);
        return { body: schema };
      },
    }),
    route({
      ...changing,
      ...changes,
      plane: 'organization',
      path: `${org}/properties`,
      reply: propertiesReply,
      handle: async (call) => {
        await checkChange(call);
        return { body: properties };
      },
    }),
    route({
      method: 'get',
      path: `${org}/apiKeys`,
      plane: 'organization',
      access: { verb: 'list', resource: 'apikeys' },
      summary: 'List the keys of the organization; public ones in full',
      ...any,
      reply: keysReply,
      problems: [],
      handle: ({ organization }) => {
        const all = keys.ofOrganization(organization);
        return Promise.resolve({
          body: {
            // Whatever is in its object: no other key is to be read again.
            public: all.flatMap((key) => {
              const { type, key: text } = key.spec;
              return type !== 'Public' || text === undefined ? [] : [{ ...shown(key), key: text }];
            }),
            private: all.flatMap((key) => {
              const type = key.spec.type === 'Cli' ? ('cli' as const) : ('private' as const);
              return key.spec.type === 'Public' ? [] : [{ ...shown(key), type }];
            }),
          },
        });
      },
    }),
    route({
      method: 'post',
      path: `${org}/apiKeys`,
      plane: 'organization',
      access: { verb: 'create', resource: 'apikeys' },
      summary: 'Make a key. It is told this once; only public ones can be read again',
      ...any,
      body: keyCreation,
      reply: keyReply,
      problems: ['BadRequest'],
      handle: async ({ organization, readJson }) => {
        const { name, type } = parse(keyCreation, (await readJson(MAX_BYTES)).value);
        const { text, key } = await writer.create(organization, types[type], name);
        return { body: { id: key.metadata.name, key: text, name, type } };
      },
    }),
    route({
      method: 'delete',
      path: `${org}/apiKeys/:id`,
      plane: 'organization',
      access: { verb: 'patch', resource: 'apikeys' },
      summary: 'Revoke a key: it opens nothing any more, and stays in the list',
      params: z.looseObject({ id: z.string() }),
      query,
      reply: okReply,
      problems: ['NotFound'],
      handle: async ({ organization, params: { id } }) => {
        const key = keys.ofOrganization(organization).find(({ metadata }) => metadata.name === id);
        if (key === undefined) throw new Problem('NotFound', { error: 'Key not found' });
        if (isGood(key)) await writer.revoke(key);
        return { body: OK };
      },
    }),
  ];
}

function shown(key: ApiKey): { id: string; metadata: { name: string }; createdAt: string; revoked: boolean } {
  const { name, creationTimestamp } = key.metadata;
  return { id: name, metadata: { name: displayNameOf(key) }, createdAt: creationTimestamp, revoked: !isGood(key) };
}

function displayNameOf({ metadata, spec }: ApiKey): string {
  return spec.displayName ?? metadata.name;
}
