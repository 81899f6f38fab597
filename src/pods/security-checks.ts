import type { SessionPodPolicy } from './policy.ts';
import { allContainers, type TemplateSecurityContext, type TemplateSpec } from './template.ts';

/** What a pod and a container can both say of their security. */
type AnyContext = Pick<
  TemplateSecurityContext,
  'runAsNonRoot' | 'runAsUser' | 'seccompProfile' | 'appArmorProfile' | 'seLinuxOptions' | 'windowsOptions'
>;

/** SELinux types that keep a container confined: those that the `baseline` pod security standard allows. */
const CONFINED_TYPES = ['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'];
/** The form in which AppArmor profiles were set before they had a field; the API server still copies it into the field. */
const APPARMOR_ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/';

/** What a template relaxes of the security defaults although the policy does not allow it. */
export function securityProblems(
  spec: TemplateSpec,
  annotations: Readonly<Record<string, string>>,
  policy: SessionPodPolicy,
): string[] {
  const contexts = [
    { path: 'securityContext', context: spec.securityContext },
    ...[...allContainers(spec)].map(({ path, container }) => ({
      path: `${path}.securityContext`,
      context: container.securityContext,
    })),
  ];
  const problems = policy.runAsNonRoot ? contexts.flatMap(({ path, context }) => root(path, context)) : [];
  if (policy.allowPrivileged) return problems;
  for (const { path, context } of contexts) problems.push(...unconfined(path, context));
  for (const { path, container } of allContainers(spec))
    problems.push(...privileges(`${path}.securityContext`, container.securityContext));
  if (spec.securityContext?.sysctls?.length) problems.push(refused('securityContext.sysctls', 'allowPrivileged'));
  for (const [key, value] of Object.entries(annotations)) {
    if (key.startsWith(APPARMOR_ANNOTATION) && value === 'unconfined') {
      problems.push(`podTemplate.metadata.annotations[${key}] is refused; ${allowWith('allowPrivileged')}`);
    }
  }
  return problems;
}

/** The sentence for a field that the policy refuses. */
export function refused(field: string, value: keyof SessionPodPolicy): string {
  return `podTemplate.spec.${field} is refused; ${allowWith(value)}`;
}

function allowWith(value: keyof SessionPodPolicy): string {
  return `whoever installed Bullpen can allow it with the chart value sessionPods.${value}`;
}

function root(path: string, context: AnyContext | undefined): string[] {
  const says = [
    ...(context?.runAsNonRoot === false ? ['runAsNonRoot: false'] : []),
    ...(context?.runAsUser === 0 ? ['runAsUser: 0'] : []),
  ];
  return says.map(
    (what) => `podTemplate.spec.${path} says ${what}, and the chart value sessionPods.runAsNonRoot forbids root`,
  );
}

function privileges(path: string, context: TemplateSecurityContext | undefined): string[] {
  if (context === undefined) return [];
  const problems: string[] = [];
  const refuse = (field: string): number => problems.push(refused(`${path}.${field}`, 'allowPrivileged'));
  if (context.privileged === true) refuse('privileged');
  if (context.allowPrivilegeEscalation === true) refuse('allowPrivilegeEscalation');
  // NET_BIND_SERVICE is what the `restricted` pod security standard allows.
  const { add = [], drop = ['ALL'] } = context.capabilities ?? {};
  if (add.some((capability) => capability !== 'NET_BIND_SERVICE')) refuse('capabilities.add');
  if (!drop.includes('ALL')) refuse('capabilities.drop without ALL');
  if (context.procMount !== undefined && context.procMount !== 'Default') refuse('procMount');
  return problems;
}

function unconfined(path: string, context: AnyContext | undefined): string[] {
  const problems: string[] = [];
  const refuse = (field: string): number => problems.push(refused(`${path}.${field}`, 'allowPrivileged'));
  for (const profile of ['seccompProfile', 'appArmorProfile'] as const) {
    if (context?.[profile]?.type === 'Unconfined') refuse(profile);
  }
  const { type = '', user = '', role = '' } = context?.seLinuxOptions ?? {};
  if (!CONFINED_TYPES.includes(type) || user !== '' || role !== '') refuse('seLinuxOptions');
  if (context?.windowsOptions?.hostProcess === true) refuse('windowsOptions.hostProcess');
  return problems;
}
