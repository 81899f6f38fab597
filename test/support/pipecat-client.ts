import { createHash } from 'node:crypto';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { withLock } from '../cluster/lock.ts';
import { CommandError, run, type CommandOutput } from '../cluster/run.ts';
import { cacheFolder } from '../cluster/state.ts';

/** The releases of Pipecat's client that the tests run, as they come from PyPI. */
export const pipecatClients = {
  '1.4.0': ['pipecatcloud==1.4.0', 'pipecat-ai-cli==1.3.0'],
  '0.6.0': ['pipecatcloud==0.6.0'],
} as const;
export type PipecatVersion = keyof typeof pipecatClients;

/** Where a client is to go, and who it is. */
export interface PipecatAccess {
  origin: string;
  token?: string | undefined;
  organization?: string | undefined;
  publicKey?: string | undefined;
  /** Its settings: a folder of the test's own. */
  home: string;
}

/** How a command ended, whatever its exit code. */
export interface Ended extends CommandOutput {
  code: number;
}

/** Pipecat's official client and command line, in a virtual environment of their own. */
export class PipecatClient {
  readonly version: PipecatVersion;
  readonly #bin: string;

  private constructor(version: PipecatVersion, bin: string) {
    this.version = version;
    this.#bin = bin;
  }

  /** Downloaded the first time, and then kept in the cache. */
  static async install(version: PipecatVersion, log: (line: string) => void): Promise<PipecatClient> {
    const packages = pipecatClients[version];
    const hash = createHash('sha256').update(packages.join()).digest('hex').slice(0, 16);
    const parent = join(cacheFolder(), 'pipecat-clients');
    const folder = join(parent, `${version}-${hash}`);
    await mkdir(parent, { recursive: true });
    await withLock(join(parent, `.lock-${version}`), async () => {
      if (await exists(join(folder, 'complete'))) return;
      log(`installing ${packages.join(' and ')} (only the first time)`);
      await rm(folder, { recursive: true, force: true });
      // A virtual environment cannot be moved: it is made in its place, and marked when it is complete.
      await run('python3', ['-m', 'venv', folder]);
      const how = ['--no-input', '--disable-pip-version-check', '--quiet'];
      await run(join(folder, 'bin/python'), ['-m', 'pip', 'install', ...how, ...packages]);
      await mkdir(join(folder, 'complete.draft'));
      await rename(join(folder, 'complete.draft'), join(folder, 'complete'));
    });
    return new PipecatClient(version, join(folder, 'bin'));
  }

  /** A command of the command line: `agent`, `list`. */
  async cli(access: PipecatAccess, args: readonly string[]): Promise<Ended> {
    const command = this.version === '0.6.0' ? ['pcc'] : ['pipecat', 'cloud'];
    const [program = '', ...before] = command;
    return await this.#end(join(this.#bin, program), [...before, ...args], access);
  }

  /** A program that uses the library. */
  async python(access: PipecatAccess, program: string): Promise<Ended> {
    return await this.#end(join(this.#bin, 'python'), ['-c', program], access);
  }

  async #end(program: string, args: readonly string[], access: PipecatAccess): Promise<Ended> {
    const { origin, token, organization, publicKey, home } = access;
    const env = {
      PIPECAT_API_HOST: origin,
      PIPECAT_CONFIG_PATH: join(home, 'pipecatcloud.toml'),
      HOME: home,
      COLUMNS: '200',
      ...(token !== undefined && { PIPECAT_TOKEN: token }),
      ...(organization !== undefined && { PIPECAT_ORG: organization }),
      ...(publicKey !== undefined && { PIPECAT_DEFAULT_PUBLIC_KEY: publicKey }),
    };
    try {
      return { code: 0, ...(await run(program, args, { env, cwd: home })) };
    } catch (error) {
      if (!(error instanceof CommandError) || error.code === undefined) throw error;
      return { code: error.code, stdout: error.stdout, stderr: error.stderr };
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
