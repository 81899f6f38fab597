import type { Agent, AgentSpec } from '../api/agent.ts';
import { parseAgentSpec } from '../api/parse.ts';
import type { AgentReason, RejectReason } from '../api/reasons.ts';
import { annotations } from '../api/names.ts';
import type { SupervisorSettings } from '../pods/http-pod.ts';
import type { SessionPodPolicy } from '../pods/policy.ts';
import { revisionOf } from '../pods/revision.ts';
import type { TemplateSpec } from '../pods/template.ts';
import { checkTemplate } from '../pods/template-checks.ts';

/** What can be said of an Agent by looking at its spec. */
export type AgentVerdict =
  | { ok: true; spec: AgentSpec; template: TemplateSpec; revision: string }
  /** `revision`: of the pods that Kubernetes refuses. */
  | { ok: false; reject: RejectReason; reason: AgentReason; message: string; revision?: string };

/** An Agent whose Sessions can be started. */
export type Serving = Extract<AgentVerdict, { ok: true }>;

/** What this installation adds to, and allows in, the pods of Agents. */
export interface Platform {
  policy: SessionPodPolicy;
  supervisor: SupervisorSettings;
}

/** Judges an Agent's spec. */
export function judgeAgent(agent: Agent, { policy, supervisor }: Platform): AgentVerdict {
  if (agent.metadata.deletionTimestamp !== undefined)
    return no('AgentDeleting', 'AgentDeleting', 'the Agent is being deleted');
  const parsed = parseAgentSpec(agent.spec);
  if (!parsed.ok) return no('AgentInvalid', 'InvalidSpec', parsed.message);
  const { spec } = parsed;
  if (spec.protocol === 'Http' && supervisor.image === '') {
    return no(
      'ProtocolNotSupported',
      'ProtocolNotSupported',
      'this installation has no image of the supervisor (supervisor.image in its configuration); set spec.protocol to Process',
    );
  }
  const template = checkTemplate(spec.podTemplate, policy);
  if (!template.ok) return no('AgentInvalid', 'TemplateNotAllowed', template.problems.join('; '));
  const redeploy = agent.metadata.annotations?.[annotations.redeploy];
  return { ok: true, spec, template: template.spec, revision: revisionOf(spec, { redeploy, supervisor, policy }) };
}

/** The verdict on an Agent when the API server has refused a pod made from this revision: the template can never work. */
export function withRefusal(
  verdict: AgentVerdict,
  refusal: { revision: string; message: string } | undefined,
): AgentVerdict {
  if (!verdict.ok || refusal?.revision !== verdict.revision) return verdict;
  const { revision, message } = refusal;
  return { ...no('AgentInvalid', 'InvalidSpec', `Kubernetes refuses its pods: ${message}`), revision };
}

function no(reject: RejectReason, reason: AgentReason, message: string) {
  return { ok: false as const, reject, reason, message };
}
