import { z } from 'zod';

/** A schema as Kubernetes takes it in a CustomResourceDefinition ("structural schema"): a small part of OpenAPI 3.0. */
export interface StructuralSchema {
  description?: string;
  type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  format?: string;
  default?: unknown;
  enum?: unknown[];
  required?: string[];
  properties?: Record<string, StructuralSchema>;
  additionalProperties?: StructuralSchema;
  items?: StructuralSchema;
  anyOf?: { type: string }[];
  [keyword: string]: unknown;
}

type Json = Record<string, unknown>;

/** A zod construct that a CRD cannot say. Thrown when CRDs are generated, so it names the place and what to write instead. */
export class NotStructuralError extends Error {
  override readonly name = 'NotStructuralError';
  readonly path: string;
  constructor(path: string, advice: string) {
    super(`${path === '' ? 'the schema' : path}: ${advice}`);
    this.path = path;
  }
}

/** Keywords that are copied as they are, in the order in which they appear in the result. */
const before = ['description', 'type', 'format', 'default', 'enum'];
const after = [
  ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  ...['minLength', 'maxLength', 'pattern', 'minItems', 'maxItems', 'minProperties', 'maxProperties', 'required'],
];
const extensions = [
  ...['x-kubernetes-preserve-unknown-fields', 'x-kubernetes-embedded-resource', 'x-kubernetes-int-or-string'],
  ...['x-kubernetes-list-type', 'x-kubernetes-list-map-keys', 'x-kubernetes-map-type', 'x-kubernetes-validations'],
];
const converted = ['properties', 'additionalProperties', 'items', 'anyOf'];
/** Harmless here; Kubernetes would prune them with a warning. */
const dropped = ['$schema', 'examples', 'readOnly'];
const known = new Set([...before, ...after, ...extensions, ...converted, ...dropped]);

/** Formats that API servers check. Another one would only bring a warning, and promise a check that nobody makes. */
const formats = new Set([
  'date-time',
  'date',
  'byte',
  'int32',
  'int64',
  'float',
  'double',
  'uuid',
  'uri',
  'ipv4',
  'ipv6',
]);

/** What to write instead of zod types that have a JSON schema but no structural one. */
const refusedTypes: Record<string, string> = {
  tuple: 'tuples are not possible: use an array or an object',
  intersection: 'intersections are not possible: extend one object instead',
  nullable: 'null is not possible: make the field optional',
  null: 'null is not possible: make the field optional',
  pipe: 'transforms and pipes are not possible: parse after validation',
  catch: 'catch is not possible: refuse what is wrong, or use a default',
  never: 'never is not possible: leave the field out',
};

const keyCondition = 'conditions on the keys of a map are not possible: use z.string() and a rule';

const refusedKeywords: Record<string, string> = {
  $ref: 'references are not possible: give schemas of resources no id',
  definitions: 'references are not possible: give schemas of resources no id',
  $defs: 'references are not possible: give schemas of resources no id',
  nullable: 'null is not possible: make the field optional',
  allOf: 'several patterns are not possible: write one pattern, or a rule',
  oneOf: 'unions are not possible: use one object with optional fields and a rule',
  const: 'const is ignored by Kubernetes: use an enum',
  uniqueItems: "uniqueItems is not possible: use 'x-kubernetes-list-type': 'set'",
  propertyNames: keyCondition,
};

const noType = 'a type is missing: values of an enum must be of one type, and a free-form object is z.looseObject({})';

/**
 * Converts a zod schema to a structural schema. What it accepts is the schema's input: defaults are filled in by the API server.
 *
 * @throws NotStructuralError for what a CRD cannot say
 */
export function toStructuralSchema(schema: z.ZodType): StructuralSchema {
  const json = z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io: 'input',
    reused: 'inline',
    cycles: 'throw',
    override: ({ zodSchema, jsonSchema, path }) => {
      const advice = hasKeyCondition(zodSchema) ? keyCondition : refusedTypes[zodSchema._zod.def.type];
      if (advice !== undefined) throw new NotStructuralError(pathOf(path), advice);
      dropOwnPattern(zodSchema, jsonSchema);
    },
  });
  return convert(json, '');
}

/** zod leaves the condition out of this target without a word. */
function hasKeyCondition({ _zod: { def } }: z.core.$ZodTypes): boolean {
  if (def.type !== 'record') return false;
  const key = def.keyType._zod.def;
  return key.type !== 'string' || (key.checks?.length ?? 0) > 0;
}

