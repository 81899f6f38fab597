import type { Pool } from 'undici';
import { agents, apiKeys, sessions } from '../../src/api/resources.ts';
import type { Session } from '../../src/api/session.ts';
import { labels } from '../../src/api/names.ts';
import type { Secret } from '../../src/kube/objects.ts';
import { refOf, secrets } from '../../src/kube/resources.ts';
import type { PodScript } from '../cluster/fake-kubelet.ts';
import { waitFor } from '../cluster/wait.ts';
import type { GatewayOptions, GatewayProcess } from './gateway-process.ts';
import type { Scene } from './stage.ts';

/** The Agent that is started over REST. */
export const AGENT = 'echo';
export const START = `/v1/public/${AGENT}/start`;

/** A session that goes on until it is stopped. */
export const LONG: PodScript = { bot: { afterMs: 3_600_000 } };

/** A body that is too large for a Session: it goes by way of a Secret. */
export const LARGE = { body: { text: 'x'.repeat(20_000) } };

/** Lets a caller ask as often as it likes, and wait as long as a slow machine may take. */
export const PATIENT = {
  rates: { caller: { perSecond: 100_000, burst: 100_000 }, address: { perSecond: 100_000, burst: 100_000 } },
  start: { timeoutSeconds: 120 },
};

/** An Agent that can be started over REST, once its controller has said so. */
export async function readyAgent(scene: Scene, maxAgents: number): Promise<void> {
  await scene.httpAgent(AGENT, maxAgents, { scaling: { minAgents: 0, maxAgents } }, LONG);
  await scene.kube.when(agents, AGENT, 'ready', ({ metadata, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    return status?.observedGeneration === metadata.generation && ready?.status === 'True';
  });
}

/** A key of this type that all of these replicas know, and an Agent that all of them can start. */
export async function knownKey(
  scene: Scene,
  replicas: readonly GatewayProcess[],
  type: 'Public' | 'Private' = 'Public',
): Promise<string> {
  const key = await scene.key(type);
  for (const gateway of replicas) await knows(gateway, key, type);
  return key;
}

/** Resolves when a replica knows a key. */
export async function knows(
  gateway: GatewayProcess,
  key: string,
  type: 'Public' | 'Private' = 'Public',
): Promise<void> {
  if (type === 'Public') await gateway.answers('POST', '/v1/public/none/start', { key }, { status: 404 });
  else await gateway.answers('GET', '/v1/agents', { key }, { status: 200 });
}

/** So many gateways of one namespace, side by side. */
export async function replicas(
  scene: Scene,
  count: number,
  options: Partial<GatewayOptions> = {},
): Promise<GatewayProcess[]> {
  // The first one makes what they share.
  const first = await scene.gateway(options);
  return [first, ...(await Promise.all(Array.from({ length: count - 1 }, () => scene.gateway(options))))];
}

/** Revokes all keys of the namespace. */
export async function revokeKeys({ kube, namespace }: Scene): Promise<void> {
  const { items } = await kube.api.list(apiKeys, { namespace });
  for (const key of items)
    await kube.api.patch(apiKeys, refOf(key), { type: 'merge', body: { spec: { revoked: true } } });
}

export async function sessionsOf({ kube, namespace }: Scene): Promise<Session[]> {
  return (await kube.api.list(sessions, { namespace })).items;
}

/** The Secrets in which bodies are on their way. */
export async function bodySecretsOf({ kube, namespace }: Scene): Promise<Secret[]> {
  return (await kube.api.list(secrets, { namespace, labelSelector: labels.body })).items;
}

/** Resolves with the milliseconds until there are just these Sessions, and no bodies on their way. */
export async function onlyLeft(scene: Scene, names: readonly string[], timeoutMs: number): Promise<number> {
  const wanted = [...names].sort().join();
  const since = Date.now();
  let found = '';
  const holds = async (): Promise<boolean> => {
    const [open, bodies] = await Promise.all([sessionsOf(scene), bodySecretsOf(scene)]);
    const left = open.map(({ metadata }) => metadata.name).sort();
    found = `Sessions ${left.join()}, Secrets ${bodies.map(({ metadata }) => metadata.name).join()}`;
    return left.join() === wanted && bodies.length === 0;
  };
  await waitFor(holds, { what: 'nothing else to be left', timeoutMs, intervalMs: 100 }).catch((cause: unknown) => {
    throw new Error(`there are ${found}; wanted are the Sessions ${wanted}, and no Secrets`, { cause });
  });
  return Date.now() - since;
}

/** A request over connections that are kept, as many as the pool may have. */
export async function ask(
  pool: Pool,
  method: 'GET' | 'POST',
  path: string,
  { key, body }: { key: string; body?: object },
): Promise<{ status: number; headers: Record<string, unknown>; body: Record<string, unknown> }> {
  const answer = await pool.request({
    method,
    path,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return {
    status: answer.statusCode,
    headers: answer.headers,
    body: (await answer.body.json()) as Record<string, unknown>,
  };
}
