import { afterAll, beforeAll, describe, test } from 'vitest';
import type { KubeObject, NewObject } from '../../src/kube/objects.ts';
import { pods, type Resource } from '../../src/kube/resources.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { conformance, type Api } from '../model/conformance.ts';
import { applyCrds } from '../support/crds.ts';
import { TestKube } from '../support/kube.ts';

/** The promises that the model of the API server keeps, kept by a real one: what is proven in the model holds here. */
const cluster = await connectCluster();
const namespace = `conformance-${Date.now().toString(36)}`;
const kube = new TestKube(cluster, namespace);

beforeAll(async () => {
  await Promise.all([kube.createNamespace(), applyCrds(cluster)]);
  const account = ['get', 'serviceaccount', 'default', '--namespace', namespace];
  await waitFor(() => cluster.kubectl(account), { what: 'the service account of pods', timeoutMs: 90_000 });
});

afterAll(async () => {
  await cluster.kubectl(['delete', 'namespace', namespace, '--wait=false']);
  await kube.close();
});

/** Nobody gives these pods a node: other tests play nodes on the same cluster. */
const { api } = kube;
const withoutScheduler: Api = {
  get: api.get.bind(api),
  list: api.list.bind(api),
  patch: api.patch.bind(api),
  replace: api.replace.bind(api),
  delete: api.delete.bind(api),
  create: <T extends KubeObject>(resource: Resource<T>, target: string | undefined, body: NewObject<T>): Promise<T> => {
    const spec = { ...(body as { spec?: object }).spec, schedulerName: 'nobody' };
    return api.create(resource, target, resource.plural === pods.plural ? { ...body, spec } : body);
  },
};

describe.concurrent('a real API server', () => {
  test.for(conformance.map((entry, index) => ({ ...entry, index })))('$promise', ({ run, index }) =>
    run(withoutScheduler, namespace, `conformance-${index}`),
  );
});
