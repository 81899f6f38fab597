import { createHash } from 'node:crypto';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { withLock } from '../cluster/lock.ts';
import { run } from '../cluster/run.ts';
import { cacheFolder } from '../cluster/state.ts';
import { end, type Ended } from './ended.ts';
import { START_PROGRAM, TERMINAL_PROGRAM, type Keystrokes, type StartRequest } from './pipecat-programs.ts';

/** The releases of Pipecat's client that the tests run, as they come from PyPI. */
export const pipecatClients = {
  '1.4.0': ['pipecatcloud==1.4.0', 'pipecat-ai-cli==1.3.0'],
  '0.6.0': ['pipecatcloud==0.6.0'],
} as const;
export type PipecatVersion = keyof typeof pipecatClients;
export const pipecatVersions = Object.keys(pipecatClients) as PipecatVersion[];

/** Where a client is to go, and who it is. */
export interface PipecatAccess {
  origin: string;
  token: string;
  organization?: string | undefined;
  /** Its settings: a folder of the test's own. */
  home: string;
}

/** Pipecat's official client and command line, in a virtual environment of their own. */
export class PipecatClient {
  readonly version: PipecatVersion;
  readonly #bin: string;

  private constructor(version: PipecatVersion, bin: string) {
    this.version = version;
    this.#bin = bin;
  }

  /** Where its commands are, and the `python` that has the library. */
  get folder(): string {
    return this.#bin;
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
    const [program = '', ...words] = this.#command(args);
    return await this.#end(program, words, access);
  }

  /** The same on a terminal, where it asks: types what is to be typed, as soon as it is asked for. */
  async terminal(access: PipecatAccess, args: readonly string[], keystrokes: readonly Keystrokes[]): Promise<Ended> {
    const input = JSON.stringify({ command: this.#command(args), keystrokes });
    return await this.#end(join(this.#bin, 'python'), ['-c', TERMINAL_PROGRAM], access, input);
  }

  /** Starts a session with the library. What that told: the reply, or the code and the text of its AgentStartError. */
  async start(access: PipecatAccess, request: StartRequest): Promise<Record<string, unknown>> {
    const ended = await this.#end(join(this.#bin, 'python'), ['-c', START_PROGRAM], access, JSON.stringify(request));
    if (ended.code !== 0) throw new Error(`the library ended with ${ended.code}:\n${ended.stderr}`);
    return JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
  }

  #command(args: readonly string[]): string[] {
    const [program, ...before] = this.version === '0.6.0' ? (['pcc'] as const) : (['pipecat', 'cloud'] as const);
    return [join(this.#bin, program), ...before, ...args];
  }

  async #end(program: string, args: readonly string[], access: PipecatAccess, input?: string): Promise<Ended> {
    const { origin, token, organization, home } = access;
    const env = {
      PIPECAT_API_HOST: origin,
      PIPECAT_CONFIG_PATH: join(home, 'pipecatcloud.toml'),
      PIPECAT_TOKEN: token,
      ...(organization !== undefined && { PIPECAT_ORG: organization }),
      HOME: home,
      TERM: 'xterm',
      // What it prints is not to be broken into lines.
      COLUMNS: '250',
    };
    return await end(program, args, { env, cwd: home, timeoutMs: 120_000, ...(input !== undefined && { input }) });
  }
}

/** All that a command printed, without the boxes, colours and lines that it is drawn with. */
export function textOf({ stdout, stderr }: Ended): string {
  return `${stdout}\n${stderr}`
    .replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '')
    .replaceAll(/[\u2500-\u257f]/g, ' ')
    .replaceAll(/\s+/g, ' ');
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
