import { request } from 'undici';

/**
 * Compacts etcd up to its current revision, over the JSON gateway of its client port. Resolves when the old revisions are gone.
 */
export async function compactEtcd(url: string): Promise<void> {
  const status = (await post(url, '/v3/maintenance/status', {})) as { header: { revision: string } };
  await post(url, '/v3/kv/compaction', { revision: status.header.revision, physical: true });
}

async function post(url: string, path: string, body: unknown): Promise<unknown> {
  const response = await request(`${url}${path}`, { method: 'POST', body: JSON.stringify(body) });
  const answer = await response.body.json();
  if (response.statusCode !== 200) throw new Error(`etcd answered ${path} with ${JSON.stringify(answer)}`);
  return answer;
}
