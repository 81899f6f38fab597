import { findProgram, run } from './run.ts';

/** Folders in which distributions and container runtimes keep CNI plugins. */
const pluginFolders = ['/usr/lib/cni', '/opt/cni/bin', '/usr/libexec/cni'];

/** What a cluster of local binaries needs from the system: a program (or CNI plugin) and the Debian package that has it. */
interface Requirement {
  needs: string;
  package: string;
  for: 'control-plane' | 'node';
}

const requirements: readonly Requirement[] = [
  { needs: 'openssl', package: 'openssl', for: 'control-plane' },
  { needs: 'flock', package: 'util-linux', for: 'control-plane' },
  { needs: 'nsenter', package: 'util-linux', for: 'node' },
  { needs: 'umount', package: 'mount', for: 'node' },
  { needs: 'ip', package: 'iproute2', for: 'node' },
  { needs: 'iptables', package: 'iptables', for: 'node' },
  { needs: 'conntrack', package: 'conntrack', for: 'node' },
  { needs: 'containerd', package: 'containerd', for: 'node' },
  { needs: 'ctr', package: 'containerd', for: 'node' },
  { needs: 'runc', package: 'runc', for: 'node' },
  { needs: 'CNI plugin bridge', package: 'containernetworking-plugins', for: 'node' },
  { needs: 'CNI plugin host-local', package: 'containernetworking-plugins', for: 'node' },
  { needs: 'busybox', package: 'busybox-static', for: 'node' },
];

/**
 * Sees to it that the system has what a cluster of this size needs: installs Debian packages as root, otherwise throws one sentence
 * that names what is missing.
 */
export async function ensurePackages(size: 'control-plane' | 'node', log: (line: string) => void): Promise<void> {
  assertPlatform(size);
  let missing = await findMissing(size);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((requirement) => requirement.package))];
  if (await installPackages(packages, log)) {
    missing = await findMissing(size);
    if (missing.length === 0) return;
  }
  throw new Error(
    `A test cluster of size ${size} needs ${missing.map((requirement) => requirement.needs).join(', ')}: ` +
      `install them (Debian packages ${packages.join(' ')}), or start Docker, or set BULLPEN_TEST_KUBECONFIG.`,
  );
}

/** Installs Debian packages. False where that cannot be done: not as root, or no Debian. */
export async function installPackages(packages: readonly string[], log: (line: string) => void): Promise<boolean> {
  if (process.getuid?.() !== 0 || (await findProgram('apt-get')) === undefined) return false;
  log(`installing Debian packages: ${packages.join(' ')}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const apt = ['-o', 'DPkg::Lock::Timeout=300'];
  await run('apt-get', [...apt, 'update'], { env });
  await run('apt-get', [...apt, 'install', '-y', '--no-install-recommends', ...packages], { env });
  return true;
}

/** The folder that holds the CNI plugins. */
export async function cniPluginFolder(): Promise<string> {
  for (const folder of pluginFolders) {
    if ((await findProgram(`${folder}/bridge`)) !== undefined) return folder;
  }
  throw new Error(`no CNI plugin "bridge" in ${pluginFolders.join(', ')}`);
}

async function findMissing(size: 'control-plane' | 'node'): Promise<Requirement[]> {
  const missing: Requirement[] = [];
  for (const requirement of requirements) {
    if (size === 'control-plane' && requirement.for === 'node') continue;
    const plugin = /^CNI plugin (.*)$/.exec(requirement.needs)?.[1];
    const paths = plugin === undefined ? [requirement.needs] : pluginFolders.map((folder) => `${folder}/${plugin}`);
    const found = await Promise.all(paths.map(findProgram));
    if (found.every((path) => path === undefined)) missing.push(requirement);
  }
  return missing;
}

function assertPlatform(size: 'control-plane' | 'node'): void {
  const otherwise = 'start Docker, or set BULLPEN_TEST_KUBECONFIG to the kubeconfig of a cluster for tests';
  if (process.platform !== 'linux') {
    throw new Error(`A test cluster of local binaries needs Linux, not ${process.platform}: ${otherwise}.`);
  }
  if (size === 'node' && process.getuid?.() !== 0) {
    throw new Error(`A test cluster with a node needs root (containers, network): run as root, or ${otherwise}.`);
  }
}
