import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';

/** What a finished command wrote. */
export interface CommandOutput {
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  /** Text for standard input; without it the command reads nothing. */
  input?: string;
  /** Variables on top of those of this process. */
  env?: Record<string, string>;
  cwd?: string;
  /** After this many milliseconds the command is killed and the call fails. Default: 10 minutes. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** A command that could not be started or ended badly; the message holds its last words. */
export class CommandError extends Error {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;

  constructor(command: string, code: number | undefined, output: CommandOutput, cause?: unknown) {
    const said = (output.stderr.trim() || output.stdout.trim()).split('\n').slice(-15).join('\n');
    const how = code === undefined ? 'could not be run to its end' : `ended with exit code ${code}`;
    super(`${command} ${how}${said === '' ? '' : `:\n${said}`}`, { cause });
    this.name = 'CommandError';
    this.code = code;
    this.stdout = output.stdout;
    this.stderr = output.stderr;
  }
}

/** Standard output and error are kept up to this many characters each; what comes after is dropped. */
const maxOutput = 64 * 1024 * 1024;

/** Debian keeps programs for root outside an ordinary user's PATH. */
const adminFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/**
 * The environment for everything that talks to a cluster: proxies would be asked for addresses that only this machine knows, and a
 * KUBECONFIG of the user must not leak into tests.
 */
export function commandEnvironment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^(https?_proxy|all_proxy|kubeconfig)$/i.test(name)) environment[name] = value;
  }
  environment['PATH'] = searchPath().join(delimiter);
  return { ...environment, ...extra };
}

/** Runs a command to its end. Throws {@link CommandError} unless it exits with 0. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<CommandOutput> {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? 600_000);
  const signal = options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]);
  const output: CommandOutput = { stdout: '', stderr: '' };
  const title = [command, ...args.slice(0, 6)].join(' ');
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: commandEnvironment(options.env),
      cwd: options.cwd,
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      signal,
      killSignal: 'SIGKILL',
    });
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        if (output[name].length < maxOutput) output[name] += text;
      });
    }
    // A command that does not read its input closes the pipe; its exit code says whether that was all right.
    child.stdin?.on('error', () => undefined).end(options.input);
    child.once('error', (error) => reject(new CommandError(title, undefined, output, error)));
    child.once('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new CommandError(title, code ?? undefined, output));
    });
  });
}

/** The path of a program, or undefined if there is none. */
export async function findProgram(name: string): Promise<string | undefined> {
  const candidates = isAbsolute(name) ? [name] : searchPath().map((folder) => join(folder, name));
  for (const candidate of candidates) {
    const executable = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (executable) return candidate;
  }
  return undefined;
}

function searchPath(): string[] {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return [...folders, ...adminFolders.filter((folder) => !folders.includes(folder))];
}
