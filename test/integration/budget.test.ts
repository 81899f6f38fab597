import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentSpecInput } from '../../src/api/agent.ts';
import { sessions } from '../../src/api/resources.ts';
import { pods } from '../../src/kube/resources.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { waitFor } from '../cluster/wait.ts';
import { ChaosProxy } from '../support/chaos-proxy.ts';
import { isMutation } from '../support/proxied-call.ts';
import { Stage, type Scene, type ScriptOf } from '../support/stage.ts';

/**
 * What a session may cost the API server in writes of ours, from its creation to its last trace; docs/performance.md has the table. A
 * change that raises this must change the number here, and say why.
 */
const BUDGET = { warm: 7, cold: 7, stop: 7, refused: 2 };

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(await connectCluster(), 'budget');
});
afterAll(() => stage?.close());

/** Nothing is kept, so that all that is deleted is counted, too. */
const KEEP_NOTHING = { pods: { seconds: 0, count: 0 }, sessions: { seconds: 0, count: 0 } };

interface Case {
  kind: keyof typeof BUDGET;
  spec: Partial<AgentSpecInput> & { scaling: { minAgents: number; maxAgents: number } };
  script: ScriptOf;
  stop?: boolean;
}

const cases: Case[] = [
  { kind: 'warm', spec: { scaling: { minAgents: 30, maxAgents: 100 } }, script: { bot: { afterMs: 1000 } } },
  { kind: 'cold', spec: { scaling: { minAgents: 0, maxAgents: 100 } }, script: { bot: { afterMs: 1000 } } },
  { kind: 'stop', spec: { scaling: { minAgents: 30, maxAgents: 100 } }, script: {}, stop: true },
  { kind: 'refused', spec: { scaling: { minAgents: 0, maxAgents: 0 } }, script: {} },
];

describe('the writes of a session', () => {
  test.for(cases)('that is $kind stay within their budget, at 20 per second and one by one', async (given) => {
    const { kind, spec, script, stop = false } = given;
    const { minAgents, maxAgents } = spec.scaling;
    const scene = await stage.scene(kind);
    const proxy = await ChaosProxy.start(stage.cluster);
    await scene.leader({ proxy });
    await scene.httpAgent('agent', maxAgents, { ...spec, retention: KEEP_NOTHING }, script);
    for (const [pace, count, gapMs] of [
      ['at 20 per second', 40, 50],
      ['one by one', 2, 3000],
    ] as const) {
      await scene.kube.warmPods('agent', minAgents);
      await settledDown(proxy);
      const from = proxy.calls.length;
      const stops: Promise<void>[] = [];
      for (let index = 0; index < count; index += 1) {
        await scene.kube.createSession(`s-${index}`, { agent: 'agent', ttlSecondsAfterFinished: 0 });
        if (stop) stops.push(stopWhenRunning(scene, `s-${index}`));
        await sleep(gapMs);
      }
      await Promise.all(stops);
      await everythingGone(scene, minAgents);
      await settledDown(proxy);
      const writes = proxy.calls.slice(from).filter((call) => isMutation(call) && isOfSession(call.what));
      const table = Map.groupBy(writes, ({ what }) => what);
      const text = [...table].map(([what, calls]) => `${what} ${(calls.length / count).toFixed(2)}`).join(', ');
      console.log(`${kind} ${pace}: ${(writes.length / count).toFixed(2)} writes per session: ${text}`);
      expect(writes.length / count).toBeLessThanOrEqual(BUDGET[kind]);
    }
    await proxy.close();
  });
});

/** The counts in an Agent's status are written every 10 s, and Events are aggregated: neither is a session's. */
function isOfSession(what: string): boolean {
  return !what.endsWith(' leases') && !what.endsWith(' events') && !what.endsWith(' agents/status');
}

async function stopWhenRunning(scene: Scene, name: string): Promise<void> {
  await scene.kube.sessionInPhase(name, 'Running');
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
    { what: 'all traces to be gone', timeoutMs: 90_000, intervalMs: 200 },
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
