import { describe, expect, it } from 'vitest';
import { agentSpec, type Agent, type AgentSpecInput } from '../../api/agent.ts';
import { apiVersion } from '../../api/names.ts';
import type { ControllerRevision } from '../../kube/objects.ts';
import { newRecord } from '../../pods/revision-record.ts';
import { deploymentId } from './deployment-id.ts';
import { deploymentsOf, type Deployment } from './deployment-view.ts';

const at = (minute: number): string => `2030-01-01T00:${String(minute).padStart(2, '0')}:00Z`;

function agentOf(spec: Partial<AgentSpecInput>, status: Agent['status'] = {}): Agent {
  const metadata = { name: 'echo', namespace: 'acme', uid: 'u-1', resourceVersion: '1', creationTimestamp: at(0) };
  return {
    apiVersion,
    kind: 'Agent',
    metadata: { ...metadata, generation: 4 },
    spec: { image: 'now:1', ...spec },
    status: { observedGeneration: 4, ...status },
  };
}

const agent = agentOf({}, { revision: 'now' });

/** A record as the API server has it, made in this minute and written last in that. */
function record(
  revision: string,
  number: number,
  given: { made?: number; written?: number; of?: Agent } = {},
): ControllerRevision {
  const { made = number, written = made, of = agent } = given;
  const spec = agentSpec.parse({ ...of.spec, image: `${revision}:1` });
  const { metadata, ...rest } = newRecord(of, { spec, revision, number });
  const managedFields = [made, written].map((minute) => ({ manager: 'bullpen', time: at(minute) }));
  const stored = { uid: `r-${revision}`, resourceVersion: '1', creationTimestamp: at(made), managedFields };
  return { ...rest, metadata: { ...metadata, name: metadata.name ?? '', ...stored } };
}

const images = (deployments: readonly Deployment[]): string[] => deployments.map(({ manifest }) => manifest.spec.image);
const idOf = (revision: string): string => deploymentId('acme', 'echo', revision);

describe('the deployments of an agent', () => {
  it('are what is on record, the newest first', () => {
    const found = deploymentsOf(agent, [record('a', 1), record('now', 3), record('b', 2)]);
    expect(found.map(({ id }) => id)).toEqual(['now', 'b', 'a'].map(idOf));
    expect(images(found)).toEqual(['now:1', 'b:1', 'a:1']);
    expect(found[1]).toMatchObject({ serviceId: 'u-1', createdAt: at(2), updatedAt: at(2) });
  });

  it('begin with the present one, which nobody may have recorded yet', () => {
    expect(images(deploymentsOf(agent, []))).toEqual(['now:1']);
    expect(images(deploymentsOf(agent, [record('a', 1)]))).toEqual(['now:1', 'a:1']);
    const unseen = { ...agent, metadata: { ...agent.metadata, generation: 5 } };
    expect(images(deploymentsOf(unseen, [record('a', 1)]))).toEqual(['now:1', 'a:1']);
  });

  it('have the present one once, also while its record is not the newest again', () => {
    const found = deploymentsOf(agent, [record('now', 1), record('b', 2)]);
    expect(images(found)).toEqual(['now:1', 'b:1']);
  });

  it('say when each was deployed first, and when last', () => {
    const [present] = deploymentsOf(agent, [record('now', 3, { made: 1, written: 9 })]);
    expect(present).toMatchObject({ createdAt: at(1), updatedAt: at(9) });
  });

  it('say what each had of secrets, with the present limits', () => {
    const podTemplate = { spec: { imagePullSecrets: [{ name: 'registry' }] } };
    const before = agentOf({ secretSet: 'keys', podTemplate, maxSessionDuration: 60 });
    const now = agentOf({ maxSessionDuration: 120 }, { revision: 'now' });
    const [present, old] = deploymentsOf(now, [record('before', 1, { of: before })]);
    expect(present?.manifest.spec).not.toHaveProperty('envFromSecretNames');
    expect(old?.manifest.spec).toMatchObject({
      image: 'before:1',
      imagePullSecretName: 'registry',
      envFromSecretNames: ['keys'],
      maxSessionDurationSeconds: 120,
    });
  });

  it('are not those of an Agent before it, nor what only has its labels', () => {
    const before = { ...agent, metadata: { ...agent.metadata, uid: 'u-0' } };
    const { data: _data, ...foreign } = record('foreign', 3);
    expect(images(deploymentsOf(agent, [record('before', 9, { of: before }), foreign]))).toEqual(['now:1']);
  });
});
