import { describe, expect, it } from 'vitest';
import type { AgentSpec } from '../api/agent.ts';
import { STRICT_POLICY, type SessionPodPolicy } from './policy.ts';
import { checkTemplate } from './template-checks.ts';

function problems(
  spec: unknown,
  policy: Partial<SessionPodPolicy> = {},
  annotations: Record<string, string> = {},
): string[] {
  const result = checkTemplate({ metadata: { annotations }, spec } as AgentSpec['podTemplate'], {
    ...STRICT_POLICY,
    ...policy,
  });
  return result.ok ? [] : result.problems;
}

const agent = (securityContext: object) => ({ containers: [{ name: 'agent', securityContext }] });

describe('checkTemplate', () => {
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['resources of the agent', { containers: [{ name: 'agent', resources: { limits: { memory: '1Gi' } } }] }],
    ['another container', { containers: [{ name: 'proxy', image: 'p' }] }],
    [
      'scheduling',
      {
        nodeSelector: { gpu: 'yes' },
        tolerations: [{ key: 'gpu' }],
        priorityClassName: 'high',
        runtimeClassName: 'gvisor',
      },
    ],
    ['a claim', { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] }],
    ['NET_BIND_SERVICE', agent({ capabilities: { add: ['NET_BIND_SERVICE'] } })],
    ['a tightened pod', { securityContext: { runAsNonRoot: true, runAsUser: 1000 } }],
  ])('allows %s', (_name, spec) => {
    expect(problems(spec)).toEqual([]);
  });

  it.each<[string, unknown, keyof SessionPodPolicy]>([
    ['hostNetwork', { hostNetwork: true }, 'allowHostNamespaces'],
    ['hostPID', { hostPID: true }, 'allowHostNamespaces'],
    ['hostIPC', { hostIPC: true }, 'allowHostNamespaces'],
    ['hostPort', { containers: [{ name: 'agent', ports: [{ hostPort: 80 }] }] }, 'allowHostNamespaces'],
    ['hostPath', { volumes: [{ name: 'root', hostPath: { path: '/' } }] }, 'allowHostPath'],
    ['automountServiceAccountToken', { automountServiceAccountToken: true }, 'allowServiceAccountToken'],
    [
      'serviceAccountToken',
      { volumes: [{ name: 't', projected: { sources: [{ serviceAccountToken: {} }] } }] },
      'allowServiceAccountToken',
    ],
    [
      'podCertificate',
      { volumes: [{ name: 't', projected: { sources: [{ podCertificate: {} }] } }] },
      'allowServiceAccountToken',
    ],
    ['privileged', agent({ privileged: true }), 'allowPrivileged'],
    ['allowPrivilegeEscalation', agent({ allowPrivilegeEscalation: true }), 'allowPrivileged'],
    ['capabilities.add', agent({ capabilities: { add: ['SYS_ADMIN'] } }), 'allowPrivileged'],
    ['seccompProfile', agent({ seccompProfile: { type: 'Unconfined' } }), 'allowPrivileged'],
    ['capabilities.drop', agent({ capabilities: { drop: ['MKNOD'] } }), 'allowPrivileged'],
    ['capabilities.drop', agent({ capabilities: { drop: [] } }), 'allowPrivileged'],
    ['seLinuxOptions', agent({ seLinuxOptions: { type: 'spc_t' } }), 'allowPrivileged'],
    ['seLinuxOptions', { securityContext: { seLinuxOptions: { user: 'system_u' } } }, 'allowPrivileged'],
    ['serviceAccountName', { serviceAccountName: 'admin' }, 'allowServiceAccountToken'],
    ['procMount', agent({ procMount: 'Unmasked' }), 'allowPrivileged'],
    ['sysctls', { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } }, 'allowPrivileged'],
    [
      'privileged',
      { initContainers: [{ name: 'init', image: 'i', securityContext: { privileged: true } }] },
      'allowPrivileged',
    ],
  ])('refuses %s unless the chart allows it', (field, spec, value) => {
    const [problem, ...more] = problems(spec);
    expect(problem).toContain(field);
    expect(problem).toContain(`sessionPods.${value}`);
    expect(more).toEqual([]);
    expect(problems(spec, { [value]: true })).toEqual([]);
  });

  it.each([
    ['restartPolicy', { restartPolicy: 'Always' }],
    ['activeDeadlineSeconds', { activeDeadlineSeconds: 5 }],
    ['nodeName', { nodeName: 'node-1' }],
    ['image', { containers: [{ name: 'agent', image: 'x' }] }],
    ['bullpen-', { volumes: [{ name: 'bullpen-session', emptyDir: {} }] }],
    ['reserved', { initContainers: [{ name: 'agent', image: 'x' }] }],
    [
      'twice',
      {
        containers: [
          { name: 'a', image: 'x' },
          { name: 'a', image: 'y' },
        ],
      },
    ],
  ])('refuses %s, which is ours', (word, spec) => {
    expect(problems(spec).join()).toContain(word);
  });

  it.each([[5], ['text'], [{ containers: 'no' }], [{ containers: [{}] }], [{ volumes: [null] }]])(
    'says what is wrong with %j',
    (spec) => {
      expect(problems(spec)[0]).toMatch(/^podTemplate\.spec/);
    },
  );

  it('refuses to confine less by the old annotation of AppArmor', () => {
    const annotations = { 'container.apparmor.security.beta.kubernetes.io/agent': 'unconfined' };
    expect(problems({}, {}, annotations).join()).toContain('sessionPods.allowPrivileged');
    expect(problems({}, { allowPrivileged: true }, annotations)).toEqual([]);
  });

  it.each([
    [{ securityContext: { runAsNonRoot: false } }],
    [{ securityContext: { runAsUser: 0 } }],
    [agent({ runAsNonRoot: false })],
    [agent({ runAsUser: 0 })],
    [{ initContainers: [{ name: 'init', image: 'i', securityContext: { runAsUser: 0 } }] }],
  ])('refuses root where the chart forbids it, and only there: %j', (spec) => {
    expect(problems(spec)).toEqual([]);
    expect(problems(spec, { runAsNonRoot: true }).join()).toContain('sessionPods.runAsNonRoot');
  });
});
