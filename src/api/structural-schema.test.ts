import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { NotStructuralError, toStructuralSchema } from './structural-schema.ts';

const field = (schema: z.ZodType) => toStructuralSchema(z.object({ field: schema })).properties?.['field'];

describe('what a CRD can say', () => {
  test.each<[string, z.ZodType, unknown]>([
    ['text with bounds', z.string().min(1).max(9), { type: 'string', minLength: 1, maxLength: 9 }],
    ['text with a pattern', z.string().regex(/^a+$/), { type: 'string', pattern: '^a+$' }],
    ['a truth value', z.boolean(), { type: 'boolean' }],
    ['an enum', z.enum(['A', 'B']), { type: 'string', enum: ['A', 'B'] }],
    ['a literal becomes an enum, because const is ignored', z.literal('A'), { type: 'string', enum: ['A'] }],
    ['a list', z.array(z.string()).max(3), { type: 'array', maxItems: 3, items: { type: 'string' } }],
    ['a map', z.record(z.string(), z.string()), { type: 'object', additionalProperties: { type: 'string' } }],
    [
      'a description on the outermost wrapper',
      z.string().optional().describe('D'),
      { type: 'string', description: 'D' },
    ],
    ['an unbounded whole number without the bounds of JavaScript', z.int(), { type: 'integer', format: 'int64' }],
    ['a small whole number', z.int().min(0).max(9), { type: 'integer', format: 'int32', minimum: 0, maximum: 9 }],
    [
      'a whole number beyond 32 bits',
      z
        .int()
        .min(0)
        .max(2 ** 31),
      { type: 'integer', format: 'int64', minimum: 0, maximum: 2 ** 31 },
    ],
    ['an exclusive bound as a flag', z.number().gt(3), { type: 'number', minimum: 3, exclusiveMinimum: true }],
    [
      'a number or text',
      z.union([z.int(), z.string()]),
      { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] },
    ],
    ['a free-form object', z.looseObject({}), { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }],
    ['a strict object, because servers prune what is not known', z.strictObject({}), { type: 'object' }],
    ['a time without the pattern of zod', z.iso.datetime(), { type: 'string', format: 'date-time' }],
    [
      'a time with a pattern of its own',
      z.iso.datetime().meta({ pattern: '^2' }),
      { type: 'string', format: 'date-time', pattern: '^2' },
    ],
    ['no trace of readonly', z.array(z.string()).readonly(), { type: 'array', items: { type: 'string' } }],
    ['no examples', z.string().meta({ examples: ['x'] }), { type: 'string' }],
    [
      'rules and list types',
      z.array(z.object({ name: z.string() })).meta({
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
        'x-kubernetes-validations': [{ rule: 'true', message: 'm' }],
      }),
      {
        type: 'array',
        items: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
        'x-kubernetes-validations': [{ rule: 'true', message: 'm' }],
      },
    ],
  ])('%s', (_, schema, expected) => {
    expect(field(schema)).toEqual(expected);
  });

  test('a field with a default is not required', () => {
    expect(toStructuralSchema(z.object({ a: z.string().default('x'), b: z.string() }))).toEqual({
      type: 'object',
      properties: { a: { type: 'string', default: 'x' }, b: { type: 'string' } },
      required: ['b'],
    });
  });

  test('the default of an object holds the defaults of its fields, because rules are checked against it', () => {
    const inner = z.object({ low: z.int().default(1), high: z.int().default(2) }).prefault({ high: 3 });
    expect(field(z.object({ inner, other: z.string().optional() }).prefault({}))?.default).toEqual({
      inner: { low: 1, high: 3 },
    });
  });
});

describe('what a CRD cannot say is refused with advice, and with the place', () => {
  test.each<[string, z.ZodType, RegExp]>([
    ['any', z.any(), /looseObject/],
    ['unknown', z.unknown(), /looseObject/],
    ['tuple', z.tuple([z.string()]), /tuples/],
    ['nullable', z.string().nullable(), /optional/],
    ['nullable enum, whose null the enum refuses', z.enum(['A']).nullable(), /optional/],
    ['null', z.null(), /optional/],
    ['never', z.never(), /leave the field out/],
    ['union of objects', z.union([z.object({ a: z.string() }), z.object({ b: z.string() })]), /union/],
    [
      'discriminated union',
      z.discriminatedUnion('t', [z.object({ t: z.literal('a') }), z.object({ t: z.literal('b') })]),
      /union/,
    ],
    ['intersection', z.object({ a: z.string() }).and(z.object({ b: z.string() })), /intersections/],
    ['enum of mixed types', z.literal(['a', 1]), /one type/],
    ['several patterns', z.string().regex(/a/).regex(/b/), /one pattern/],
    ['transform', z.string().transform(Number), /transforms/],
    ['keys with a pattern', z.record(z.string().regex(/a/), z.string()), /keys/],
    ['keys from a list', z.record(z.enum(['a']), z.string()), /keys/],
    ['a catch', z.string().catch('x'), /catch/],
    ['fields and others of one type', z.object({ a: z.string() }).catchall(z.string()), /together/],
    ['a format that no server checks', z.email(), /format email/],
    ['an ISO duration, which Kubernetes does not know', z.iso.duration(), /format duration/],
    ['a keyword that no CRD knows', z.string().meta({ deprecated: true }), /keyword deprecated/],
    ['uniqueItems', z.array(z.string()).meta({ uniqueItems: true }), /list-type/],
    [
      'a list key that may be absent',
      z.array(z.object({ name: z.string().optional() })).meta({
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
      /list key name/,
    ],
  ])('%s', (_, schema, advice) => {
    const convert = () => field(schema);
    expect(convert).toThrow(NotStructuralError);
    expect(convert).toThrow(advice);
    expect(convert).toThrow(/field/);
  });

  test('a schema with an id, which would become a reference', () => {
    const shared = z.string().meta({ id: 'structural-schema-test' });
    expect(() => toStructuralSchema(z.object({ a: shared, b: shared }))).toThrow(/no id/);
  });

  test('what JSON cannot say at all', () => {
    expect(() => field(z.bigint())).toThrow();
    expect(() => field(z.date())).toThrow();
    expect(() => field(z.set(z.string()))).toThrow();
  });

  test('cycles', () => {
    const node: z.ZodType = z.lazy(() => z.object({ next: node.optional() }));
    expect(() => toStructuralSchema(z.object({ node }))).toThrow();
  });
});
