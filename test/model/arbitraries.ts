import fc from 'fast-check';
import type { Fate, Fault, Verb } from './network.ts';
import type { Workload } from './kubelet.ts';
import { httpSteps } from './http-arbitraries.ts';
import type { AgentChoice, Scenario, SessionChoice, Setting, Step, TimedStep } from './scenario.ts';

/** Kinds of steps and how often they come. What is not named does not. */
export type Weights = Partial<Record<Step['do'], number>>;

const ms = (...choices: number[]) => fc.constantFrom(...choices);
const seconds = ms;

const workload: fc.Arbitrary<Workload> = fc.record({
  startMs: ms(200, 50, 3_000),
  runMs: fc.constantFrom(5_000, 100, 20_000, null),
  exitCode: fc.constantFrom(0, 0, 1),
  goodbyeMs: fc.constantFrom(100, 2_000, null),
});

const sessionChoice: fc.Arbitrary<SessionChoice> = fc
  .record({
    workload,
    maxSessionDuration: seconds(30, 1, 10),
    ttl: fc.constantFrom(null, null, 20, 0),
    startBefore: fc.constantFrom(null, null, null, null, null, 30, 2),
    overRest: fc.boolean(),
  })
  .map(({ ttl, startBefore, ...choice }) => ({
    ...choice,
    ...(ttl !== null && { ttlSecondsAfterFinished: ttl }),
    ...(startBefore !== null && { startBeforeSeconds: startBefore }),
  }));

const agentChoice: fc.Arbitrary<AgentChoice> = fc.record({
  maxAgents: fc.constantFrom(1, 2, 3),
  whenFull: fc.constantFrom('Reject', 'Queue'),
  queueTimeoutSeconds: seconds(10, 30),
  startTimeoutSeconds: seconds(10, 20),
  nodeLostAfterSeconds: seconds(10, 30, 0),
  terminationGracePeriodSeconds: seconds(2, 5, 1),
  retention: fc.record({
    pods: fc.record({ seconds: seconds(10, 30, 0), count: fc.constantFrom(10, 1) }),
    sessions: fc.record({ seconds: seconds(10, 30), count: fc.constantFrom(10, 1) }),
  }),
});

/** Network latencies; the first of each list is the least interesting one, to which a counterexample shrinks. */
const latencies = fc.array(fc.tuple(ms(2, 1, 20, 200, 1_500), ms(2, 1, 20, 200, 1_500)), {
  minLength: 1,
  maxLength: 6,
});

export const setting: fc.Arbitrary<Setting> = fc.record({
  seed: fc.nat(1_000),
  agent: agentChoice,
  latencies,
  replicaSkewsMs: fc.constantFrom([0], [0, 1_500], [0, -1_500]),
  kubelet: fc.record({ lagMs: ms(50, 1, 800), skewMs: ms(0, 2_000, -2_000), endsInTwoSteps: fc.boolean() }),
  schedulingMs: ms(20, 1, 1_000),
  collectionMs: ms(200, 1, 3_000),
});

/** A world where nothing is slow and all clocks agree. */
export const calmSetting: fc.Arbitrary<Setting> = fc.record({
  seed: fc.nat(1_000),
  agent: agentChoice,
  latencies: fc.constant([[2, 2] as const]),
  replicaSkewsMs: fc.constant([0]),
  kubelet: fc.record({ lagMs: ms(50, 1, 500), skewMs: fc.constant(0), endsInTwoSteps: fc.boolean() }),
  schedulingMs: ms(20, 1, 300),
  collectionMs: ms(200, 1),
});

/** Those that come late, or whose reply is lost, are the ones to fear. */
const fate: fc.Arbitrary<Fate> = fc.oneof(
  { arbitrary: fc.record({ kind: fc.constant('replyLost' as const) }), weight: 3 },
  { arbitrary: fc.record({ kind: fc.constant('late' as const), afterMs: ms(4_900, 100, 1_000) }), weight: 4 },
  { arbitrary: fc.record({ kind: fc.constant('lost' as const) }), weight: 1 },
  { arbitrary: fc.record({ kind: fc.constant('slow' as const), afterMs: ms(4_900, 1_000) }), weight: 2 },
  { arbitrary: fc.record({ kind: fc.constant('failed' as const) }), weight: 1 },
  {
    arbitrary: fc.record({
      kind: fc.constant('refused' as const),
      because: fc.constantFrom('busy' as const, 'quota' as const),
    }),
    weight: 2,
  },
);

/** The next few requests of one kind go wrong in one way. */
function faults(verb: Verb, plural: string, status?: boolean): fc.Arbitrary<Fault> {
  const kind = { verb, plural, ...(status !== undefined && { status }) };
  return fc.record({ left: fc.integer({ min: 1, max: 4 }), fate }).map((rest) => ({ ...kind, ...rest }));
}

const fault: fc.Arbitrary<Fault> = fc.oneof(
  { arbitrary: faults('create', 'pods'), weight: 4 },
  { arbitrary: faults('patch', 'sessions', true), weight: 3 },
  { arbitrary: faults('patch', 'pods'), weight: 2 },
  { arbitrary: faults('delete', 'pods'), weight: 1 },
  { arbitrary: faults('patch', 'agents', true), weight: 1 },
  {
    arbitrary: fc.record({
      verb: fc.constantFrom('get' as const, 'list' as const),
      left: fc.integer({ min: 1, max: 4 }),
      fate: fc.constant({ kind: 'lost' as const }),
    }),
    weight: 1,
  },
);

