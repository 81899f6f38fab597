import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Counts } from './prometheus.ts';

/** What was written so far, by verb, resource and sender: `patch pods/status (kubelet)`. */
export interface Writes {
  writes: Counts;
  /** Those of them that failed, by code too: `422 patch pods (bullpen-controller)`. */
  failures: Counts;
}

/** Who sends them, as its user agent says. */
const CONTROLLER = '(bullpen-controller)';

interface AuditEvent {
  verb: string;
  userAgent?: string;
  objectRef?: { resource?: string; subresource?: string };
  responseStatus?: { code?: number };
}

/** One line per write, when it has been answered. Reads are not told. */
const policy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  omitManagedFields: true,
  rules: [{ level: 'None', verbs: ['get', 'list', 'watch'] }, { level: 'Metadata' }],
};

/** The audit log of an API server: who wrote what. Its metrics count writes too, but do not know users. */
export class AuditLog {
  /** Flags of the API server. */
  readonly apiServerArgs: string[];
  readonly #folder: string;
  readonly #path: string;
  readonly #writes = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  #offset = 0;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#path = join(folder, 'audit.log');
    this.apiServerArgs = [
      `--audit-policy-file=${join(folder, 'policy.json')}`,
      `--audit-log-path=${this.#path}`,
      // Never begun anew, so that what is at an offset stays there.
      '--audit-log-maxsize=100000',
    ];
  }

  static async prepare(): Promise<AuditLog> {
    const folder = await mkdtemp(join(tmpdir(), 'bullpen-audit-'));
    await writeFile(join(folder, 'policy.json'), JSON.stringify(policy));
    return new AuditLog(folder);
  }

  /** What was written since the API server was started. */
  async read(): Promise<Writes> {
    const file = await open(this.#path);
    try {
      // Whole lines only: the last one may be still on its way.
      let rest = '';
      for await (const chunk of file.createReadStream({ start: this.#offset, encoding: 'utf8', autoClose: false })) {
        const lines = (rest + String(chunk)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) this.#count(line);
      }
    } finally {
      await file.close();
    }
    return { writes: new Map(this.#writes), failures: new Map(this.#failures) };
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  #count(line: string): void {
    this.#offset += Buffer.byteLength(line) + 1;
    const { verb, userAgent = '', objectRef, responseStatus } = JSON.parse(line) as AuditEvent;
    const { resource = '', subresource } = objectRef ?? {};
    const what = `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}`;
    const name = `${what} (${/^[^/ ]*/.exec(userAgent)?.[0] ?? ''})`;
    const add = (counts: Map<string, number>, key: string): unknown => counts.set(key, (counts.get(key) ?? 0) + 1);
    add(this.#writes, name);
    const code = responseStatus?.code ?? 0;
    if (code >= 400) add(this.#failures, `${code} ${name}`);
  }
}

/** How many there are without the renewals of leases, which do not depend on Sessions. */
export function countWrites(writes: Counts, by: 'anybody' | 'controller' = 'anybody'): number {
  return [...writes]
    .filter(([name]) => !isLease(name) && (by === 'anybody' || name.endsWith(CONTROLLER)))
    .reduce((sum, [, count]) => sum + count, 0);
}

export function isLease(name: string): boolean {
  return name.includes(' leases ');
}
