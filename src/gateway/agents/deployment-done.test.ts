import { describe, expect, it } from 'vitest';
import { agentSpec, type Agent, type AgentStatus } from '../../api/agent.ts';
import { annotations } from '../../api/names.ts';
import { redeployMark } from '../../pods/revision.ts';
import { viewDetails } from './agent-view.ts';

const T = '2026-01-01T00:00:00Z';
const NOW = Date.parse(T) + 3_600_000;

/** An Agent whose present spec the controller has seen, unless its status says otherwise. */
function agent(minAgents: number, status: AgentStatus = {}): Agent {
  const ready = { type: 'Ready', status: 'True', reason: 'Ready', message: '', lastTransitionTime: T } as const;
  return {
    apiVersion: 'bullpen.dev/v1alpha1',
    kind: 'Agent',
    metadata: { name: 'echo', namespace: 'calls', uid: 'u', resourceVersion: '1', generation: 2, creationTimestamp: T },
    spec: agentSpec.parse({ image: 'i', scaling: { minAgents } }),
    status: { observedGeneration: 2, revision: 'new', conditions: [ready], ...status },
  };
}

/** What the official command line and the deploy action wait for. */
function isDone(of: Agent): { cli: boolean; action: boolean } {
  const { available, ready, activeDeploymentReady, desiredDeploymentId, reconciledDeploymentId } = viewDetails(
    of,
    0,
    NOW,
  );
  const isJudged = desiredDeploymentId === reconciledDeploymentId;
  return {
    cli: available && (ready || activeDeploymentReady) && isJudged,
    action: (available || ready) && activeDeploymentReady,
  };
}

describe('a deployment', () => {
  it('is not done before the controller has seen it', () => {
    expect(isDone(agent(0, { observedGeneration: 1 }))).toEqual({ cli: false, action: false });
  });

  it('that is only asked for again is not done before the controller has seen that either', () => {
    const again = agent(0);
    const asked = { ...again, metadata: { ...again.metadata, annotations: { [annotations.redeploy]: 'now' } } };
    expect(isDone(asked)).toEqual({ cli: false, action: false });
    expect(viewDetails(asked, 0, NOW).desiredDeploymentId).not.toBe(viewDetails(again, 0, NOW).desiredDeploymentId);
    const observedRedeploy = redeployMark(asked.metadata);
    const seen = { ...asked, status: { ...asked.status, observedRedeploy, revision: 'newer' } };
    expect(isDone(seen)).toEqual({ cli: true, action: true });
  });

  it('is done when it is seen, where no pod is to wait', () => {
    expect(isDone(agent(0))).toEqual({ cli: true, action: true });
  });

  it.each([[undefined], ['old']])(
    'is done when a pod of it is ready, where pods are to wait (before that: %s)',
    (before) => {
      const waits = before === undefined ? {} : { lastReadyRevision: before };
      expect(isDone(agent(1, waits))).toEqual({ cli: false, action: false });
      expect(isDone(agent(1, { lastReadyRevision: 'new' }))).toEqual({ cli: true, action: true });
      // Meanwhile sessions can be started.
      expect(viewDetails(agent(1, waits), 0, NOW)).toMatchObject({ ready: true, available: true });
    },
  );

  it('is not failed for what was wrong before it', () => {
    const message = 'a warm pod: ErrImagePull';
    const ready = {
      type: 'Ready',
      status: 'False',
      reason: 'ImagePullFailed',
      message,
      lastTransitionTime: T,
    } as const;
    const errors = [{ code: 'PCC_IMAGE_NOT_FOUND', message }];
    expect(viewDetails(agent(1, { conditions: [ready] }), 0, NOW)).toMatchObject({ errors });
    expect(viewDetails(agent(1, { conditions: [ready], observedGeneration: 1 }), 0, NOW)).not.toHaveProperty('errors');
  });

  it('is not failed for what may have passed in a moment, but for what nothing will mend it is at once', () => {
    const errorsAfter = (reason: string, ms: number) => {
      const ready = { type: 'Ready', status: 'False', reason, message: 'no', lastTransitionTime: T } as const;
      return viewDetails(agent(1, { conditions: [ready] }), 0, Date.parse(T) + ms).errors?.map(({ code }) => code);
    };
    for (const reason of ['ImagePullFailed', 'ContainerConfigError']) {
      expect(errorsAfter(reason, 29_000)).toBeUndefined();
      expect(errorsAfter(reason, 31_000)).toHaveLength(1);
    }
    expect(errorsAfter('InvalidSpec', 0)).toEqual(['PCC_INVALID_SPEC']);
    expect(errorsAfter('CrashLoopBackOff', 0)).toEqual(['PCC_CRASH_LOOP']);
  });
});
