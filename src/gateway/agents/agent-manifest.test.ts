import { describe, expect, it } from 'vitest';
import type { Agent, AgentSpecInput } from '../../api/agent.ts';
import { annotations } from '../../api/names.ts';
import { makeAgent } from '../../api/testing/objects.ts';
import { agentManifest, FIELD_MANAGER, type AgentManifest } from './agent-manifest.ts';
import { agentUpdate, type AgentSettings } from './agent-settings.ts';

const WHERE = { namespace: 'team-a', name: 'echo' };
const NOW = Date.parse('2026-01-01T12:00:00Z');

/** An Agent as a server returns it after this was applied, and somebody else has applied the rest. */
function applied({ metadata, spec }: AgentManifest, others: Partial<AgentSpecInput> = {}): Agent {
  const fields = { 'f:metadata': { 'f:annotations': fieldsOf(metadata.annotations ?? {}) }, 'f:spec': fieldsOf(spec) };
  const managedFields = [{ manager: FIELD_MANAGER, operation: 'Apply', fieldsV1: fields }];
  return makeAgent({ ...others, ...spec }, { ...metadata, managedFields } as Partial<Agent['metadata']>);
}

/** As the server has them: lists are owned as a whole. */
function fieldsOf(value: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([key, inner]: [string, unknown]) => [
        `f:${key}`,
        typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? fieldsOf(inner) : {},
      ]),
  );
}

/** What is applied when these are asked for one after the other. */
function applyAll(...requests: AgentSettings[]): AgentManifest {
  let live: Agent | undefined;
  let manifest: AgentManifest | undefined;
  for (const request of requests) {
    manifest = agentManifest(live, WHERE, agentUpdate.parse(request), NOW);
    live = applied(manifest);
  }
  if (manifest === undefined) throw new Error('nothing was asked for');
  return manifest;
}

const NEW = { image: 'example/echo:1' };
const resourcesOf = ({ spec }: AgentManifest): unknown =>
  (spec.podTemplate?.spec?.['containers'] as { resources: { limits: unknown } }[] | undefined)?.[0]?.resources.limits;

describe('what is applied', () => {
  it('keeps what a request leaves out', () => {
    const all = {
      ...NEW,
      secretSet: 'set',
      imagePullSecretSet: 'pull',
      agentProfile: 'agent-2x',
      maxSessionDuration: 300,
      architecture: 'arm64',
      autoScaling: { minAgents: 1, maxAgents: 5 },
      krispViva: { audioFilter: 'tel' },
      websocketAuth: 'none',
      forceRedeploy: true,
    } as const;
    const whole = applyAll(all);
    expect(whole.metadata.annotations).toEqual({
      [annotations.redeploy]: '2026-01-01T12:00:00.000Z',
      [annotations.krispAudioFilter]: 'tel',
      [annotations.webSocketAuth]: 'none',
    });
    expect(applyAll(all, {})).toEqual(whole);
    expect(applyAll(all, { autoScaling: { minAgents: 0 }, krispViva: {}, websocketAuth: null }).spec.scaling).toEqual({
      minAgents: 0,
      maxAgents: 5,
    });
  });

  it('leaves alone what others have put beside it', () => {
    const live = applied(applyAll({ ...NEW, architecture: 'arm64' }), {
      env: [{ name: 'A', value: '1' }],
    });
    (live.spec.podTemplate?.spec as Record<string, unknown>)['nodeSelector'] = {
      'kubernetes.io/arch': 'arm64',
      pool: 'calls',
    };
    const { spec } = agentManifest(live, WHERE, agentUpdate.parse({ maxSessionDuration: 60 }), NOW);
    expect(spec.podTemplate?.spec?.['nodeSelector']).toEqual({ 'kubernetes.io/arch': 'arm64' });
    expect(spec.env).toBeUndefined();
  });

  it('has no audio filter any more when that is null', () => {
    const { metadata } = applyAll({ ...NEW, krispViva: { audioFilter: 'pro' } }, { krispViva: { audioFilter: null } });
    expect(metadata.annotations).toBeUndefined();
  });

  it('takes the node type of old for an architecture', () => {
    const { spec } = applyAll({ ...NEW, nodeType: 'arm' });
    expect(spec.podTemplate?.spec?.['nodeSelector']).toEqual({ 'kubernetes.io/arch': 'arm64' });
  });

  it('has resources that are complete: those of the profile, and of earlier requests, with what is new', () => {
    expect(resourcesOf(applyAll({ ...NEW, agentProfile: 'agent-2x', resources: { cpu: '3' } }))).toEqual({
      cpu: '3',
      memory: '2Gi',
    });
    expect(resourcesOf(applyAll({ ...NEW, resources: { cpu: '3' } }, { resources: { memory: '9Gi' } }))).toEqual({
      cpu: '3',
      memory: '9Gi',
    });
  });

  it('has resources until the profile is another', () => {
    const set = { ...NEW, agentProfile: 'agent-1x', resources: { cpu: '3', memory: '9Gi' } } as const;
    expect(resourcesOf(applyAll(set, { agentProfile: 'agent-1x' }))).toEqual({ cpu: '3', memory: '9Gi' });
    const other = applyAll(set, { agentProfile: 'agent-3x' });
    expect(other.spec.profile).toBe('agent-3x');
    expect(other.spec.podTemplate).toBeUndefined();
  });

  it.each([
    [{}, 'an image is required'],
    [{ buildId: 'b' }, 'Build not found'],
    [{ ...NEW, buildId: 'b' }, 'Cannot specify both image and buildId'],
    [{ git: { repoFullName: 'a/b' } }, 'builds no images'],
    [{ ...NEW, region: 'us-west' }, 'this cluster is the region "default"'],
    [{ ...NEW, nodeType: 'arm', architecture: 'amd64' }, 'contradicts'],
    [{ ...NEW, enableIntegratedKeysProxy: true }, 'enableIntegratedKeysProxy'],
    [{ ...NEW, enableManagedKeys: true }, 'enableManagedKeys'],
  ])('is nothing where %j is asked for', (given, text) => {
    expect(() => agentManifest(undefined, WHERE, agentUpdate.parse(given), NOW)).toThrow(text);
  });
});
