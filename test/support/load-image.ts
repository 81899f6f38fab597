import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cluster } from '../cluster/cluster.ts';
import { writeImage, type ImageSpec } from '../cluster/image.ts';

/** Puts an image together and gives it to the cluster. */
export async function loadImage(cluster: Cluster, spec: ImageSpec): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bullpen-image-'));
  try {
    const archive = join(folder, 'image.tar');
    await writeImage(spec, archive);
    await cluster.loadImage(archive);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
