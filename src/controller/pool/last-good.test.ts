import { beforeEach, describe, expect, it } from 'vitest';
import { annotations } from '../../api/names.ts';
import type { Agent, AgentSpecInput, AgentStatus } from '../../api/agent.ts';
import type { KubeApi } from '../../kube/api.ts';
import { clientError, errorFromAnswer } from '../../kube/errors.ts';
import type { ControllerRevision, NewObject } from '../../kube/objects.ts';
import type { ObjectRef } from '../../kube/resources.ts';
import { FakeClock } from '../../kube/testing/fake-clock.ts';
import { STRICT_POLICY } from '../../pods/policy.ts';
import { judgeAgent, type Platform, type Serving } from '../agent-state.ts';
import { EPOCH, makeAgent, NAMESPACE } from '../testing/objects.ts';
import { LastGood } from './last-good.ts';

const KEY = `${NAMESPACE}/echo`;
const supervisor = { image: 's:1', imagePullPolicy: 'Always' as const, imagePullSecrets: [], resources: {} };
const missing = () => errorFromAnswer('get', 404, JSON.stringify({ kind: 'Status', reason: 'NotFound' }), undefined);
const { signal } = new AbortController();

let clock: FakeClock;
let platform: Platform;
let lastGood: LastGood;
let stored: Map<string, ControllerRevision>;
let requests: string[];
let woken: number;
let logged: string[];
/** What the next request fails with. */
let failure: Error | undefined;

beforeEach(() => {
  clock = new FakeClock(EPOCH);
  platform = { policy: STRICT_POLICY, supervisor };
  stored = new Map();
  requests = [];
  woken = 0;
  logged = [];
  failure = undefined;
  lastGood = start();
});

/** As after a change of the leader: nothing is remembered but what is stored. */
function start(): LastGood {
  const answer = <T>(what: string, reply: () => T): Promise<T> => {
    requests.push(what);
    const error = failure;
    failure = undefined;
    return error === undefined ? new Promise((resolve) => resolve(reply())) : Promise.reject(error);
  };
  const api = {
    list: () => answer('list', () => ({ items: [...stored.values()], resourceVersion: '1' })),
    get: (_resource: unknown, { name }: ObjectRef) =>
      answer(`get ${name}`, () => {
        const found = stored.get(name);
        if (found === undefined) throw missing();
        return found;
      }),
    create: (_resource: unknown, _namespace: string, body: NewObject<ControllerRevision>) =>
      answer(`create ${body.metadata.name ?? ''}`, () => {
        stored.set(body.metadata.name ?? '', body as unknown as ControllerRevision);
        return body;
      }),
    delete: (_resource: unknown, { name }: ObjectRef) => answer(`delete ${name}`, () => stored.delete(name)),
  } as unknown as KubeApi;
  const log = (_fields: object, message: string) => logged.push(message);
  const logger = { debug: log, info: log, warn: log, error: log };
  return new LastGood({ api, platform, clock, logger, wake: () => (woken += 1) });
}

function agentOf(spec: Partial<AgentSpecInput>, status: AgentStatus = {}, redeploy?: string): Agent {
  const metadata = redeploy === undefined ? {} : { annotations: { [annotations.redeploy]: redeploy } };
  return { ...makeAgent({ protocol: 'Http', ...spec }, metadata), status };
}

function judge(agent: Agent): Serving {
  const verdict = judgeAgent(agent, platform);
  if (!verdict.ok) throw new Error(verdict.message);
  return verdict;
}

/** Records an Agent of this image as good; returns its revision. */
async function recorded(image = 'good'): Promise<string> {
  const agent = agentOf({ image });
  lastGood.record(KEY, agent, judge(agent), signal);
  await clock.advanceAsync(0);
  return judge(agent).revision;
}

/** What serves instead of this Agent, once it has been asked for and read. */
async function instead(agent: Agent): Promise<Serving | 'loading' | undefined> {
  lastGood.insteadOf(KEY, agent, judge(agent), signal);
  await clock.advanceAsync(0);
  return lastGood.insteadOf(KEY, agent, judge(agent), signal);
}

