import { z } from 'zod';

/**
 * Which sets of secrets there are, and the names of what is in them: a ConfigMap, so that the gateway need not read a single Secret.
 * Each set is one entry, and each of its keys another one, so that two writers at once lose nothing.
 */
export const INDEX_NAME = 'bullpen-secret-sets';

/** No name of a set has two dots in a row. */
const SEPARATOR = '..';

const entry = z.object({
  type: z.enum(['secret', 'imagePullSecret']),
  /** `referenced`: somebody else's Secret, which is used as it is. */
  source: z.enum(['own', 'referenced']).default('own'),
});

export interface SecretSet {
  name: string;
  type: 'secret' | 'imagePullSecret';
  source: 'own' | 'referenced';
  keys: string[];
}

/** All sets, by name. What cannot be read is left out. */
export function readIndex(data: Readonly<Record<string, string>>): SecretSet[] {
  const names = Object.keys(data);
  return names
    .filter((name) => !name.includes(SEPARATOR))
    .flatMap((name) => {
      const parsed = entry.safeParse(jsonOf(data[name] ?? ''));
      if (!parsed.success) return [];
      const prefix = `${name}${SEPARATOR}`;
      const keys = names.filter((each) => each.startsWith(prefix)).map((each) => each.slice(prefix.length));
      return [{ name, ...parsed.data, keys: keys.sort() }];
    })
    .sort((a, b) => a.name.localeCompare(b.name));
}

/** Entries of a set and these of its keys, for a merge into the data. */
export function indexEntries({ name, keys, ...rest }: SecretSet): Record<string, string> {
  return Object.fromEntries([
    [name, JSON.stringify(rest)],
    ...keys.map((key) => [`${name}${SEPARATOR}${key}`, '']),
  ]) as Record<string, string>;
}

/** The removal of a key, or of a set with all of its keys. */
export function indexRemoval({ name, keys }: SecretSet, key?: string): Record<string, null> {
  const gone =
    key === undefined ? [name, ...keys.map((each) => `${name}${SEPARATOR}${each}`)] : [`${name}${SEPARATOR}${key}`];
  return Object.fromEntries(gone.map((each) => [each, null]));
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
