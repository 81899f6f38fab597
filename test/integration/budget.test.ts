import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentStatus } from '../../src/api/agent.ts';
import { sessions } from '../../src/api/resources.ts';
import type { SessionStatus } from '../../src/api/session.ts';
import { pods } from '../../src/kube/resources.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { ChaosProxy } from '../support/chaos-proxy.ts';
import { isMutation, type ProxiedCall } from '../support/proxied-call.ts';
import { Stage, type Scene, type ScriptOf } from '../support/stage.ts';

/**
 * What a session costs the API server in writes of ours, from its creation to its last trace; docs/performance.md has the table. A change
 * that changes this must change the numbers here, and say why.
 *
 * All are exact but the statuses of Sessions: a controller that is behind writes one for two, so fewer of these may be needed, though not
 * one for each Session.
 */
const BUDGET = {
  warm: {
    'PATCH pods': 2, // claimed, and let go of
    'PATCH sessions/status': 2, // Running, Ended
    'POST pods': 1, // another one that waits
    'DELETE pods': 1,
    'DELETE sessions': 1,
  },
  cold: {
    'POST pods': 1,
    'PATCH sessions/status': 3, // Starting, Running, Ended
    'PATCH pods': 1,
    'DELETE pods': 1,
    'DELETE sessions': 1,
  },
  stop: {
    'PATCH pods': 2,
    'PATCH sessions/status': 2,
    'POST pods': 1,
    'DELETE pods': 1,
    'DELETE sessions': 1,
  },
  refused: {
    'PATCH sessions/status': 1,
    'DELETE sessions': 1,
  },
} satisfies Record<string, Record<string, number>>;

/** One for each that did not complete. */
const MOST_EVENTS = { warm: 0, cold: 0, stop: 1, refused: 1 };

/** Counts in an Agent's status are written no more often. */
const COUNTS_EVERY_MS = 10_000;
/** By which two requests may be nearer to each other when they arrive than when they were made. */
const JITTER_MS = 2_000;

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'budget');
});
afterAll(() => stage?.close());

/**
 * Nothing is kept, so that all that is deleted is counted, too: pods first, else the garbage collector takes them with their Sessions. They
 * go one after the other, and give others half of the time.
 */
const KEEP_NO_PODS = { pods: { seconds: 0, count: 0 } };
const KEEP_SESSIONS_SECONDS = 40;

/** A start or a stop that takes longer than this is told in a status of its own, and an agent that takes twice as long to go. */
const UNTOLD_MS = 1_000;

/** How long a session takes that nobody stops: so long that a controller which is behind still sees it run. */
const CALL_MS = 5_000;

interface Case {
  kind: keyof typeof BUDGET;
  maxAgents: number;
  /** Whether pods wait for its sessions. */
  pool?: boolean;
  script: ScriptOf;
  stop?: boolean;
}

const cases: Case[] = [
  { kind: 'warm', maxAgents: 100, pool: true, script: { bot: { afterMs: CALL_MS } } },
  { kind: 'cold', maxAgents: 100, script: { bot: { afterMs: CALL_MS } } },
  { kind: 'stop', maxAgents: 100, pool: true, script: {}, stop: true },
  { kind: 'refused', maxAgents: 0, script: {} },
];

interface Pace {
  name: string;
  count: number;
  gapMs: number;
  /** Pods that wait, where some do: enough that no session finds none. */
  poolSize: number;
}

/** Runs so many sessions, until nothing is left of them, and looks at what was written. */
async function expectWithinBudget({ kind, maxAgents, pool, script, stop }: Case, pace: Pace): Promise<void> {
  const { count, gapMs } = pace;
  const warm = pool === true ? pace.poolSize : 0;
  const scene = await stage.scene(`${kind}-${pace.name.replaceAll(' ', '-')}`);
  const proxy = await ChaosProxy.start(stage.cluster);
  await scene.leader({ proxy });
  const scaling = { minAgents: warm, maxAgents };
  await scene.httpAgent('agent', maxAgents, { scaling, retention: KEEP_NO_PODS }, script);
  await scene.kube.warmPods('agent', warm);
  await settledDown(proxy);
  const from = proxy.calls.length;
  const stops: Promise<void>[] = [];
  const stoppedAt = new Map<string, number>();
  for (let index = 0; index < count; index += 1) {
    if (index > 0) await sleep(gapMs);
    await scene.kube.createSession(`s-${index}`, { agent: 'agent', ttlSecondsAfterFinished: KEEP_SESSIONS_SECONDS });
    if (stop === true) stops.push(stopWhenRunning(scene, `s-${index}`, stoppedAt));
  }
  await Promise.all(stops);
  await everythingGone(scene, warm);
  await settledDown(proxy);
  const writes = proxy.calls.slice(from).filter(isMutation);
  const slow = writes.filter((call) => wasSlow(call, stoppedAt));
  const ofSessions = tally(writes.filter((call) => isOfSession(call.what) && !slow.includes(call)));
  const events = writes.filter(({ what }) => what.endsWith(' events'));
  const statuses = proxy.calls.filter(({ what }) => what === 'PATCH agents/status');
  const more = `${slow.length} of what was slow, ${events.length} Events, ${statuses.length} statuses of the Agent`;
  console.log(`${kind} ${pace.name}, ${count} sessions: ${JSON.stringify(ofSessions)}; ${more}`);
  const { 'PATCH sessions/status': ofStatus = 0, ...others } = ofSessions;
  const { 'PATCH sessions/status': perStatus, ...perOther } = BUDGET[kind];
  expect(others).toEqual(Object.fromEntries(Object.entries(perOther).map(([what, per]) => [what, per * count])));
  expect(ofStatus).toBeLessThanOrEqual(perStatus * count);
  expect(ofStatus).toBeGreaterThan((perStatus - 1) * count);
  expect(events.length).toBeLessThanOrEqual(MOST_EVENTS[kind] * count);
  expect(tooEarly(statuses)).toEqual([]);
  await proxy.close();
}

