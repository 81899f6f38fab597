import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeImage } from '../cluster/base-images.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { ImageSpec } from '../cluster/image.ts';
import { build } from './build.ts';
import { loadImageOnce } from './load-image.ts';

/** The image of this working tree, under a name that no registry has: pods use it with pullPolicy Never. */
export const BULLPEN_IMAGE = { repository: 'localhost/bullpen', tag: 'dev' } as const;

const NAME = `${BULLPEN_IMAGE.repository}:${BULLPEN_IMAGE.tag}`;

/**
 * Builds the programs and gives the cluster their image. It is what the Dockerfile makes (the same files at the same
 * paths, the same user and entry point), put together without a container engine.
 */
export async function loadBullpenImage(cluster: Cluster): Promise<void> {
  await loadImageOnce(cluster, NAME, async () => bullpenImage(await build()));
}

async function bullpenImage(programs: string): Promise<ImageSpec> {
  const base = await nodeImage();
  const files = await Promise.all(
    ['main.js', 'main.js.map', 'supervisor.js', 'supervisor.js.map', 'package.json'].map(async (name) => ({
      path: `app/${name}`,
      content: { kind: 'text' as const, text: await readFile(join(programs, name)) },
    })),
  );
  return {
    name: NAME,
    config: {
      ...base.config,
      entrypoint: ['/usr/local/bin/node', '--enable-source-maps', '--max-semi-space-size=8', '/app/main.js'],
      cmd: ['--help'],
    },
    layers: [...base.layers, files],
  };
}
