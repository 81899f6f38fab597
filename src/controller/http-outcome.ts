import type { Pod } from '../kube/objects.ts';
import { isBeingDeleted, isSlow, lastLine, waitCause, type Terminated } from '../pods/pod-facts.ts';
import {
  boundAgentExit,
  SAME_END_MS,
  sessionRecord,
  supervisorRan,
  supervisorTerminated,
} from '../pods/session-record.ts';
import type { TerminationMessage } from '../supervisor/wire.ts';
import type { Delivery } from './session-facts.ts';
import { disruptionOf, neverStarted, type Intent, type Outcome } from './session-outcome.ts';

/**
 * How a session of protocol Http ended whose pod is terminal, or whose supervisor has terminated: by the supervisor's record, where
 * that tells what the agent did. What it could not know is who stopped it, or what stopped itself.
 */
export function httpOutcome(pod: Pod, decided: Intent | undefined, delivery?: Delivery): Outcome {
  const record = sessionRecord(pod);
  const intent = decided && unlessTold(decided, wasTold(pod, record), delivery);
  switch (record?.outcome) {
    case 'Completed':
      return { reason: 'Completed', message: '' };
    case 'AgentError':
      return {
        reason: 'Failed',
        message: record.message ?? `the agent answered POST /bot with status ${record.httpStatus ?? '?'}`,
      };
    case 'DeadlineExceeded':
      return { reason: 'DeadlineExceeded', message: 'the session reached its maximum duration' };
    case 'ConnectionBroken':
      // Its agent was told, so it did not start too late.
      return brokenOutcome(pod, record, decided?.reason === 'StartTimeout' ? undefined : decided);
    case 'NeverReady':
      return intent ?? neverReadyOutcome(pod, record);
    case 'Stopped':
    case undefined:
      return intent ?? disturbedOutcome(pod, record);
  }
}

/**
 * A session was to end because it had not begun in time. That it had not is known only where the agent was surely told nothing; in any
 * doubt it is lost.
 *
 * @param told whether its agent was told, as far as the pod shows
 */
export function unlessTold(intent: Intent, told: boolean | undefined, delivery: Delivery | undefined): Intent {
  if (intent.reason !== 'StartTimeout' || told === false) return intent;
  if (told === undefined && delivery?.sent === false) return intent;
  const why = told === true ? 'the agent was told, but' : 'it is not known whether the agent was told:';
  return { reason: 'Lost', message: `${why} ${intent.message}` };
}

/** Whether the agent was told; undefined when nobody knows. A pod that was lost with its node may show less than there was. */
function wasTold(pod: Pod, record: TerminationMessage | undefined): boolean | undefined {
  if (record !== undefined) return record.delivered;
  return supervisorRan(pod) || disruptionOf(pod) !== undefined ? undefined : false;
}

/** The connection broke: by how the agent's container ended that had the session, and not one that was started after it. */
function brokenOutcome(pod: Pod, record: TerminationMessage, intent: Intent | undefined): Outcome {
  const exit = boundAgentExit(pod, record);
  // The kubelet forgets it when it has started the agent twice since; what was noted then stands.
  if (exit === undefined) return intent ?? brokenOff(record);
  const { exitCode } = exit;
  if (exit.reason === 'OOMKilled')
    return { reason: 'OutOfMemory', message: 'the agent used more memory than its limit', exitCode };
  if (livedOn(exit, record, intent)) return brokenOff(record);
  return { reason: 'Failed', message: `the agent exited with code ${exitCode}${lastLine(exit.message)}`, exitCode };
}

/**
 * Whether an agent whose connection broke ended only because it was told to, as all agents are after their session: long after the
 * break, or after it had been noted that the agent still ran.
 */
function livedOn(exit: Terminated, record: TerminationMessage, intent: Intent | undefined): boolean {
  const noted = intent?.reason === 'Failed' && intent.exitCode === undefined;
  return noted || Date.parse(exit.finishedAt ?? '') > record.endedAt + SAME_END_MS;
}

function brokenOff({ message }: TerminationMessage): Outcome {
  return {
    reason: 'Failed',
    message: `the agent broke off the connection${message === undefined ? '' : `: ${message}`}`,
  };
}

function neverReadyOutcome(pod: Pod, record: TerminationMessage): Outcome {
  const cause = waitCause(pod);
  const more = cause === undefined || isSlow(cause) ? undefined : cause.message;
  const why = [record.message, more].filter((text) => text !== undefined).join(': ');
  return { reason: 'StartTimeout', message: why === '' ? 'the agent was not ready in time' : why };
}

/** Ended, and not by a decision of ours. */
function disturbedOutcome(pod: Pod, record: TerminationMessage | undefined): Outcome {
  const lost = (message: string): Outcome => ({ reason: 'Lost', message });
  const disruption = disruptionOf(pod);
  if (disruption !== undefined) return lost(disruption);
  if (pod.status?.reason === 'DeadlineExceeded')
    return record?.delivered === false
      ? { reason: 'StartTimeout', message: 'the agent was not told in time' }
      : { reason: 'DeadlineExceeded', message: 'the session reached its maximum duration' };
  const exit = supervisorTerminated(pod);
  if (exit === undefined) return neverStarted(pod);
  if (isBeingDeleted(pod)) return lost('the pod was deleted');
  if (record !== undefined) return lost('the node ended the pod');
  return lost(`the supervisor died (${exit.reason === 'OOMKilled' ? 'out of memory' : `exit code ${exit.exitCode}`})`);
}
