import type { SessionSpec } from '../../src/api/session.ts';
import type { Fault } from './network.ts';
import type { Workload } from './kubelet.ts';
import type { Moment } from './telling.ts';

/** One story: how the world is set up, and what happens in it. Plain data, so that it shrinks and prints well. */
export interface Scenario {
  setting: Setting;
  steps: TimedStep[];
}

export interface Setting {
  /** For the jitter of the controllers. */
  seed: number;
  agent: AgentChoice;
  /** To the API server and back, milliseconds, used in turn by each replica. */
  latencies: (readonly [there: number, back: number])[];
  /** Wall clocks of the replicas, ahead of the world's. */
  replicaSkewsMs: number[];
  kubelet: { lagMs: number; skewMs: number; endsInTwoSteps: boolean };
  schedulingMs: number;
  collectionMs: number;
  /** Pods of protocol Http. */
  http?: {
    /** By turns, from the start of an agent's container to its readiness. */
    bootMs: number[];
    startMs: { agent: number; supervisor: number };
    /** By turns, whether an agent dies at the end of its session rather than answer. */
    crashes: boolean[];
  };
}

/** What differs between Agents here. Times are seconds. */
export interface AgentChoice {
  maxAgents: number;
  whenFull: 'Reject' | 'Queue';
  queueTimeoutSeconds: number;
  startTimeoutSeconds: number;
  nodeLostAfterSeconds: number;
  terminationGracePeriodSeconds: number;
  retention: { pods: { seconds: number; count: number }; sessions: { seconds: number; count: number } };
  /** Process, when left out. */
  protocol?: 'Http' | 'Process';
  pool?: Pool;
}

/** How many pods of an Agent wait for Sessions. */
export interface Pool {
  minAgents: number;
  buffer: { percent: number; count: number };
  cooldownSeconds: number;
}

export interface SessionChoice {
  workload: Workload;
  maxSessionDuration: number;
  ttlSecondsAfterFinished?: SessionSpec['ttlSecondsAfterFinished'];
  /** From its creation. */
  startBeforeSeconds?: number;
  overRest: boolean;
}

export interface TimedStep {
  /** Milliseconds after the step before. */
  after: number;
  step: Step;
}

/** Sessions, pods and nodes are meant by number, modulo how many there are; a step that fits nothing does nothing. */
export type Step =
  | { do: 'createSessions'; count: number; choice: SessionChoice }
  | { do: 'createAgain'; session: number; choice: SessionChoice }
  | { do: 'deleteSession'; session: number; cascade: 'Background' | 'Foreground' | 'Orphan' }
  | { do: 'stopSession'; session: number }
  | { do: 'deleteAgent' }
  | { do: 'createAgent'; maxAgents: number }
  | { do: 'changeAgent'; maxAgents?: number; paused?: boolean; whenFull?: 'Reject' | 'Queue' }
  | { do: 'deletePod'; pod: number; gracePeriodSeconds?: number }
  | { do: 'disruptPod'; pod: number; how: 'evicted' | 'preempted' | 'tainted' }
  | { do: 'strikeAgent'; pod: number; how: 'outOfMemory' | 'sandboxKilled' }
  | { do: 'stripFinalizer'; pod: number }
  | { do: 'unlabelPod'; pod: number }
  | { do: 'node'; node: number; becomes: 'silent' | 'deaf' | 'well' | 'gone' }
  | { do: 'scheduling'; works: boolean }
  | { do: 'images'; work: boolean }
  | { do: 'crash'; sinceRenewalMs: number }
  | { do: 'loseLease'; sinceRenewalMs: number }
  | { do: 'pauseLeader'; ms: number; sinceRenewalMs: number }
  | { do: 'handOver' }
  | { do: 'fault'; fault: Fault }
  | { do: 'lag'; of: 'leader' | 'standby'; plural: string; ms: number }
  | { do: 'breakWatches'; of: 'leader' | 'standby'; plural?: string }
  | { do: 'stallWatches'; of: 'leader' | 'standby'; plural: string }
  | { do: 'compact' }
  | HttpStep;

/** What matters with protocol Http. */
export type HttpStep =
  | { do: 'changePool'; pool: Partial<Pool> }
  | { do: 'changePods'; image?: string; protocol?: 'Http' | 'Process' }
  | { do: 'strikeServer'; pod: number; how: 'supervisorKilled' | 'agentCrashed' }
  | { do: 'cordon'; node: number; on: boolean }
  | { do: 'cutNode'; node: number; forMs: number }
  | { do: 'agents'; boot: boolean }
  /** The next requests to supervisors meet this fate. */
  | { do: 'callFault'; fault: Fault }
  /** Trouble at the next moment of this kind. */
  | { do: 'when'; moment: Moment; then: Trouble };

export type Trouble = Extract<
  Step,
  | {
      do:
        | 'crash'
        | 'loseLease'
        | 'pauseLeader'
        | 'handOver'
        | 'deletePod'
        | 'disruptPod'
        | 'strikeServer'
        | 'deleteAgent';
    }
  | { do: 'stopSession' | 'cutNode' | 'node' | 'callFault' }
>;

/** How stale a cache may be in a scenario, and how long what was decided on it may be under way. Milliseconds. */
export function longestBlindness({ setting, steps }: Scenario): number {
  const latencies = setting.latencies.flat();
  const lags = steps.map(({ step }) => (step.do === 'lag' ? step.ms : step.do === 'pauseLeader' ? step.ms : 0));
  const isStalled = steps.some(({ step }) => step.do === 'stallWatches');
  const isBroken = steps.some(({ step }) => step.do === 'breakWatches' || step.do === 'compact');
  // The reflector notices a dead watch after 150 s, and waits up to 30 s after failures.
  return Math.max(0, ...latencies, ...lags) + (isStalled ? 180_000 : isBroken ? 35_000 : 0) + 20_000;
}
