import type { Agent, AgentSpecInput, AgentStatus } from '../../../api/agent.ts';
import { annotations } from '../../../api/names.ts';
import type { KubeApi, Patch } from '../../../kube/api.ts';
import { errorFromAnswer } from '../../../kube/errors.ts';
import type { ControllerRevision, NewObject } from '../../../kube/objects.ts';
import type { ObjectRef } from '../../../kube/resources.ts';
import { FakeClock } from '../../../kube/testing/fake-clock.ts';
import { STRICT_POLICY } from '../../../pods/policy.ts';
import { judgeAgent, type Platform, type Serving } from '../../agent-state.ts';
import { EPOCH, makeAgent, NAMESPACE } from '../../testing/objects.ts';
import { Attempts } from '../attempts.ts';

export const KEY = `${NAMESPACE}/echo`;
export const supervisor = { image: 's:1', imagePullPolicy: 'Always' as const, imagePullSecrets: [], resources: {} };

/** Records in memory, and all that is done with them. */
export class RecordStage {
  readonly clock = new FakeClock(EPOCH);
  platform: Platform = { policy: STRICT_POLICY, supervisor };
  stored = new Map<string, ControllerRevision>();
  requests: string[] = [];
  logged: string[] = [];
  woken = 0;
  /** What the next request fails with. */
  failure: Error | undefined;

  readonly api = {
    list: () => this.#answer('list', () => ({ items: [...this.stored.values()], resourceVersion: '1' })),
    get: (_resource: unknown, { name }: ObjectRef) => this.#answer(`get ${name}`, () => this.#found(name)),
    create: (_resource: unknown, _namespace: string, body: NewObject<ControllerRevision>) =>
      this.#answer(`create ${body.metadata.name ?? ''}`, () => {
        this.stored.set(body.metadata.name ?? '', body as unknown as ControllerRevision);
        return body;
      }),
    patch: (_resource: unknown, { name }: ObjectRef, { body }: Extract<Patch, { body: unknown }>) =>
      this.#answer(`patch ${name}`, () => {
        const { revision } = body as ControllerRevision;
        const patched = { ...this.#found(name), revision };
        this.stored.set(name, patched);
        return patched;
      }),
    delete: (_resource: unknown, { name }: ObjectRef) =>
      this.#answer(`delete ${name}`, () => {
        this.#found(name);
        this.stored.delete(name);
      }),
  } as unknown as KubeApi;

  attempts(): Attempts {
    const log = (_fields: object, message: string) => this.logged.push(message);
    const logger = { debug: log, info: log, warn: log, error: log };
    return new Attempts({ clock: this.clock, logger, wake: () => (this.woken += 1) });
  }

  judge(agent: Agent): Serving {
    const verdict = judgeAgent(agent, this.platform);
    if (!verdict.ok) throw new Error(verdict.message);
    return verdict;
  }

  #found(name: string): ControllerRevision {
    const found = this.stored.get(name);
    if (found !== undefined) return found;
    throw errorFromAnswer('get', 404, JSON.stringify({ kind: 'Status', reason: 'NotFound' }), undefined);
  }

  #answer<T>(what: string, reply: () => T): Promise<T> {
    this.requests.push(what);
    const error = this.failure;
    this.failure = undefined;
    return error === undefined ? new Promise((resolve) => resolve(reply())) : Promise.reject(error);
  }
}

export function agentOf(spec: Partial<AgentSpecInput>, status: AgentStatus = {}, redeploy?: string): Agent {
  const metadata = redeploy === undefined ? {} : { annotations: { [annotations.redeploy]: redeploy } };
  return { ...makeAgent({ protocol: 'Http', ...spec }, metadata), status };
}
