import type { Pod } from '../kube/objects.ts';
import { isBeingDeleted, isSlow, lastLine, waitCause } from '../pods/pod-facts.ts';
import { boundAgentExit, sessionRecord, supervisorTerminated } from '../pods/session-record.ts';
import type { TerminationMessage } from '../supervisor/wire.ts';
import { disruptionOf, neverStarted, type Intent, type Outcome } from './session-outcome.ts';

/**
 * How a session of protocol Http ended whose pod is terminal, or whose supervisor has terminated: by the supervisor's record, where
 * that tells what the agent did. What it could not know is who stopped it, or what stopped itself.
 */
export function httpOutcome(pod: Pod, intent: Intent | undefined): Outcome {
  const record = sessionRecord(pod);
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
      return brokenOutcome(pod, record, intent);
    case 'NeverReady':
      return intent ?? neverReadyOutcome(pod, record);
    case 'Stopped':
    case undefined:
      return intent ?? disturbedOutcome(pod, record);
  }
}

/** The connection broke: by how the agent's container ended that had the session, and not one that was started after it. */
function brokenOutcome(pod: Pod, record: TerminationMessage, intent: Intent | undefined): Outcome {
  const exit = boundAgentExit(pod, record);
  // The kubelet forgets it when it has started the agent twice since; what was noted then stands.
  if (exit === undefined)
    return intent ?? { reason: 'Failed', message: `the agent broke off the connection${detail(record)}` };
  const { exitCode } = exit;
  if (exit.reason === 'OOMKilled')
    return { reason: 'OutOfMemory', message: 'the agent used more memory than its limit', exitCode };
  return { reason: 'Failed', message: `the agent exited with code ${exitCode}${lastLine(exit.message)}`, exitCode };
}

function detail({ message }: TerminationMessage): string {
  return message === undefined ? '' : `: ${message}`;
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
