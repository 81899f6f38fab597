import type { z } from 'zod';

/** One entry of `x-kubernetes-validations`: a CEL rule that the API server checks at admission. */
export interface CelRule {
  rule: string;
  /** What is allowed. A fixed text: CEL counts numbers turned into text as unbounded, and refuses the CRD for their cost. */
  message: string;
  /** The field that the error is about, relative to where the rule stands, such as `.body`. */
  fieldPath?: string;
  reason?: 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired' | 'FieldValueDuplicate';
}

/** Where a zod schema carries its CEL rules, under the name that they have in a CRD. */
const rulesKey = 'x-kubernetes-validations';

/**
 * Adds a rule twice over: as CEL for the API server, and as a predicate for the controller, which also meets objects that were
 * stored before the rule existed. Both say the same sentence, which tells what is allowed.
 */
export function withRule<S extends z.ZodType>(
  schema: S,
  rule: CelRule & { holds: (value: z.output<S>) => boolean },
): S {
  const { holds, ...cel } = rule;
  const path = rule.fieldPath?.split('.').filter((part) => part !== '');
  return addCel(schema.refine(holds, { message: rule.message, ...(path && { path }) }), cel);
}

/** Adds a rule about a change (`oldSelf`), which only the API server can check. */
export function withTransitionRule<S extends z.ZodType>(schema: S, rule: CelRule): S {
  return addCel(schema, rule);
}

/** The CEL rules that stand on a schema. */
function rulesOf(schema: z.ZodType): CelRule[] {
  const rules = schema.meta()?.[rulesKey];
  return Array.isArray(rules) ? (rules as CelRule[]) : [];
}

function addCel<S extends z.ZodType>(schema: S, rule: CelRule): S {
  return schema.meta({ [rulesKey]: [...rulesOf(schema), rule] });
}