/** zod adds a long pattern to every format; servers check formats themselves. A pattern that the schema asks for stays. */
function dropOwnPattern(schema: z.core.$ZodType, json: z.core.JSONSchema.BaseSchema): void {
  if (schema._zod.def.type !== 'string' || json.format === undefined) return;
  if (z.globalRegistry.get(schema)?.['pattern'] === undefined) delete json.pattern;
}

function convert(json: Json, path: string): StructuralSchema {
  refuseUnknown(json, path);
  const intOrString = isIntOrString(json, path);
  const result: StructuralSchema = {};
  copy(json, result, before);
  if (intOrString) {
    Object.assign(result, { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] });
  } else if (result.type === undefined) {
    throw new NotStructuralError(path, noType);
  }
  copy(json, result, after);
  copy(json, result, extensions);
  if (result.type === 'object') convertObject(json, result, path);
  if (result.type === 'array') result.items = convert(json['items'] as Json, `${path}[]`);
  if (result.type === 'integer') boundInteger(result);
  checkListMap(result, path);
  completeDefault(result);
  return result;
}

/**
 * Fills the defaults of the fields into the default of their object. The server does the same to objects, but it checks a CRD's
 * default against the rules as it stands there: a rule over `{}` finds no fields, and the whole CRD is refused.
 */
function completeDefault(schema: StructuralSchema): void {
  if (schema.type !== 'object' || schema.default === undefined) return;
  const fields = Object.entries(schema.properties ?? {}).filter(([, field]) => field.default !== undefined);
  const defaults = Object.fromEntries(fields.map(([name, field]) => [name, structuredClone(field.default)]));
  schema.default = { ...defaults, ...(schema.default as Json) };
}

function convertObject(json: Json, result: StructuralSchema, path: string): void {
  const properties = Object.entries((json['properties'] ?? {}) as Record<string, Json>);
  if (properties.length > 0) {
    result.properties = Object.fromEntries(
      properties.map(([name, value]) => [name, convert(value, path === '' ? name : `${path}.${name}`)]),
    );
  }
  const rest = json['additionalProperties'];
  if (typeof rest !== 'object' || rest === null) return; // false: unknown fields are pruned anyway
  if (Object.keys(rest).length > 0 && properties.length > 0) {
    throw new NotStructuralError(path, 'named fields and others of one type are not possible together');
  }
  if (Object.keys(rest).length === 0) result['x-kubernetes-preserve-unknown-fields'] = true;
  else result.additionalProperties = convert(rest as Json, `${path}{}`);
}

/** JavaScript's bounds of whole numbers say nothing; the format says how large the number may become. */
function boundInteger(result: StructuralSchema): void {
  if (result['minimum'] === Number.MIN_SAFE_INTEGER) delete result['minimum'];
  if (result['maximum'] === Number.MAX_SAFE_INTEGER) delete result['maximum'];
  const { minimum, maximum } = result;
  const small =
    typeof minimum === 'number' && typeof maximum === 'number' && minimum >= -(2 ** 31) && maximum < 2 ** 31;
  result.format ??= small ? 'int32' : 'int64';
}

function isIntOrString(json: Json, path: string): boolean {
  if (json['anyOf'] === undefined) return false;
  const types = (json['anyOf'] as Json[]).map((option) => option['type']).sort();
  if (types.join() === 'integer,string') return true;
  throw new NotStructuralError(path, 'of all unions only z.union([z.int(), z.string()]) is possible');
}

function refuseUnknown(json: Json, path: string): void {
  for (const keyword of Object.keys(json)) {
    const advice = refusedKeywords[keyword];
    if (advice !== undefined) throw new NotStructuralError(path, advice);
    if (!known.has(keyword)) throw new NotStructuralError(path, `the keyword ${keyword} is not known in a CRD`);
  }
  const format = json['format'];
  if (typeof format === 'string' && !formats.has(format)) {
    throw new NotStructuralError(path, `Kubernetes does not check the format ${format}`);
  }
}

function checkListMap(schema: StructuralSchema, path: string): void {
  if (schema['x-kubernetes-list-type'] !== 'map') return;
  for (const key of (schema['x-kubernetes-list-map-keys'] ?? []) as string[]) {
    const given = schema.items?.required?.includes(key) ?? false;
    if (!given && schema.items?.properties?.[key]?.default === undefined) {
      throw new NotStructuralError(path, `the list key ${key} must be required or have a default`);
    }
  }
}

function copy(from: Json, to: StructuralSchema, keywords: string[]): void {
  for (const keyword of keywords) if (from[keyword] !== undefined) to[keyword] = from[keyword];
}

/** The fields on the way to a place in a JSON schema, as people write them. */
function pathOf(path: (string | number)[]): string {
  return path.filter((part, index) => part !== 'properties' || path[index - 1] === 'properties').join('.');
}
