import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { tarArchive, type TarEntry } from './tar.ts';

/** What a container of the image runs unless the pod says otherwise; fields as in a Dockerfile. */
export interface ImageConfig {
  entrypoint?: string[];
  cmd?: string[];
  env?: Record<string, string>;
  user?: string;
  workdir?: string;
}

export interface ImageSpec {
  /** With registry and tag, for example `localhost/bullpen-test/busybox:1`. */
  name: string;
  config: ImageConfig;
  /** Files, one list per layer; later layers lie over earlier ones. */
  layers: TarEntry[][];
}

/**
 * Writes an image archive as `docker save` makes it, which `docker load` and `ctr images import` read. No registry, no daemon; the
 * same files give the same bytes. Returns the digest of the configuration (the image id).
 */
export async function writeImage(spec: ImageSpec, archive: string): Promise<string> {
  const drafts = await mkdtemp(join(dirname(archive), '.layers-'));
  try {
    const layers: { file: string; digest: string; size: number }[] = [];
    for (const [index, entries] of spec.layers.entries()) {
      layers.push(await writeLayer(entries, join(drafts, String(index))));
    }
    const config = imageConfig(
      spec.config,
      layers.map((layer) => layer.digest),
    );
    const id = createHash('sha256').update(config).digest('hex');
    const unique = [...new Map(layers.map((layer) => [layer.digest, layer])).values()];
    const manifest = [
      { Config: `${id}.json`, RepoTags: [spec.name], Layers: layers.map((layer) => `${layer.digest}/layer.tar`) },
    ];
    const entries: TarEntry[] = [
      { path: `${id}.json`, content: { kind: 'text', text: config } },
      ...unique.map(({ digest, file, size }): TarEntry => {
        return { path: `${digest}/layer.tar`, content: { kind: 'file', path: file, size } };
      }),
      { path: 'manifest.json', content: { kind: 'text', text: JSON.stringify(manifest) } },
    ];
    await pipeline(Readable.from(tarArchive(entries)), createWriteStream(archive));
    return `sha256:${id}`;
  } finally {
    await rm(drafts, { recursive: true, force: true });
  }
}

/** The image configuration of the OCI image specification, as far as it is used. */
export function imageConfig(config: ImageConfig, layerDigests: string[]): string {
  return JSON.stringify({
    created: '1970-01-01T00:00:00Z',
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: {
      Entrypoint: config.entrypoint,
      Cmd: config.cmd,
      Env: Object.entries({ PATH: '/usr/local/bin:/usr/bin:/bin', ...config.env }).map(
        ([name, value]) => `${name}=${value}`,
      ),
      User: config.user,
      WorkingDir: config.workdir,
    },
    rootfs: { type: 'layers', diff_ids: layerDigests.map((digest) => `sha256:${digest}`) },
  });
}

async function writeLayer(entries: TarEntry[], file: string): Promise<{ file: string; digest: string; size: number }> {
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  await pipeline(Readable.from(tarArchive(entries)), hashing, createWriteStream(file));
  return { file, digest: hash.digest('hex'), size: (await stat(file)).size };
}
