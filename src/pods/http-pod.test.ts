import { describe, expect, it } from 'vitest';
import { agentSpec, type AgentSpecInput } from '../api/agent.ts';
import type { PublicKeys } from '../supervisor/wire.ts';
import { readBinding, sessionUidOf, type Binding } from './binding.ts';
import { buildHttpPod, guardSeconds } from './http-pod.ts';
import { sessionPodName } from './names.ts';
import { STRICT_POLICY } from './policy.ts';
import { isHttp } from './session-record.ts';
import { checkTemplate } from './template-checks.ts';
import { kidsOfPod } from './trusted-keys.ts';

const binding: Binding = {
  agent: 'echo',
  session: { name: 'call', uid: 'uid-1' },
  admittedAt: '2026-01-01T00:00:00.123Z',
  attempt: 1,
  startKind: 'Cold',
  limits: {
    maxSessionDuration: 600,
    startTimeoutSeconds: 120,
    nodeLostAfterSeconds: 300,
    terminationGracePeriodSeconds: 10,
  },
};

const key = (kid: string) => ({ kid, kty: 'OKP' as const, crv: 'Ed25519' as const, x: 'public' });
const publicKeys: PublicKeys = { controller: [key('c2'), key('c1')], gateway: [key('g1')] };
const supervisor = {
  image: 'bullpen:1',
  imagePullPolicy: 'IfNotPresent' as const,
  imagePullSecrets: ['platform'],
  resources: { limits: { memory: '64Mi' } },
};

function build(
  input: Partial<AgentSpecInput> = {},
  {
    purpose = { binding },
    runAsNonRoot = false,
  }: { purpose?: { binding: Binding } | { warm: string }; runAsNonRoot?: boolean } = {},
) {
  const spec = agentSpec.parse({ image: 'example/echo:1', ...input });
  const policy = { ...STRICT_POLICY, runAsNonRoot };
  const template = checkTemplate(spec.podTemplate, policy);
  if (!template.ok) throw new Error(template.problems.join());
  const agent = { name: 'echo', uid: 'agent-uid', spec, revision: 'rev' };
  return buildHttpPod({ namespace: 'ns', agent, template: template.spec, purpose, supervisor, publicKeys, policy });
}

type Built = ReturnType<typeof build>;

function containerOf(pod: Built, name: string) {
  const all = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const container = all.find((each) => each.name === name);
  if (container === undefined) throw new Error(`the pod has no container ${name}`);
  return container;
}

/** What a container of the pod is told: of several with one name the last wins. */
function variable(pod: Built, name: string, container = 'agent'): string | undefined {
  return containerOf(pod, container).env?.findLast((entry) => entry.name === name)?.value;
}

describe('a pod of protocol Http', () => {
  it('lives as long as its supervisor: the agent is a sidecar, and so is all else that the user runs', () => {
    const template = {
      containers: [{ name: 'proxy', image: 'p', restartPolicy: 'OnFailure' }],
      initContainers: [{ name: 'prepare', image: 'i' }],
    };
    const { spec } = build({ podTemplate: { spec: template } });
    expect(spec?.restartPolicy).toBe('Never');
    expect(spec?.containers.map(({ name }) => name)).toEqual(['supervisor']);
    expect(spec?.initContainers?.map(({ name, restartPolicy }) => [name, restartPolicy])).toEqual([
      ['prepare', undefined],
      ['proxy', 'Always'],
      ['agent', 'Always'],
    ]);
  });

  it('gives the agent no probe of ours, and the pod is ready when the supervisor says so, every second', () => {
    const pod = build();
    const { readinessProbe, livenessProbe, startupProbe } = containerOf(pod, 'agent');
    expect([readinessProbe, livenessProbe, startupProbe]).toEqual([undefined, undefined, undefined]);
    expect(containerOf(pod, 'supervisor').readinessProbe).toMatchObject({
      httpGet: { path: '/readyz', port: 17412 },
      periodSeconds: 1,
    });
  });

  it('keeps the contract of Pipecat: port, ICE servers and time for a goodbye', () => {
    const pod = build({ port: 9000, terminationGracePeriodSeconds: 45 });
    expect(variable(pod, 'PORT')).toBe('9000');
    expect(variable(pod, 'ICE_CONFIG_URL')).toBe('http://localhost:9090/ice-servers');
    expect(variable(pod, 'SHUTDOWN_TIMEOUT')).toBe('45');
    expect(pod.spec?.terminationGracePeriodSeconds).toBe(45);
  });

  it('lets the user set what is only a default, and not the port', () => {
    const env = [
      { name: 'ICE_CONFIG_URL', value: 'http://elsewhere' },
      { name: 'SHUTDOWN_TIMEOUT', value: '1' },
      { name: 'PORT', value: '1' },
    ];
    const inSpec = build({ env });
    const inTemplate = build({ podTemplate: { spec: { containers: [{ name: 'agent', env }] } } });
    for (const pod of [inSpec, inTemplate]) {
      expect(variable(pod, 'ICE_CONFIG_URL')).toBe('http://elsewhere');
      expect(variable(pod, 'SHUTDOWN_TIMEOUT')).toBe('1');
      expect(variable(pod, 'PORT')).toBe('8080');
    }
  });

  it('tells the supervisor the port of the agent, which pod it is in, and public keys only', () => {
    const pod = build({ port: 9000 });
    expect(variable(pod, 'BULLPEN_AGENT_PORT', 'supervisor')).toBe('9000');
    expect(JSON.parse(variable(pod, 'BULLPEN_PUBLIC_KEYS', 'supervisor') ?? '')).toEqual(publicKeys);
    expect(containerOf(pod, 'supervisor').env).toContainEqual({
      name: 'BULLPEN_POD_UID',
      valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } },
    });
    expect(containerOf(pod, 'agent').env?.filter(({ name }) => name.startsWith('BULLPEN'))).toEqual([]);
  });

  it('notes which keys it trusts', () => {
    for (const purpose of [{ binding }, { warm: 'echo-x' }])
      expect(kidsOfPod(build({}, { purpose }) as never)).toEqual(['c2', 'c1', 'g1']);
  });

  it('has a supervisor that is restricted, whatever the agent may do', () => {
    const pod = build({ podTemplate: { spec: { securityContext: { runAsUser: 0, runAsNonRoot: false } } } });
    expect(containerOf(pod, 'supervisor').securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      runAsUser: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(containerOf(pod, 'supervisor').resources).toEqual({ limits: { memory: '64Mi' } });
  });

  it('confines the agent and the user’s containers, and gives nobody a token', () => {
    const pod = build({ podTemplate: { spec: { containers: [{ name: 'proxy', image: 'p' }] } } });
    for (const name of ['agent', 'proxy'])
      expect(containerOf(pod, name).securityContext).toEqual({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
      });
    expect(pod.spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(build({}, { runAsNonRoot: true }).spec?.securityContext).toMatchObject({ runAsNonRoot: true });
  });

  it('may pull both images: with the user’s secrets and with ours', () => {
    expect(build().spec?.imagePullSecrets).toEqual([{ name: 'platform' }]);
    const imagePullSecrets = [{ name: 'own' }];
    expect(build({ podTemplate: { spec: { imagePullSecrets } } }).spec?.imagePullSecrets).toEqual([
      { name: 'own' },
      { name: 'platform' },
    ]);
  });

  it('stays on a node that falls silent, and keeps the user’s tolerations', () => {
    const tolerations = [{ key: 'gpu', operator: 'Exists' }];
    expect(build({ podTemplate: { spec: { tolerations } } }).spec?.tolerations?.map((entry) => entry.key)).toEqual([
      'gpu',
      'node.kubernetes.io/not-ready',
      'node.kubernetes.io/unreachable',
    ]);
  });

  it('is known as one by its supervisor', () => {
    expect(isHttp(build() as never)).toBe(true);
    expect(isHttp({ metadata: {}, spec: { containers: [{ name: 'agent' }] } } as never)).toBe(false);
  });
});

