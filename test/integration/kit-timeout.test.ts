import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/kube/clock.ts';
import { KubeClient } from '../../src/kube/client.ts';
import { isNotFound, isOutcomeUnknown } from '../../src/kube/errors.ts';
import { createPki } from '../cluster/pki.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { configMaps } from '../support/config-maps.ts';
import { TestKube } from '../support/kube.ts';

/**
 * `?timeout=` bounds how long a mutation may still be carried out. Everything that waits for "the API server's own timeout" before it
 * believes that a lost request is dead stands on this, so here a real API server is made to be slow: by an admission webhook.
 */
const cluster = await connectCluster();
const name = `kit-timeout-${Date.now().toString(36)}`;
const kube = new TestKube(cluster, name);
let folder: string;
let webhook: Server;
let delayMs = 0;
/** What the API server has asked the webhook so far; each is over when it has been answered. */
const reviews: Promise<void>[] = [];

beforeAll(async () => {
  await kube.createNamespace();
  if (cluster.provider !== 'binaries') return;
  folder = await mkdtemp(join(tmpdir(), 'bullpen-webhook-'));
  await createPki(folder, [{ name: 'webhook', commonName: 'webhook', alternativeNames: ['IP:127.0.0.1'] }]);
  const [cert, key, ca] = await Promise.all(
    ['webhook.crt', 'webhook.key', 'ca.crt'].map((file) => readFile(join(folder, file))),
  );
  webhook = createServer({ cert, key }, (message, response) => {
    const answered = json(message).then(async (review) => {
      await sleep(delayMs);
      const { uid } = (review as { request: { uid: string } }).request;
      const answer = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid, allowed: true } };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
    reviews.push(answered);
  });
  webhook.listen(0, '127.0.0.1');
  await once(webhook, 'listening');
  const { port } = webhook.address() as AddressInfo;
  const configuration = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name },
    webhooks: [
      {
        name: 'slow.bullpen.dev',
        clientConfig: { url: `https://127.0.0.1:${port}/`, caBundle: ca?.toString('base64') },
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'], operations: ['CREATE', 'DELETE'] }],
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        timeoutSeconds: 20,
        failurePolicy: 'Fail',
      },
    ],
  };
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(configuration) });
});

afterAll(async () => {
  if (cluster.provider === 'binaries') {
    await cluster.kubectl(['delete', 'validatingwebhookconfiguration', name, '--ignore-not-found']);
    webhook.closeAllConnections();
    webhook.close();
    await rm(folder, { recursive: true, force: true });
  }
  await cluster.kubectl(['delete', 'namespace', name, '--wait=false']);
  await kube.close();
});

/** A client whose mutations may take so long. */
function client(mutationTimeoutSeconds: number): KubeClient {
  const config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  const common = { clock: systemClock, random: Math.random, userAgent: 'bullpen-test' };
  return KubeClient.fromKubeConfig(config, { ...common, mutationTimeoutSeconds });
}

test.skipIf(cluster.provider !== 'binaries')(
  'a creation that takes longer than its ?timeout= fails then, and is not carried out later',
  async () => {
    const impatient = client(2);
    // The webhook is in force as soon as it is asked.
    let probes = 0;
    const inForce = async (): Promise<boolean> => {
      await kube.api.create(configMaps, name, { metadata: { name: `probe-${probes++}` } });
      return reviews.length > 0;
    };
    await waitFor(inForce, { what: 'the webhook to be asked', timeoutMs: 90_000, intervalMs: 100 });
    delayMs = 4000;
    const since = Date.now();
    const error: unknown = await impatient
      .create(configMaps, name, { metadata: { name: 'slow' } })
      .catch((reason: unknown) => reason);
    const failedAfterMs = Date.now() - since;
    expect(isOutcomeUnknown(error)).toBe(true);
    console.log(`failed after ${failedAfterMs} ms with: ${String(error)}`);
    expect(failedAfterMs).toBeGreaterThan(1500);
    // Long after the webhook has allowed it.
    await Promise.all(reviews);
    await sleep(2000);
    const gone: unknown = await kube.api
      .get(configMaps, { namespace: name, name: 'slow' })
      .catch((reason: unknown) => reason);
    expect(isNotFound(gone)).toBe(true);
    // With the patience that it takes, the same works.
    await client(10).create(configMaps, name, { metadata: { name: 'slow' } });
    await impatient.close();
  },
);
