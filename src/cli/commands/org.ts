import { labels } from '../../api/names.ts';
import { isAlreadyExists } from '../../kube/errors.ts';
import { namespaces } from '../../kube/resources.ts';
import { CliError, type Command } from '../command.ts';

export const orgCreate: Command = {
  name: 'org create',
  args: ['NAME'],
  summary: 'Make a namespace that is an organization of the REST API, or make one of a namespace that there is',
  options: {},
  async run({ api, print }, [name = '']) {
    if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name))
      throw new CliError(
        `"${name}" cannot be the name of a namespace: lowercase letters, digits and '-', at most 63`,
        2,
      );
    const body = { metadata: { labels: { [labels.organization]: '' } } };
    try {
      await api.create(namespaces, undefined, { metadata: { name, ...body.metadata } } as never);
      print(`namespace/${name} created`);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      await api.patch(namespaces, { name }, { type: 'merge', body });
      print(`namespace/${name} is an organization`);
    }
  },
};
