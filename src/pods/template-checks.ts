import type { z } from 'zod';
import { agentContainer, supervisorContainer } from '../api/names.ts';
import type { AgentSpec } from '../api/agent.ts';
import type { SessionPodPolicy } from './policy.ts';
import { refused, securityProblems } from './security-checks.ts';
import { allContainers, templateSpecSchema, type TemplateSpec } from './template.ts';

/** Containers and volumes whose names start so belong to Bullpen. */
const RESERVED_PREFIX = 'bullpen-';

/** The fields of a pod spec that Bullpen sets itself, and what a user should do instead. */
const OWNED_FIELDS: Record<string, string> = {
  restartPolicy: 'a session never restarts',
  activeDeadlineSeconds: 'set spec.maxSessionDuration instead',
  terminationGracePeriodSeconds: 'set spec.terminationGracePeriodSeconds of the Agent instead',
  nodeName: 'use nodeSelector or affinity, so that the scheduler decides',
  ephemeralContainers: 'add them to a running pod with kubectl debug',
};

/** The fields of the container `agent` that have a place of their own in the Agent. */
const OWNED_AGENT_FIELDS = ['image', 'command', 'args'];

export type TemplateResult = { ok: true; spec: TemplateSpec } | { ok: false; problems: string[] };

/**
 * Reads the pod template of an Agent and checks it against the policy. Every problem is one sentence that names the
 * field and says what is allowed.
 */
export function checkTemplate(template: AgentSpec['podTemplate'], policy: SessionPodPolicy): TemplateResult {
  const parsed = templateSpecSchema.safeParse(template?.spec ?? {});
  if (!parsed.success) return { ok: false, problems: parsed.error.issues.slice(0, 10).map(describeIssue) };
  const spec = parsed.data;
  const problems = [
    ...ownedFields(spec),
    ...hostAccess(spec, policy),
    ...volumes(spec, policy),
    ...containers(spec),
    ...securityProblems(spec, template?.metadata?.annotations ?? {}, policy),
    ...duplicates(spec),
  ];
  return problems.length === 0 ? { ok: true, spec } : { ok: false, problems };
}

function describeIssue(issue: z.core.$ZodIssue): string {
  return `podTemplate.spec.${issue.path.join('.')}: ${issue.message}`;
}

function ownedFields(spec: TemplateSpec): string[] {
  return Object.entries(OWNED_FIELDS)
    .filter(([field]) => spec[field] !== undefined)
    .map(([field, instead]) => `podTemplate.spec.${field} is set by Bullpen: ${instead}`);
}

function hostAccess(spec: TemplateSpec, policy: SessionPodPolicy): string[] {
  const problems: string[] = [];
  if (!policy.allowHostNamespaces) {
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC'] as const) {
      if (spec[field] === true) problems.push(refused(field, 'allowHostNamespaces'));
    }
    for (const { path, container } of allContainers(spec)) {
      if (container.ports?.some((port) => port.hostPort !== undefined && port.hostPort !== 0)) {
        problems.push(refused(`${path}.ports.hostPort`, 'allowHostNamespaces'));
      }
    }
  }
  if (!policy.allowServiceAccountToken) {
    if (spec.automountServiceAccountToken === true)
      problems.push(refused('automountServiceAccountToken', 'allowServiceAccountToken'));
    for (const field of ['serviceAccountName', 'serviceAccount'] as const) {
      if (spec[field] !== undefined) problems.push(refused(field, 'allowServiceAccountToken'));
    }
  }
  return problems;
}

function volumes(spec: TemplateSpec, policy: SessionPodPolicy): string[] {
  const problems: string[] = [];
  for (const volume of spec.volumes ?? []) {
    const path = `volumes[${volume.name}]`;
    if (volume.name.startsWith(RESERVED_PREFIX)) {
      problems.push(`podTemplate.spec.${path}: names that start with ${RESERVED_PREFIX} are reserved, choose another`);
    }
    if (!policy.allowHostPath && volume.hostPath !== undefined)
      problems.push(refused(`${path}.hostPath`, 'allowHostPath'));
    for (const source of policy.allowServiceAccountToken ? [] : (volume.projected?.sources ?? [])) {
      for (const identity of ['serviceAccountToken', 'podCertificate'] as const)
        if (source[identity] !== undefined)
          problems.push(refused(`${path}.projected.${identity}`, 'allowServiceAccountToken'));
    }
  }
  return problems;
}

function containers(spec: TemplateSpec): string[] {
  const problems: string[] = [];
  for (const { path, container } of allContainers(spec)) {
    if (container.name === agentContainer && path.startsWith('containers')) {
      for (const field of OWNED_AGENT_FIELDS) {
        if (container[field] !== undefined)
          problems.push(`podTemplate.spec.${path}.${field}: set spec.${field} of the Agent instead`);
      }
    } else if (isReserved(container.name)) {
      problems.push(`podTemplate.spec.${path}: the name ${container.name} is reserved, choose another`);
    }
  }
  return problems;
}

function isReserved(name: string): boolean {
  return name === agentContainer || name === supervisorContainer || name.startsWith(RESERVED_PREFIX);
}

function duplicates(spec: TemplateSpec): string[] {
  const seen = new Set<string>();
  const problems: string[] = [];
  for (const { path, container } of allContainers(spec)) {
    if (seen.has(container.name)) problems.push(`podTemplate.spec.${path}: the name is used twice`);
    seen.add(container.name);
  }
  return problems;
}
