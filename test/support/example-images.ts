import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeImage } from '../cluster/base-images.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { ImageSpec } from '../cluster/image.ts';
import { pythonImage } from '../cluster/python.ts';
import type { TarEntry } from '../cluster/tar.ts';
import { repository } from './build.ts';
import { loadImageOnce } from './load-image.ts';

/** The names that the manifests in `examples/` have for them; no registry has them, so pods must not pull. */
export const ECHO_AGENT_IMAGE = 'localhost/bullpen/echo-agent:dev';
export const PIPECAT_BOT_IMAGE = 'localhost/bullpen/pipecat-bot:dev';

const examples = join(repository, 'examples');

/** Gives the cluster the image of `examples/echo-agent`: what its Dockerfile makes, put together without a container engine. */
export async function loadEchoAgentImage(cluster: Cluster): Promise<void> {
  await loadImageOnce(cluster, ECHO_AGENT_IMAGE, echoAgentImage);
}

/**
 * Gives the cluster the image of `examples/pipecat-bot`. The first time its packages are downloaded from PyPI, which takes a
 * minute; then they are in the cache.
 */
export async function loadPipecatBotImage(
  cluster: Cluster,
  log: (line: string) => void = () => undefined,
): Promise<void> {
  await loadImageOnce(cluster, PIPECAT_BOT_IMAGE, () => pipecatBotImage(log));
}

async function echoAgentImage(): Promise<ImageSpec> {
  const base = await nodeImage();
  return {
    name: ECHO_AGENT_IMAGE,
    config: { ...base.config, entrypoint: ['/usr/local/bin/node', '/app/server.mjs'] },
    layers: [...base.layers, await appFiles('echo-agent', ['server.mjs'])],
  };
}

async function pipecatBotImage(log: (line: string) => void): Promise<ImageSpec> {
  const base = await pythonImage(join(examples, 'pipecat-bot/requirements.txt'), log);
  return {
    name: PIPECAT_BOT_IMAGE,
    config: { ...base.config, entrypoint: ['/usr/local/bin/python3', 'app.py'], workdir: '/app' },
    layers: [...base.layers, await appFiles('pipecat-bot', ['app.py', 'bot.py'])],
  };
}

async function appFiles(example: string, names: string[]): Promise<TarEntry[]> {
  return Promise.all(
    names.map(async (name) => ({
      path: `app/${name}`,
      content: { kind: 'text' as const, text: await readFile(join(examples, example, name)) },
    })),
  );
}