describe('the writes of a session stay within their budget', () => {
  test.for(cases)('that is $kind, at 20 per second', async (given) => {
    await expectWithinBudget(given, { name: 'at 20 per second', count: 40, gapMs: 50, poolSize: 40 });
  });
});

describe.concurrent('the writes of a session stay within their budget', () => {
  test.for(cases)('that is $kind, at one per minute', { timeout: 360_000 }, async (given) => {
    await expectWithinBudget(given, { name: 'at one per minute', count: 3, gapMs: 60_000, poolSize: 2 });
  });
});

function tally(calls: readonly ProxiedCall[]): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(calls, ({ what }) => what)].map(([what, of]) => [what, of.length]));
}

/** Statuses of an Agent that say nothing but other counts than the one before, and came too early for that. */
function tooEarly(statuses: readonly ProxiedCall[]): string[] {
  return statuses.flatMap((call, index) => {
    const before = statuses[index - 1];
    if (before === undefined || moreThanCounts(call) !== moreThanCounts(before)) return [];
    const gapMs = call.at - before.at;
    return gapMs < COUNTS_EVERY_MS - JITTER_MS ? [`after ${gapMs} ms: ${JSON.stringify(call.body)}`] : [];
  });
}

function moreThanCounts({ body }: ProxiedCall): string {
  const { activeSessions: _active, queuedSessions: _queued, warm: _warm, ...rest } = statusIn<AgentStatus>(body);
  return JSON.stringify(rest);
}

/** The counts in an Agent's status are written every 10 s, and Events have a budget of their own. */
function isOfSession(what: string): boolean {
  return !what.endsWith(' leases') && !what.endsWith(' events') && !what.endsWith(' agents/status');
}

/** What this test does not promise: a status that says why something takes longer than it does on a machine that is not busy. */
function wasSlow({ what, body, name = '', at }: ProxiedCall, stoppedAt: ReadonlyMap<string, number>): boolean {
  if (what !== 'PATCH sessions/status') return false;
  const status = statusIn<SessionStatus>(body);
  if (status.phase === 'Stopping') {
    const wentMs = Date.parse(status.startedAt ?? '') + CALL_MS + UNTOLD_MS;
    return at - (stoppedAt.get(name) ?? wentMs) >= UNTOLD_MS;
  }
  const isWarmStart = status.phase === 'Starting' && status.startKind === 'Warm';
  return isWarmStart && at - Date.parse(status.admittedAt ?? '') >= UNTOLD_MS;
}

/** The status that a patch writes. */
function statusIn<T>(body: unknown): Partial<T> {
  return (body as { value?: Partial<T> }[]).at(-1)?.value ?? {};
}

async function stopWhenRunning(scene: Scene, name: string, stoppedAt: Map<string, number>): Promise<void> {
  await scene.kube.sessionInPhase(name, 'Running');
  stoppedAt.set(name, Date.now());
  await scene.kube.patchSession(name, { stop: true });
}

async function everythingGone(scene: Scene, warm: number): Promise<void> {
  const { api } = scene.kube;
  const { namespace } = scene;
  await waitFor(
    async () => {
      const [left, live] = await Promise.all([api.list(sessions, { namespace }), api.list(pods, { namespace })]);
      return left.items.length === 0 && live.items.length === warm;
    },
    { what: 'all traces to be gone', timeoutMs: 180_000, intervalMs: 200 },
  );
}

/** Until nothing has been written for a moment. */
async function settledDown(proxy: ChaosProxy): Promise<void> {
  const last = (): number => proxy.calls.findLast((call) => isMutation(call) && isOfSession(call.what))?.at ?? 0;
  await waitFor(() => Promise.resolve(Date.now() - last() > 1000), {
    what: 'all to be written that has to be',
    timeoutMs: 60_000,
    intervalMs: 100,
  });
}