describe('a pod that is made for a Session', () => {
  it('has the name of its attempt, records its binding and is held until the end is recorded', () => {
    const { metadata } = build();
    expect(metadata.name).toBe(sessionPodName(binding.session, 1));
    expect(readBinding({ metadata } as never)).toEqual(binding);
    expect(metadata.finalizers).toEqual(['bullpen.dev/session-record']);
    expect(metadata.ownerReferences).toMatchObject([{ kind: 'Session', uid: 'uid-1', controller: true }]);
  });

  it('does not have the body of the Session: only the supervisor is told it', () => {
    expect(JSON.stringify(build())).not.toContain('bullpen.dev/body');
  });

  it('is not to be moved', () => {
    expect(build().metadata.annotations).toMatchObject({
      'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
      'karpenter.sh/do-not-disrupt': 'true',
      'kubectl.kubernetes.io/default-container': 'agent',
    });
  });

  it('has a guard from the first moment, later than any session may last', () => {
    expect(build().spec?.activeDeadlineSeconds).toBe(guardSeconds(binding));
    expect(guardSeconds(binding)).toBeGreaterThan(
      binding.limits.startTimeoutSeconds + binding.limits.maxSessionDuration,
    );
  });
});

describe('a pod that waits for a Session', () => {
  const pod = build({}, { purpose: { warm: 'echo-x' } });

  it('belongs to its Agent and to no Session', () => {
    expect(pod.metadata).toMatchObject({
      name: 'echo-x',
      namespace: 'ns',
      labels: { 'bullpen.dev/state': 'warm', 'bullpen.dev/agent': 'echo', 'bullpen.dev/revision': 'rev' },
      ownerReferences: [{ kind: 'Agent', name: 'echo', uid: 'agent-uid', controller: true }],
    });
    expect(sessionUidOf(pod as never)).toBeUndefined();
    expect(readBinding(pod as never)).toBeUndefined();
  });

  it('is held by nobody, and may be moved', () => {
    expect(pod.metadata.finalizers).toBeUndefined();
    expect(pod.metadata.annotations).toMatchObject({ 'cluster-autoscaler.kubernetes.io/safe-to-evict': 'true' });
    expect(pod.metadata.annotations).not.toHaveProperty(['karpenter.sh/do-not-disrupt']);
  });

  it('has no deadline: one that is set can only be lowered, and it may wait for long', () => {
    expect(pod.spec).not.toHaveProperty('activeDeadlineSeconds');
  });

  it('is otherwise the pod that a Session would get', () => {
    const { activeDeadlineSeconds: _deadline, ...cold } = build().spec ?? {};
    expect(pod.spec).toEqual(cold);
  });

  it('keeps its labels whatever the template says', () => {
    const labels = { team: 'a', 'app.kubernetes.io/managed-by': 'me' };
    const { metadata } = build({ podTemplate: { metadata: { labels } } }, { purpose: { warm: 'echo-x' } });
    expect(metadata.labels).toMatchObject({ team: 'a', 'app.kubernetes.io/managed-by': 'bullpen' });
  });
});
