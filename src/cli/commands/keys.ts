import { randomBytes } from 'node:crypto';
import type { ApiKey, ApiKeyType } from '../../api/api-key.ts';
import { apiKeys } from '../../api/resources.ts';
import { isNotFound } from '../../kube/errors.ts';
import { apiKeyOf, makeKey } from '../../keys/api-key.ts';
import { CliError, ofLists, ofObjects, ofValues, type Command } from '../command.ts';
import { ago, encode, isData, render, renderOne, type Column } from '../print.ts';

const types: Record<string, ApiKeyType> = { public: 'Public', private: 'Private', cli: 'Cli' };

function columns(now: number): Column<ApiKey>[] {
  return [
    { name: 'Name', of: ({ metadata }) => metadata.name },
    { name: 'Type', of: ({ spec }) => spec.type },
    { name: 'Display name', of: ({ spec }) => spec.displayName },
    { name: 'Revoked', of: ({ spec }) => spec.revoked ?? false },
    { name: 'Last used', of: ({ status }) => ago(status?.lastUsedAt, now) },
    { name: 'Age', of: ({ metadata }) => ago(metadata.creationTimestamp, now) },
    { name: 'Key', of: ({ spec }) => spec.key, wide: true },
  ];
}

export const keysCreate: Command = {
  name: 'keys create',
  args: ['DISPLAY-NAME'],
  summary: 'Make a key of the REST API for a namespace; it is printed this once',
  options: {
    type: { type: 'string', value: 'public|private|cli', help: 'what it is for; default public' },
    cli: { type: 'boolean', help: 'the same as --type cli: a token for `pipecat cloud auth use-pat`' },
  },
  // With a name alone, the key would be lost.
  outputs: ofValues,
  async run({ api, namespace, output, print, note }, [displayName = ''], options) {
    const wanted = options['type'] ?? (options['cli'] === true ? 'cli' : 'public');
    if (options['cli'] === true && wanted !== 'cli') throw new CliError('Give one of --cli and --type.', 2);
    const type = types[String(wanted)];
    if (type === undefined) throw new CliError(`--type must be public, private or cli, not "${String(wanted)}"`, 2);
    const key = makeKey(type, randomBytes);
    const made = await api.create(apiKeys, namespace, apiKeyOf(key, type, displayName));
    await print(isData(output) ? encode({ name: made.metadata.name, namespace, type, key }, output) : key);
    if (type !== 'Public') note('Keep it safe: it cannot be shown again.');
  },
};

export const keysList: Command = {
  name: 'keys list',
  args: [],
  summary: 'List the keys of a namespace',
  options: {},
  outputs: ofLists,
  async run({ api, namespace, output, clock, print, note }) {
    const { items } = await api.list(apiKeys, { namespace });
    if (items.length === 0 && !isData(output)) note(`No keys in namespace ${namespace}.`);
    else await print(render(items, { output, resource: apiKeys, columns: columns(clock.now()) }));
  },
};

export const keysRevoke: Command = {
  name: 'keys revoke',
  args: ['NAME'],
  summary: 'Revoke a key: it opens nothing any more, within a second',
  options: {},
  outputs: ofObjects,
  async run({ api, namespace, output, print }, [name = '']) {
    let revoked;
    try {
      revoked = await api.patch(apiKeys, { namespace, name }, { type: 'merge', body: { spec: { revoked: true } } });
    } catch (error) {
      if (isNotFound(error))
        throw new CliError(`There is no key ${name} in namespace ${namespace}: see bullpen keys list`);
      throw error;
    }
    await print(output === '' ? `apikey.bullpen.dev/${name} revoked` : renderOne(revoked, output, apiKeys));
  },
};
