import type { Agent, AgentSpec } from '../api/agent.ts';
import { parseAgentSpec } from '../api/parse.ts';
import type { AgentReason, RejectReason } from '../api/reasons.ts';
import type { SessionPodPolicy } from '../pods/policy.ts';
import { revisionOf } from '../pods/revision.ts';
import type { TemplateSpec } from '../pods/template.ts';
import { checkTemplate } from '../pods/template-checks.ts';

/** What can be said of an Agent by looking at its spec. */
export type AgentVerdict =
  | { ok: true; spec: AgentSpec; template: TemplateSpec; revision: string }
  | { ok: false; reject: RejectReason; reason: AgentReason; message: string };

/** Judges an Agent's spec. */
export function judgeAgent(agent: Agent, policy: SessionPodPolicy): AgentVerdict {
  if (agent.metadata.deletionTimestamp !== undefined)
    return no('AgentDeleting', 'AgentDeleting', 'the Agent is being deleted');
  const parsed = parseAgentSpec(agent.spec);
  if (!parsed.ok) return no('AgentInvalid', 'InvalidSpec', parsed.message);
  const { spec } = parsed;
  if (spec.protocol === 'Http') {
    return no(
      'ProtocolNotSupported',
      'ProtocolNotSupported',
      'protocol Http is not supported by this version; set spec.protocol to Process',
    );
  }
  const template = checkTemplate(spec.podTemplate, policy);
  if (!template.ok) return no('AgentInvalid', 'TemplateNotAllowed', template.problems.join('; '));
  return { ok: true, spec, template: template.spec, revision: revisionOf(spec) };
}

/** The verdict on an Agent when the API server has refused a pod made from this revision: the template can never work. */
export function withRefusal(
  verdict: AgentVerdict,
  refusal: { revision: string; message: string } | undefined,
): AgentVerdict {
  if (!verdict.ok || refusal?.revision !== verdict.revision) return verdict;
  return no('AgentInvalid', 'InvalidSpec', `Kubernetes refuses its pods: ${refusal.message}`);
}

function no(reject: RejectReason, reason: AgentReason, message: string): AgentVerdict {
  return { ok: false, reject, reason, message };
}
