type Json = Record<string, unknown>;

/** One member of a JSON value, as a row of a table. */
export interface Field {
  /** With dots between objects, and `[]` for each item of a list: `sessions[].sessionId`. */
  path: string;
  /** For people: `integer, 0 to 50`, `"cold" | "warm"`, `string or null`. */
  type: string;
  required: boolean;
  description: string;
}

/**
 * The members of what a JSON Schema describes, in its order, members of members behind their own: as far as our schemas go, which have no
 * references. Of several forms that a value may have, each gets its members, after a row of its own that says so.
 */
export function fieldsOf(schema: Json, path = ''): Field[] {
  const forms = formsOf(schema).filter((form) => form['type'] === 'object' || form['type'] === 'array');
  return forms.flatMap((form, index) => {
    const head: Field[] =
      forms.length > 1
        ? [{ path, type: `form ${index + 1} of ${forms.length}`, required: false, description: '' }]
        : [];
    return [...head, ...membersOf(form, path)];
  });
}

function membersOf(schema: Json, path: string): Field[] {
  if (schema['type'] === 'array') return fieldsOf((schema['items'] ?? {}) as Json, `${path}[]`);
  const required = new Set((schema['required'] ?? []) as string[]);
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Json>);
  return properties.flatMap(([name, property]) => {
    const at = path === '' ? name : `${path}.${name}`;
    const { description = '' } = property as { description?: string };
    return [{ path: at, type: typeOf(property), required: required.has(name), description }, ...fieldsOf(property, at)];
  });
}

/** What a value may be, in words. */
export function typeOf(schema: Json): string {
  const forms = [...new Set(formsOf(schema).map(typeOfForm))];
  return [...forms, ...(isNullable(schema) ? ['null'] : [])].join(' or ');
}

function typeOfForm(schema: Json): string {
  const {
    type,
    enum: values,
    const: constant,
    format,
    items,
  } = schema as {
    type?: string;
    enum?: unknown[];
    const?: unknown;
    format?: string;
    items?: Json;
  };
  if (constant !== undefined) return JSON.stringify(constant);
  if (values !== undefined) return values.map((value) => JSON.stringify(value)).join(' | ');
  if (type === 'array') return `list of ${items === undefined ? 'anything' : typeOf(items)}`;
  if (type === undefined) return 'anything';
  return [format ?? type, boundsOf(schema)].filter((text) => text !== '').join(', ');
}

/** Bounds that somebody has set: every integer of ours has those of JavaScript. */
function boundsOf({ minimum, maximum, minLength, maxLength, minItems, maxItems }: Json): string {
  const isSet = (bound: unknown): bound is number =>
    typeof bound === 'number' && Math.abs(bound) < Number.MAX_SAFE_INTEGER;
  const between = (least: unknown, most: unknown, unit: string): string => {
    if (isSet(least) && isSet(most)) return `${least} to ${most}${unit}`;
    if (isSet(least)) return `at least ${least}${unit}`;
    return isSet(most) ? `at most ${most}${unit}` : '';
  };
  return [
    between(minimum, maximum, ''),
    between(minLength, maxLength, ' characters'),
    between(minItems, maxItems, ' items'),
  ]
    .filter((text) => text !== '')
    .join(', ');
}

/** The schemas of a union, and of unions within it, without null. */
function formsOf(schema: Json): Json[] {
  const { anyOf, oneOf, type } = schema as { anyOf?: Json[]; oneOf?: Json[]; type?: string | string[] };
  const union = anyOf ?? oneOf ?? (Array.isArray(type) ? type.map((each) => ({ ...schema, type: each })) : undefined);
  if (union !== undefined) return union.flatMap(formsOf);
  return type === 'null' ? [] : [schema];
}

function isNullable(schema: Json): boolean {
  const { anyOf, oneOf, type } = schema as { anyOf?: Json[]; oneOf?: Json[]; type?: string | string[] };
  if (Array.isArray(type)) return type.includes('null');
  return type === 'null' || (anyOf ?? oneOf ?? []).some(isNullable);
}
