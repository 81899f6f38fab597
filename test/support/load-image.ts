import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cluster } from '../cluster/cluster.ts';
import { writeImage, type ImageSpec } from '../cluster/image.ts';
import { runFolder } from './build.ts';

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

/**
 * The same for an image that does not change in a test run: the first file that needs it gives it to the cluster, which keeps it for
 * the others. Files that run at the same time may both do it.
 */
export async function loadImageOnce(cluster: Cluster, name: string, make: () => Promise<ImageSpec>): Promise<void> {
  const folder = runFolder();
  const note = folder === undefined ? undefined : join(folder, `loaded-${encodeURIComponent(name)}`);
  if (note !== undefined && (await readFile(note, 'utf8').catch(() => '')) === cluster.kubeconfig) return;
  await loadImage(cluster, await make());
  if (note !== undefined) await writeFile(note, cluster.kubeconfig);
}
