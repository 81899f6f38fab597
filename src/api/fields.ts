import { z } from 'zod';
import type { Bounds } from './limits.ts';
import { maxNameLength } from './names.ts';
import { sizes } from './limits.ts';
import { withRule } from './rules.ts';

/** Text of at most `max` characters, counted as Kubernetes counts: Unicode code points, where JavaScript counts UTF-16 units. */
export function text(max: number) {
  return z
    .string()
    .refine((value) => codePointsWithin(value, max), { message: `must have at most ${max} characters` })
    .meta({ maxLength: max });
}

/** Text that is matched by a pattern with the same meaning in RE2 and JavaScript; `message` says in words what is allowed. */
export function matching(pattern: string, max: number, message: string) {
  const expression = new RegExp(pattern);
  return withRule(text(max), { rule: `self.matches('${pattern}')`, message, holds: (value) => expression.test(value) });
}

export const dnsLabelPattern = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';
const dnsSubdomainPattern = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';

/** What the name of an Agent may be. */
const agentNameMessage = `must be the name of an Agent: at most ${maxNameLength} lowercase letters, digits and '-', and a letter or digit at both ends`;

/** The name of an Agent, as others refer to it. */
export const agentName = () => matching(dnsLabelPattern, maxNameLength, agentNameMessage);

/** The name of a Secret or ConfigMap. */
export const objectName = () =>
  matching(
    dnsSubdomainPattern,
    sizes.dnsSubdomain,
    "must be the name of an object: at most 253 lowercase letters, digits, '-' and '.', and a letter or digit at both ends",
  );

/** A key of a Secret or ConfigMap. */
export const dataKey = () =>
  matching(
    '^[-._a-zA-Z0-9]+$',
    sizes.dnsSubdomain,
    "must be a key of a Secret or ConfigMap: 1 to 253 letters, digits, '-', '_' and '.'",
  );

/** A JWE in compact form (RFC 7516), of which the key is agreed and not sent, with the lengths of AES-GCM. */
export const sealedText = (max: number) =>
  matching(
    '^[-_a-zA-Z0-9]+[.][.][-_a-zA-Z0-9]{16}[.][-_a-zA-Z0-9]+[.][-_a-zA-Z0-9]{22}$',
    max,
    'must be a JWE in compact form, by ECDH-ES and A256GCM',
  );

/** A whole number within bounds, with its default. */
export function bounded(bounds: Bounds, description: string) {
  const range = `${bounds.min} to ${bounds.max}, default ${bounds.default}`;
  return z
    .int()
    .min(bounds.min)
    .max(bounds.max)
    .default(bounds.default)
    .describe(`${description} ${range[0]?.toUpperCase() ?? ''}${range.slice(1)}.`);
}

/** A whole number of seconds within bounds, with its default. */
export function seconds(bounds: Bounds, description: string) {
  return bounded(bounds, `${description} In seconds:`);
}

const leapDay = '([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29';
const otherDay =
  '[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))';
const timeOfDay = '([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])';

/**
 * An RFC 3339 time that people write. Not by `format: date-time`: API servers (seen on 1.34) then let a list pass as well, and
 * times in spellings that JavaScript does not read.
 */
export const rfc3339Time = () =>
  matching(`^(${leapDay}|${otherDay})T${timeOfDay}$`, 64, 'must be a time such as 2030-01-31T12:00:00Z');

/** An RFC 3339 time that Bullpen or Kubernetes writes. */
export const timestamp = () => z.iso.datetime({ offset: true });

/** A word from a list that may grow: a newer controller's word must not be refused by an older CRD, so the schema holds any. */
export function openEnum<T extends string>(description: string): z.ZodType<T, T> {
  return text(128).describe(description) as unknown as z.ZodType<T, T>;
}

function codePointsWithin(value: string, max: number): boolean {
  if (value.length <= max) return true;
  if (value.length > 2 * max) return false;
  let count = 0;
  for (const _ of value) count += 1;
  return count <= max;
}