const index = fc.nat(7);
const of = fc.constantFrom('leader' as const, 'standby' as const);
const plural = fc.constantFrom('pods', 'sessions', 'agents', 'nodes');
const sinceRenewalMs = ms(0, 1_000, 2_000);

const plainSteps = {
  createSessions: fc.record({ count: fc.constantFrom(1, 2, 3, 5), choice: sessionChoice }),
  createAgain: fc.record({ session: index, choice: sessionChoice }),
  deleteSession: fc.record({
    session: index,
    cascade: fc.constantFrom('Background' as const, 'Foreground' as const, 'Orphan' as const),
  }),
  stopSession: fc.record({ session: index }),
  deleteAgent: fc.record({}),
  createAgent: fc.record({ maxAgents: fc.constantFrom(1, 2) }),
  changeAgent: fc.record(
    {
      maxAgents: fc.constantFrom(1, 0, 2, 4),
      paused: fc.constantFrom(false, false, true),
      whenFull: fc.constantFrom('Reject', 'Queue'),
    },
    { requiredKeys: [] },
  ),
  deletePod: fc.record({ pod: index, gracePeriodSeconds: fc.constantFrom(0, 1) }, { requiredKeys: ['pod'] }),
  disruptPod: fc.record({
    pod: index,
    how: fc.constantFrom('evicted' as const, 'preempted' as const, 'tainted' as const),
  }),
  strikeAgent: fc.record({ pod: index, how: fc.constantFrom('outOfMemory' as const, 'sandboxKilled' as const) }),
  stripFinalizer: fc.record({ pod: index }),
  unlabelPod: fc.record({ pod: index }),
  node: fc.record({
    node: fc.nat(1),
    becomes: fc.constantFrom('silent' as const, 'deaf' as const, 'well' as const, 'gone' as const),
  }),
  scheduling: fc.record({ works: fc.boolean() }),
  images: fc.record({ work: fc.boolean() }),
  crash: fc.record({ sinceRenewalMs }),
  loseLease: fc.record({ sinceRenewalMs }),
  pauseLeader: fc.record({ ms: ms(500, 5_000, 12_000, 25_000), sinceRenewalMs }),
  handOver: fc.record({}),
  fault: fc.record({ fault }),
  lag: fc.record({ of, plural, ms: ms(3_000, 500, 15_000) }),
  breakWatches: fc.record({ of, plural }, { requiredKeys: ['of'] }),
  stallWatches: fc.record({ of, plural }),
  compact: fc.record({}),
};

type Steps = { [Kind in Step['do']]: fc.Arbitrary<Omit<Extract<Step, { do: Kind }>, 'do'>> };

const steps: Steps = { ...plainSteps, ...httpSteps(plainSteps) };

/** Time between steps: often none, or so little that requests are under way; sometimes enough for a limit to pass. */
const gap = fc.oneof(
  { arbitrary: ms(0, 1, 3, 30), weight: 6 },
  { arbitrary: ms(300, 1_000, 3_000), weight: 5 },
  { arbitrary: ms(6_000, 15_000, 40_000), weight: 1 },
);

/** Stories with steps of these kinds. */
export function scenario(settings: fc.Arbitrary<Setting>, weights: Weights, maxLength = 16): fc.Arbitrary<Scenario> {
  const kinds = Object.entries(weights) as [Step['do'], number][];
  return scenarioOf(
    settings,
    fc.oneof(...kinds.map(([kind, weight]) => ({ weight, arbitrary: stepOf(kind) }))),
    maxLength,
  );
}

/** Stories in which creations are carried out so late that nobody counts on them any more. Traces stay for longer than that. */
export function tooLateScenario(): fc.Arbitrary<Scenario> {
  const retention = { pods: { seconds: 30, count: 10 }, sessions: { seconds: 30, count: 10 } };
  const settings = setting.map((some) => ({ ...some, agent: { ...some.agent, retention } }));
  const tooLate = fc.record({ left: fc.integer({ min: 1, max: 3 }), afterMs: ms(7_000, 9_000, 12_000) });
  const step = fc.oneof<fc.MaybeWeightedArbitrary<Step>[]>(
    {
      weight: 4,
      arbitrary: fc.record({ count: fc.constantFrom(1, 2), workload }).map(({ count, workload: does }) => ({
        do: 'createSessions',
        count,
        choice: { workload: does, maxSessionDuration: 30, overRest: false },
      })),
    },
    {
      weight: 4,
      arbitrary: tooLate.map(({ left, afterMs }) => ({
        do: 'fault',
        fault: { verb: 'create', plural: 'pods', left, fate: { kind: 'tooLate', afterMs } },
      })),
    },
    ...(['crash', 'loseLease', 'handOver'] as const).map((kind) => ({ weight: 1, arbitrary: stepOf(kind) })),
  );
  return scenarioOf(settings, step, 10);
}

function scenarioOf(
  settings: fc.Arbitrary<Setting>,
  step: fc.Arbitrary<Step>,
  maxLength: number,
): fc.Arbitrary<Scenario> {
  const timed: fc.Arbitrary<TimedStep> = fc.record({ after: gap, step });
  return fc.record({ setting: settings, steps: fc.array(timed, { minLength: 2, maxLength, size: 'max' }) });
}

function stepOf(kind: Step['do']): fc.Arbitrary<Step> {
  return (steps[kind] as fc.Arbitrary<object>).map((rest) => ({ do: kind, ...rest }) as Step);
}