describe('the last good revision', () => {
  it('is known when it is on record, not before', async () => {
    const agent = agentOf({ image: 'good' });
    lastGood.record(KEY, agent, judge(agent), signal);
    lastGood.record(KEY, agent, judge(agent), signal);
    expect(lastGood.revisionOf(KEY, agent)).toBeUndefined();
    await clock.advanceAsync(0);
    const { revision } = judge(agent);
    expect(lastGood.revisionOf(KEY, agent)).toBe(revision);
    expect(requests).toEqual(['list', `create echo-${revision}`]);
    expect(woken).toBe(1);
  });

  it('serves with the present scaling and limits, also under another leader', async () => {
    const good = await recorded();
    lastGood = start();
    const scaling = { minAgents: 4, maxAgents: 9 };
    const broken = agentOf({ image: 'broken', scaling, startTimeoutSeconds: 7 }, { lastReadyRevision: good });
    const serving = await instead(broken);
    expect(serving).toMatchObject({
      revision: good,
      spec: { image: 'good', scaling, startTimeoutSeconds: 7 },
    });
  });

  it('is read once, and waited for', async () => {
    const good = await recorded();
    lastGood = start();
    requests = [];
    const broken = (image: string) => agentOf({ image }, { lastReadyRevision: good });
    for (let i = 0; i < 2; i += 1)
      expect(lastGood.insteadOf(KEY, broken('broken:1'), judge(broken('broken:1')), signal)).toBe('loading');
    await instead(broken('broken:1'));
    await instead(broken('broken:2'));
    expect(requests).toEqual([`get echo-${good}`]);
  });

  it('is of no help where it would be the same pods again', async () => {
    const good = await recorded();
    expect(await instead(agentOf({ image: 'good' }, { lastReadyRevision: good }, 'now'))).toBeUndefined();
  });

  it('is judged by the rules of today', async () => {
    const hostNetwork = { podTemplate: { spec: { hostNetwork: true } } };
    platform = { supervisor, policy: { ...STRICT_POLICY, allowHostNamespaces: true } };
    lastGood = start();
    const agent = agentOf({ image: 'good', ...hostNetwork });
    lastGood.record(KEY, agent, judge(agent), signal);
    await clock.advanceAsync(0);
    const lastReadyRevision = judge(agent).revision;
    platform = { supervisor, policy: STRICT_POLICY };
    lastGood = start();
    const broken = agentOf({ image: 'broken' }, { lastReadyRevision });
    expect(await instead(broken)).toBeUndefined();
    await instead(broken);
    expect(logged).toEqual([`cannot use the last good revision, ${lastReadyRevision}`]);
  });

  it.each([
    ['is missing', () => stored.clear()],
    ['cannot be read', () => (failure = clientError('get', 'ConnectionLost', 'unknown'))],
    ['holds nothing', () => stored.forEach((each, name) => stored.set(name, { ...each, data: {} }))],
  ])('is not used when its record %s, which is said once, and looked for again a minute later', async (_how, spoil) => {
    const good = await recorded();
    lastGood = start();
    const kept = [...stored];
    requests = [];
    woken = 0;
    spoil();
    const broken = agentOf({ image: 'broken' }, { lastReadyRevision: good });
    expect(await instead(broken)).toBeUndefined();
    expect(await instead(broken)).toBeUndefined();
    expect(requests).toHaveLength(1);
    expect(woken).toBe(1);
    stored = new Map(kept);
    woken = 0;
    await clock.advanceAsync(60_000);
    expect(woken).toBe(1);
    expect(await instead(broken)).toMatchObject({ revision: good });
    expect(logged).toEqual([`cannot read the last good revision, ${good}`]);
  });

  it('is recorded a minute later when that fails', async () => {
    failure = errorFromAnswer('list', 403, 'forbidden', undefined);
    await recorded();
    await recorded();
    expect(requests).toEqual(['list']);
    await clock.advanceAsync(60_000);
    const good = await recorded();
    expect(stored.has(`echo-${good}`)).toBe(true);
    expect(logged).toHaveLength(1);
  });

  it('is that of the Agent that there is, not of one of its name before', async () => {
    await recorded();
    const again = { ...agentOf({ image: 'good' }), metadata: { ...makeAgent().metadata, uid: 'another' } };
    expect(lastGood.revisionOf(KEY, again)).toBeUndefined();
  });
});
