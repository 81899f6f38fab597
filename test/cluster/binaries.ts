import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { withLock } from './lock.ts';
import { findProgram, run } from './run.ts';
import { cacheFolder } from './state.ts';
import { isAtLeast, parseVersion, requiredVersion } from './versions.ts';

/** Programs built from Go modules; each folder of `binaries/` pins one module. */
const modules = [
  {
    folder: 'kubernetes',
    module: 'k8s.io/kubernetes',
    packages: Object.fromEntries(
      ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl', 'kubelet', 'kube-proxy'].map(
        (name) => [name, `k8s.io/kubernetes/cmd/${name}`],
      ),
    ),
    // Without these, clients see v0.0.0, and kubelet and Helm misbehave.
    versionFlags(version: string): string {
      const [major, minor] = parseVersion(version) ?? [0, 0];
      return [
        `-X k8s.io/component-base/version.gitVersion=${version}`,
        `-X k8s.io/component-base/version.gitMajor=${major}`,
        `-X k8s.io/component-base/version.gitMinor=${minor}`,
        `-X k8s.io/client-go/pkg/version.gitVersion=${version}`,
      ].join(' ');
    },
  },
  {
    folder: 'etcd',
    module: 'go.etcd.io/etcd/server/v3',
    packages: { etcd: 'go.etcd.io/etcd/server/v3' },
    versionFlags: () => '',
  },
  {
    folder: 'helm',
    module: 'helm.sh/helm/v4',
    packages: { helm: 'helm.sh/helm/v4/cmd/helm' },
    versionFlags: (version: string) => `-X helm.sh/helm/v4/internal/version.version=${version}`,
  },
] as const;

export type BinaryName =
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'kubectl'
  | 'kubelet'
  | 'kube-proxy'
  | 'etcd'
  | 'helm';

export interface Binary {
  path: string;
  version: string;
}

/** Where a binary is, whether built already or not: `CACHE/binaries/FOLDER-VERSION/NAME`. */
async function locateBinary(name: BinaryName): Promise<Binary> {
  const { source, version } = await pinned(name);
  return { path: join(cacheFolder(), 'binaries', `${source.folder}-${version}`, name), version };
}

/** A binary, built first if this machine has not built it yet (minutes for the Kubernetes ones). */
export async function ensureBinary(name: BinaryName, log: (line: string) => void): Promise<Binary> {
  const binary = await locateBinary(name);
  if (await exists(binary.path)) return binary;
  await assertGo(name);
  await mkdir(join(cacheFolder(), 'binaries'), { recursive: true });
  await withLock(join(cacheFolder(), 'binaries', '.lock'), async () => {
    if (await exists(binary.path)) return;
    await build(name, binary, log);
  });
  return binary;
}

/** The version of Kubernetes that tests run against. */
export async function kubernetesVersion(): Promise<string> {
  return (await locateBinary('kube-apiserver')).version;
}

async function build(name: BinaryName, binary: Binary, log: (line: string) => void): Promise<void> {
  const { source, packages } = await pinned(name);
  const started = Date.now();
  log(`building ${name} ${binary.version} from its Go module (only the first time)`);
  // A build that is killed leaves a draft, never half a binary under the right name.
  const draft = `${binary.path}.draft`;
  const flags = `-s -w ${source.versionFlags(binary.version)}`;
  await run('go', ['build', '-trimpath', '-buildvcs=false', '-ldflags', flags, '-o', draft, packages[name] ?? ''], {
    cwd: join(import.meta.dirname, 'binaries', source.folder),
    // A module may ask for a newer Go than the installed one; Go then fetches that from its module proxy.
    env: { CGO_ENABLED: '0', GOTOOLCHAIN: process.env['GOTOOLCHAIN'] ?? 'auto' },
    timeoutMs: 30 * 60_000,
  });
  await rename(draft, binary.path).finally(() => rm(draft, { force: true }));
  log(`built ${name} in ${Math.round((Date.now() - started) / 1000)} s`);
}

async function pinned(
  name: BinaryName,
): Promise<{ source: (typeof modules)[number]; packages: Record<string, string>; version: string }> {
  for (const source of modules) {
    const packages: Record<string, string> = source.packages;
    if (packages[name] === undefined) continue;
    const goMod = await readFile(join(import.meta.dirname, 'binaries', source.folder, 'go.mod'), 'utf8');
    return { source, packages, version: requiredVersion(goMod, source.module) };
  }
  throw new Error(`no module builds ${name}`);
}

async function assertGo(forWhat: string): Promise<void> {
  const installed = (await findProgram('go')) === undefined ? '' : (await run('go', ['env', 'GOVERSION'])).stdout;
  if (isAtLeast(installed, 1, 24)) return;
  throw new Error(
    `Go 1.24 or newer is needed to build ${forWhat}, and ${installed === '' ? 'there is none' : `here is ${installed.trim()}`} ` +
      `on PATH: install it, or start Docker, or set BULLPEN_TEST_KUBECONFIG to the kubeconfig of a cluster for tests.`,
  );
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
