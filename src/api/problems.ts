import type { z } from 'zod';

/** More problems than this are counted, not told: a message goes into a condition and an Event. */
const mostProblems = 5;
/** Longest key of a map that a path shows. */
const longestKey = 64;
/** Kubernetes cuts the note of an Event at 1024 bytes. */
const longestMessage = 1024;

const typeNames: Record<string, string> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'a map',
};

/**
 * What a value must be, for a problem that zod found; put after the path of the field it reads as a sentence.
 * It never repeats the value: bodies and environment variables are nobody's business.
 */
export function explainIssue(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'is required';
      return `must be ${typeNames[issue.expected] ?? issue.expected}`;
    case 'too_small':
      return `must ${issue.origin === 'array' ? 'have' : 'be'} at least ${issue.minimum}${entries(issue.origin)}`;
    case 'too_big':
      return `must ${issue.origin === 'array' ? 'have' : 'be'} at most ${issue.maximum}${entries(issue.origin)}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'custom':
    case 'invalid_format':
    case 'invalid_element':
    case 'invalid_key':
    case 'invalid_union':
    case 'not_multiple_of':
    case 'unrecognized_keys':
      // Schemas that can fail this way bring their own sentence.
      return 'is not valid';
  }
}

/** All problems in one text: `spec.image is required; spec.scaling: minAgents must not be above maxAgents`. */
export function describeProblems(issues: readonly z.core.$ZodIssue[]): string {
  const told = issues.slice(0, mostProblems).map(({ path, message }) => {
    const reads = /^(must|is|may)\b/.test(message);
    return `${formatPath(path)}${reads ? ' ' : ': '}${message}`;
  });
  if (issues.length > mostProblems) told.push(`and ${issues.length - mostProblems} more problems`);
  const text = told.join('; ');
  return text.length <= longestMessage ? text : `${text.slice(0, longestMessage - 1)}…`;
}

function entries(origin: string): string {
  return origin === 'array' ? ' entries' : '';
}

/** A path as Kubernetes writes it: `spec.env[0].name`, `spec.podTemplate.metadata.labels[example.com/team]`. */
function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    const key = String(part);
    if (/^[a-zA-Z][a-zA-Z0-9]{0,63}$/.test(key)) return `${text}.${key}`;
    return `${text}[${key.slice(0, longestKey).replaceAll(/[^\x20-\x7e]/g, '?')}]`;
  }, 'spec');
}
