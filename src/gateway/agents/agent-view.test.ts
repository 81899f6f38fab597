import { describe, expect, it } from 'vitest';
import type { AgentStatus } from '../../api/agent.ts';
import { annotations } from '../../api/names.ts';
import { makeAgent } from '../../api/testing/objects.ts';
import { agentDetails, viewDetails } from './agent-view.ts';
import { deploymentId } from './deployment-id.ts';

const SINCE = '2026-01-01T11:30:00.000Z';
const id = (revision: string): string => deploymentId('team-a', 'echo', revision);

function status(ready: 'True' | 'False', reason: string, more: Partial<AgentStatus> = {}): AgentStatus {
  const condition = (type: string, is: 'True' | 'False') => ({
    type,
    status: is,
    reason,
    message: `because of ${reason}`,
    lastTransitionTime: SINCE,
  });
  return {
    observedGeneration: 1,
    revision: 'r2',
    warm: 2,
    conditions: [
      condition('Ready', ready),
      condition('Reconciling', 'False'),
      condition('Stalled', ready === 'True' ? 'False' : 'True'),
    ],
    ...more,
  };
}

const view = (agent: ReturnType<typeof makeAgent>) =>
  agentDetails.parse(viewDetails(agent, 3, Date.parse(SINCE) + 60_000));

describe('an agent as the REST API shows it', () => {
  it('says what one session has: what its profile gives, or what was set instead', () => {
    expect(view(makeAgent({ profile: 'agent-2x' }))).toMatchObject({
      agentProfile: 'agent-2x',
      resources: { cpu: '1', memory: '2Gi' },
      deployment: { manifest: { spec: { resources: { cpu: '1', memory: '2Gi' } } } },
    });
    const own = { name: 'agent', resources: { limits: { cpu: 2, memory: '3Gi' }, requests: { cpu: 1 } } };
    expect(view(makeAgent({ podTemplate: { spec: { containers: [own] } } })).resources).toEqual({
      cpu: '2',
      memory: '3Gi',
    });
    // Whoever wrote a template may have written anything.
    for (const containers of ['x', [7], [{ name: 'agent', resources: 7 }]])
      expect(view(makeAgent({ podTemplate: { spec: { containers } } })).resources).toEqual({
        cpu: '500m',
        memory: '1Gi',
      });
  });

  it('has what it was told and no pod is made of', () => {
    const notes = { [annotations.krispAudioFilter]: 'tel', [annotations.webSocketAuth]: 'none' };
    expect(view(makeAgent({}, { annotations: notes }))).toMatchObject({
      krispViva: { audioFilter: 'tel' },
      websocketAuth: 'none',
      deployment: { manifest: { spec: { krispViva: { audioFilters: true } } } },
    });
    const none = view(makeAgent({}, { annotations: { [annotations.krispAudioFilter]: 'loud' } }));
    expect(none.krispViva).toEqual({ audioFilter: null });
    expect(none).not.toHaveProperty('websocketAuth');
  });

  it('says for which nodes it is, and where its secrets come from', () => {
    const spec = {
      nodeSelector: { 'kubernetes.io/arch': 'arm64' },
      imagePullSecrets: [{ name: 'pull' }],
    };
    expect(view(makeAgent({ secretSet: 'set', podTemplate: { spec } })).deployment.manifest.spec).toMatchObject({
      arch: 'arm64',
      imagePullSecretName: 'pull',
      envFromSecretNames: ['set'],
      maxSessionDurationSeconds: 7200,
    });
  });

  it('tells how its revision does, in words that the official command line reads', () => {
    const agent = makeAgent();
    agent.status = status('True', 'Ready');
    const ready = view(agent);
    expect(ready).toMatchObject({
      currentRevision: { deploymentID: id('r2'), phase: 'Active', readyReplicas: 2, phaseStartedAt: SINCE },
      conditions: expect.arrayContaining([
        expect.objectContaining({ type: 'Progressing', status: 'False' }),
        expect.objectContaining({ type: 'Degraded', status: 'False' }),
      ]) as unknown,
    });
    expect(ready).not.toHaveProperty('previousRevision');
    agent.status = status('False', 'ImagePullFailed', { lastReadyRevision: 'r1' });
    expect(view(agent)).toMatchObject({
      errors: [{ code: 'PCC_IMAGE_NOT_FOUND' }],
      currentRevision: {
        deploymentID: id('r2'),
        phase: 'Failed',
        health: { ready: false, reason: 'ImagePullFailed', message: 'because of ImagePullFailed' },
      },
      previousRevision: { deploymentID: id('r1'), phase: 'Active' },
    });
    // The pods that wait are of the revision that serves.
    expect(view(agent).currentRevision).not.toHaveProperty('readyReplicas');
  });
});
