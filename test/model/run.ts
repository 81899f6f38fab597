import { Actor } from './act.ts';
import { Invariants } from './invariants.ts';
import { isFinished } from '../../src/api/session-phase.ts';
import {
  checkAllEnded,
  checkIdle,
  checkNothingLeft,
  checkNoStorms,
  checkPool,
  checkUsage,
  isPoolFull,
} from './quiescence.ts';
import { longestBlindness, type Scenario } from './scenario.ts';
import { trace } from './trace.ts';
import { World } from './world.ts';

/** What can be measured in a run. */
export interface RunReport {
  world: World;
  commits: number;
}

/**
 * Runs a story to its end, and on until nothing is left to do. Rejects with a `Violation` when an invariant does not hold; its
 * message ends with the last things that happened.
 */
export async function runScenario(scenario: Scenario): Promise<RunReport> {
  const world = new World(scenario.setting);
  const actor = new Actor(world, scenario);
  new Invariants(world, longestBlindness(scenario));
  const events = trace(world);
  try {
    actor.createAgent(scenario.setting.agent.maxAgents);
    await world.advance(1_000);
    for (const { after, step } of scenario.steps) {
      await world.advance(after);
      events.push(`${events.time()} --- ${JSON.stringify(step)}`);
      actor.act(step);
    }
    await settle(world, actor, scenario);

    return { world, commits: events.count };
  } catch (error) {
    if (error instanceof Error) error.message += `\n\nWhat happened last:\n${events.tail(80)}`;
    throw error;
  } finally {
    world.end();
  }
}

async function settle(world: World, actor: Actor, scenario: Scenario): Promise<void> {
  const { agent } = scenario.setting;
  actor.heal({ nodes: false });
  await world.advance(25_000 + longestBlindness(scenario)); // a leader is found, and has learnt everything
  await advanceUntil(world, longestLife(scenario), () => world.sessions().every(isFinished));
  checkAllEnded(world);
  actor.heal({ nodes: true });
  await world.advance(
    30_000 + Math.max(agent.retention.pods.seconds, agent.retention.sessions.seconds) * 1000 + 60_000,
  );
  checkNothingLeft(world);
  checkUsage(world);
  checkNoStorms(world);
  await advanceUntil(world, LONGEST_BACKOFF_MS, () => isPoolFull(world));
  checkPool(world);
  await checkIdle(world);
}

/** A pool whose pods have ended again and again is filled up this much later at most. */
const LONGEST_BACKOFF_MS = 600_000;

/** How long a Session may live, from when everything works again: each of its limits, and what kubelet and controller get on top. */
function longestLife({ setting: { agent }, steps }: Scenario): number {
  const durations = steps.map(({ step }) => ('choice' in step ? step.choice.maxSessionDuration : 0));
  const slack = 60;
  return (
    1000 *
    (agent.queueTimeoutSeconds +
      agent.startTimeoutSeconds +
      Math.max(0, ...durations) +
      2 * (agent.terminationGracePeriodSeconds + slack) +
      agent.nodeLostAfterSeconds +
      20)
  );
}

async function advanceUntil(world: World, ms: number, done: () => boolean): Promise<void> {
  for (let passed = 0; passed < ms && !done(); passed += 5_000) await world.advance(5_000);
}
