import { describe, expect, it } from 'vitest';
import { agentSpec, type AgentSpecInput } from '../api/agent.ts';
import { readBinding, type Binding } from './binding.ts';
import { STRICT_POLICY } from './policy.ts';
import { BODY_FILE, buildProcessPod, MAX_BODY_IN_ENVIRONMENT, type Body } from './process-pod.ts';
import { checkTemplate } from './template-checks.ts';

const binding: Binding = {
  agent: 'echo',
  session: { name: 'call', uid: 'uid-1' },
  admittedAt: '2026-01-01T00:00:00.123Z',
  attempt: 0,
  startKind: 'Cold',
  limits: {
    maxSessionDuration: 600,
    startTimeoutSeconds: 120,
    nodeLostAfterSeconds: 300,
    terminationGracePeriodSeconds: 10,
  },
};

const INLINE: Body = { kind: 'inline', text: 'hi' };

function build(
  input: Partial<AgentSpecInput> = {},
  { body = INLINE, runAsNonRoot = false }: { body?: Body; runAsNonRoot?: boolean } = {},
) {
  const spec = agentSpec.parse({ image: 'example/echo:1', protocol: 'Process', ...input });
  const policy = { ...STRICT_POLICY, runAsNonRoot };
  const template = checkTemplate(spec.podTemplate, policy);
  if (!template.ok) throw new Error(template.problems.join());
  return buildProcessPod({
    namespace: 'ns',
    agent: { name: 'echo', uid: 'agent-uid', spec, revision: 'rev' },
    template: template.spec,
    binding,
    body,
    policy,
  });
}

function agentOf(pod: ReturnType<typeof build>) {
  const container = pod.spec.containers.find(({ name }) => name === 'agent');
  if (container === undefined) throw new Error('the pod has no agent');
  return container;
}

describe('the pod of a session of protocol Process', () => {
  it('records its binding, which can be read back', () => {
    const pod = build();
    expect(readBinding(pod as never)).toEqual(binding);
    expect(pod.metadata.ownerReferences).toEqual([
      {
        apiVersion: 'bullpen.dev/v1alpha1',
        kind: 'Session',
        name: 'call',
        uid: 'uid-1',
        controller: true,
        blockOwnerDeletion: false,
      },
    ]);
    expect(pod.metadata.finalizers).toEqual(['bullpen.dev/session-record']);
  });

  it('never restarts, and has a deadline from the first moment', () => {
    expect(build().spec).toMatchObject({
      restartPolicy: 'Never',
      activeDeadlineSeconds: 720,
      terminationGracePeriodSeconds: 10,
    });
  });

  it('is confined by default', () => {
    const pod = build();
    expect(pod.spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(agentOf(pod).securityContext).toEqual({ allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } });
    expect(build({}, { runAsNonRoot: true }).spec.securityContext).toMatchObject({ runAsNonRoot: true });
  });

  it('confines every other container of the template too', () => {
    const pod = build({
      podTemplate: {
        spec: { containers: [{ name: 'proxy', image: 'p' }], initContainers: [{ name: 'init', image: 'i' }] },
      },
    });
    for (const container of [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]) {
      expect(container.securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
      });
    }
  });

  it('has the resources of its profile unless the template says otherwise', () => {
    expect(agentOf(build({ profile: 'agent-2x' })).resources).toEqual({
      requests: { cpu: '1', memory: '2Gi' },
      limits: { cpu: '1', memory: '2Gi' },
    });
    const resources = { limits: { memory: '64Mi' } };
    expect(agentOf(build({ podTemplate: { spec: { containers: [{ name: 'agent', resources }] } } })).resources).toEqual(
      resources,
    );
  });

  it('gives an inline body as a variable and a file, through an annotation of the pod', () => {
    const pod = build();
    expect(pod.metadata.annotations?.['bullpen.dev/body']).toBe('hi');
    expect(agentOf(pod).env).toContainEqual({ name: 'BULLPEN_BODY_FILE', value: BODY_FILE });
    expect(agentOf(pod).env?.map(({ name }) => name)).toContain('BULLPEN_BODY');
  });

  it('gives a large body as a file only: a longer variable would keep the agent from starting', () => {
    const body: Body = { kind: 'secret', name: 's', key: 'k', bytes: MAX_BODY_IN_ENVIRONMENT + 1 };
    const pod = build({}, { body });
    expect(agentOf(pod).env?.map(({ name }) => name)).not.toContain('BULLPEN_BODY');
    expect(pod.spec.volumes).toContainEqual({
      name: 'bullpen-session',
      secret: { secretName: 's', items: [{ key: 'k', path: 'body' }] },
    });
    expect(JSON.stringify(pod.metadata)).not.toContain('bullpen.dev/body');
  });

  it('does not let a user’s variable hide what the session is', () => {
    const env = agentOf(build({ env: [{ name: 'BULLPEN_SESSION_ID', value: 'forged' }] })).env ?? [];
    expect(env.findLast(({ name }) => name === 'BULLPEN_SESSION_ID')?.value).toBe('uid-1');
  });

  it('does not let a template’s labels hide whose pod it is', () => {
    const metadata = { labels: { team: 'a', 'app.kubernetes.io/managed-by': 'me' } };
    expect(build({ podTemplate: { metadata } }).metadata.labels).toMatchObject({
      team: 'a',
      'app.kubernetes.io/managed-by': 'bullpen',
    });
  });

  it('stays on a node that falls silent: the controller decides when it is lost', () => {
    expect(build().spec.tolerations).toContainEqual({
      key: 'node.kubernetes.io/unreachable',
      operator: 'Exists',
      effect: 'NoExecute',
    });
  });
});
