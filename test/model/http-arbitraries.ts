import fc from 'fast-check';
import type { Fault } from './network.ts';
import type { AgentChoice, HttpStep, Pool, Setting, Step, Trouble } from './scenario.ts';
import { moments } from './telling.ts';

const ms = (...choices: number[]) => fc.constantFrom(...choices);

const pool: fc.Arbitrary<Pool> = fc.record({
  minAgents: fc.constantFrom(1, 2, 0, 4),
  buffer: fc.record({ percent: fc.constantFrom(0, 0, 50, 200), count: fc.constantFrom(0, 0, 1, 2) }),
  cooldownSeconds: fc.constantFrom(10, 0, 30),
});

/** Settings of Agents of protocol Http, from those of any. */
export function withHttp(settings: fc.Arbitrary<Setting>): fc.Arbitrary<Setting> {
  const http = fc.record({
    bootMs: fc.array(ms(100, 1, 1_500, 6_000, 12_000), { minLength: 1, maxLength: 3 }),
    crashes: fc.array(fc.constantFrom(false, false, false, true), { minLength: 1, maxLength: 4 }),
    startMs: fc.record({ agent: ms(50, 1, 1_000), supervisor: ms(50, 1, 1_000) }),
  });
  const protocol = fc.constantFrom<'Http' | 'Process'>('Http', 'Http', 'Http', 'Http', 'Http', 'Process');
  const maxAgents = fc.constantFrom(2, 1, 3, 4);
  const agent = fc.record({ protocol, pool, maxAgents }).map(({ pool: wanted, ...rest }): Partial<AgentChoice> => ({
    ...rest,
    pool: { ...wanted, minAgents: Math.min(wanted.minAgents, rest.maxAgents) },
  }));
  return fc.record({ setting: settings, http, agent }).map(({ setting, http: timing, agent: more }) => ({
    ...setting,
    http: timing,
    agent: { ...setting.agent, ...more },
  }));
}

const index = fc.nat(7);

const supervisorFault: fc.Arbitrary<Fault> = fc.record({
  verb: fc.constantFrom('bind' as const, 'bind' as const, 'bind' as const, 'stop' as const),
  plural: fc.constant('supervisors'),
  left: fc.constantFrom(1, 2, 4, 20),
  fate: fc.oneof(
    { arbitrary: fc.constant({ kind: 'lost' as const }), weight: 2 },
    { arbitrary: fc.constant({ kind: 'replyLost' as const }), weight: 2 },
    {
      arbitrary: fc.record({ kind: fc.constant('late' as const), afterMs: ms(5_000, 300, 1_500, 12_000, 30_000) }),
      weight: 3,
    },
    { arbitrary: fc.record({ kind: fc.constant('slow' as const), afterMs: ms(3_000, 500) }), weight: 1 },
    { arbitrary: fc.constant({ kind: 'failed' as const }), weight: 1 },
  ),
});

const trouble = (steps: fc.Arbitrary<Step>[]): fc.Arbitrary<Trouble> => fc.oneof(...steps) as fc.Arbitrary<Trouble>;

type Rest<Kind extends Step['do']> = fc.Arbitrary<Omit<Extract<Step, { do: Kind }>, 'do'>>;

type Others = 'crash' | 'loseLease' | 'pauseLeader' | 'handOver' | 'deletePod' | 'disruptPod' | 'stopSession';

/** Steps that matter with protocol Http, some of which are other steps at a certain moment. */
export function httpSteps(others: { [Kind in Others]: fc.Arbitrary<object> }): {
  [Kind in HttpStep['do']]: Rest<Kind>;
} {
  const step = (kind: Others): fc.Arbitrary<Step> => others[kind].map((rest) => ({ do: kind, ...rest }) as Step);
  const strikeServer = fc.record({
    pod: index,
    how: fc.constantFrom('supervisorKilled' as const, 'agentCrashed' as const),
  });
  const cutNode = fc.record({ node: fc.nat(1), forMs: ms(4_500, 300, 2_500, 4_020, 9_000, 25_000) });
  const cases: fc.Arbitrary<Step>[] = [
    step('crash'),
    step('crash'),
    step('loseLease'),
    step('pauseLeader'),
    step('handOver'),
    step('deletePod'),
    step('disruptPod'),
    step('stopSession'),
    strikeServer.map((rest) => ({ do: 'strikeServer', ...rest })),
    cutNode.map((rest) => ({ do: 'cutNode', ...rest })),
    supervisorFault.map((fault) => ({ do: 'callFault', fault })),
    fc.constant({ do: 'deleteAgent' }),
    fc
      .record({ node: fc.nat(1), becomes: fc.constantFrom('silent' as const, 'deaf' as const, 'gone' as const) })
      .map((rest) => ({ do: 'node', ...rest })),
  ];
  return {
    changePool: fc.record({ pool }),
    changePods: fc.record(
      {
        image: fc.constantFrom('example/echo:2', 'example/echo:3', 'example/echo:1'),
        protocol: fc.constantFrom<'Http' | 'Process'>('Http', 'Http', 'Process'),
      },
      { requiredKeys: [] },
    ),
    strikeServer,
    cordon: fc.record({ node: fc.nat(1), on: fc.constantFrom(true, true, false) }),
    cutNode,
    agents: fc.record({ boot: fc.boolean() }),
    callFault: supervisorFault.map((fault) => ({ fault })),
    when: fc.record({ moment: fc.constantFrom(...moments), then: trouble(cases) }),
  };
}
