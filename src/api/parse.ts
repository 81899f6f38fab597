import type { z } from 'zod';
import type { AgentSpec } from './agent.ts';
import { agentSpec } from './agent.ts';
import { describeProblems, explainIssue } from './problems.ts';
import type { SessionSpec } from './session.ts';
import { sessionSpec } from './session.ts';

/** A spec that holds what its schema promises, or what is wrong with it: one sentence per problem, of bounded length. */
export type Parsed<T> = { ok: true; spec: T } | { ok: false; message: string };

/**
 * Checks the spec of an Agent and fills in its defaults. The API server did both, but under the rules of the CRD of that day;
 * an object may be older, or come from a server whose CRD is.
 */
export function parseAgentSpec(value: unknown): Parsed<AgentSpec> {
  return parse(agentSpec, value);
}

/** Checks the spec of a Session, as {@link parseAgentSpec} does. */
export function parseSessionSpec(value: unknown): Parsed<SessionSpec> {
  return parse(sessionSpec, value);
}

function parse<S extends z.ZodType>(schema: S, value: unknown): Parsed<z.output<S>> {
  const result = schema.safeParse(value, { error: explainIssue });
  return result.success
    ? { ok: true, spec: result.data }
    : { ok: false, message: describeProblems(result.error.issues) };
}
