import type { SessionPodPolicy } from './policy.ts';
import type { TemplateContainer, TemplateSecurityContext, TemplateSpec } from './template.ts';

/**
 * Security defaults of every session pod. An Agent may tighten them in its pod template, and relax them only as far
 * as the policy allows, which `checkTemplate` has made sure of before this is called.
 *
 * `runAsNonRoot` is not among them unless the policy asks for it: agent images often run as root, and would fail with
 * CreateContainerConfigError. A namespace that enforces the `restricted` standard refuses such pods, and says so.
 */
export function withSecurityDefaults(spec: TemplateSpec, policy: SessionPodPolicy): TemplateSpec {
  return {
    ...spec,
    automountServiceAccountToken: spec.automountServiceAccountToken ?? false,
    enableServiceLinks: spec['enableServiceLinks'] ?? false,
    securityContext: {
      seccompProfile: { type: 'RuntimeDefault' },
      ...spec.securityContext,
      ...(policy.runAsNonRoot && { runAsNonRoot: true }),
    },
    ...(spec.containers && { containers: spec.containers.map(hardenContainer) }),
    ...(spec.initContainers && { initContainers: spec.initContainers.map(hardenContainer) }),
  };
}

function hardenContainer(container: TemplateContainer): TemplateContainer {
  const given: TemplateSecurityContext = container.securityContext ?? {};
  // A privileged container may not also forbid privilege escalation: the API server refuses the pair.
  const escalation = given.privileged === true ? {} : { allowPrivilegeEscalation: false };
  return {
    ...container,
    securityContext: {
      ...escalation,
      ...given,
      capabilities: { ...given.capabilities, drop: given.capabilities?.drop ?? ['ALL'] },
    },
  };
}
