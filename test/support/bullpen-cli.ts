import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Cluster } from '../cluster/cluster.ts';
import type { RunOptions } from '../cluster/run.ts';
import { toolPath } from '../cluster/tools.ts';
import { build } from './build.ts';
import { end, type Ended } from './ended.ts';

/** `bullpen`, as it is built, with the rights of an administrator. */
export class BullpenCli {
  readonly #cluster: Cluster;
  readonly #namespace: string;

  constructor({ cluster, namespace }: { cluster: Cluster; namespace: string }) {
    this.#cluster = cluster;
    this.#namespace = namespace;
  }

  /** In the namespace of the tests. */
  async run(args: readonly string[], { env, ...options }: RunOptions = {}): Promise<Ended> {
    const words = [join(await build(), 'cli.js'), '-n', this.#namespace, ...args];
    return await end(process.execPath, words, {
      timeoutMs: 120_000,
      ...options,
      env: { KUBECONFIG: this.#cluster.kubeconfig, ...env },
    });
  }

  /** As a plugin of kubectl: `kubectl bullpen`. */
  async plugin(args: readonly string[]): Promise<Ended> {
    const folder = await mkdtemp(join(tmpdir(), 'bullpen-plugin-'));
    const program = `#!/bin/sh\nexec '${process.execPath}' '${join(await build(), 'cli.js')}' "$@"\n`;
    await writeFile(join(folder, 'kubectl-bullpen'), program, { mode: 0o755 });
    const kubectl = await toolPath('kubectl', this.#cluster.provider, () => undefined);
    return await end(kubectl, ['bullpen', ...args, '-n', this.#namespace], {
      timeoutMs: 120_000,
      env: { KUBECONFIG: this.#cluster.kubeconfig, PATH: [folder, process.env['PATH'] ?? ''].join(delimiter) },
    });
  }
}
