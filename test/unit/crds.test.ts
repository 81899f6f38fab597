import { readdirSync, readFileSync } from 'node:fs';
import { RE2JS } from 're2js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { renderResourcePage, resourcePage } from '../../scripts/generate-resource-docs.ts';
import { crdFolder, renderCrds } from '../../scripts/generate-crds.ts';
import type { CelRule } from '../../src/api/rules.ts';
import type { StructuralSchema } from '../../src/api/structural-schema.ts';

interface Crd {
  spec: { versions: { schema: { openAPIV3Schema: StructuralSchema } }[] };
}

/** Every schema in a CRD, with its path. */
function* walk(schema: StructuralSchema, path = ''): Generator<[string, StructuralSchema]> {
  yield [path, schema];
  for (const [name, field] of Object.entries(schema.properties ?? {})) yield* walk(field, `${path}.${name}`);
  if (schema.items) yield* walk(schema.items, `${path}[]`);
  if (schema.additionalProperties) yield* walk(schema.additionalProperties, `${path}{}`);
}

const crds = [...renderCrds()].map(([name, text]) => {
  const crd = parse(text) as Crd;
  const root = crd.spec.versions[0]?.schema.openAPIV3Schema ?? {};
  return { name, text, schemas: [...walk(root)] };
});

const rulesOf = (schema: StructuralSchema) => (schema['x-kubernetes-validations'] ?? []) as CelRule[];

test('the files in crds/ are what the schemas say: run `node scripts/generate-crds.ts` after a change', () => {
  expect(readdirSync(crdFolder).sort()).toEqual(crds.map(({ name }) => name).sort());
  for (const { name, text } of crds) expect(readFileSync(`${crdFolder}${name}`, 'utf8')).toBe(text);
});

test('the page about the resources is what the schemas say: run `node scripts/generate-resource-docs.ts`', () => {
  expect(readFileSync(resourcePage, 'utf8')).toBe(renderResourcePage());
});

describe.each(crds)('$name', ({ schemas }) => {
  test('every field has a description that ends as a sentence, for kubectl explain', () => {
    const bare = schemas
      .filter(([path]) => /^\.(spec|status)/.test(path) && /\w$/.test(path))
      .filter(([, schema]) => !/^[A-Z].*\.$/s.test(schema.description ?? ''))
      .map(([path]) => path);
    expect(bare).toEqual([]);
  });

  test('a description names the default, where there is one', () => {
    const silent = schemas
      .filter(([, { default: value }]) => value !== undefined && typeof value !== 'object')
      .filter(([, { default: value, description = '' }]) => !description.includes(`efault ${String(value)}.`))
      .map(([path]) => path);
    expect(silent).toEqual([]);
  });

  test('patterns, also those in rules, mean the same to the server (RE2) as to us', () => {
    const samples = [
      '',
      'a',
      'a-b',
      'a-',
      'A',
      'a.b',
      'a..b',
      'x/y',
      'a b',
      'a\n',
      'é',
      '1',
      '2030-01-31T12:00:00Z',
      '2030',
    ];
    const patterns = schemas.flatMap(([, schema]) => [
      ...(typeof schema['pattern'] === 'string' ? [schema['pattern']] : []),
      ...rulesOf(schema).flatMap(({ rule }) =>
        [...rule.matchAll(/matches\('([^']*)'\)/g)].map((match) => match[1] ?? ''),
      ),
    ]);
    for (const pattern of new Set(patterns)) {
      const re2 = RE2JS.compile(pattern);
      for (const sample of samples)
        expect([pattern, sample, re2.test(sample)]).toEqual([pattern, sample, new RegExp(pattern).test(sample)]);
    }
    expect(patterns.length).toBeGreaterThan(0);
  });

  test('whatever can grow is bounded, but for what Kubernetes itself checks', () => {
    const unbounded = schemas
      .filter(([path]) => path.startsWith('.spec'))
      .filter(
        ([, schema]) =>
          (schema.type === 'string' && schema['maxLength'] === undefined && !schema.enum && !schema.format) ||
          (schema.type === 'array' && schema['maxItems'] === undefined) ||
          (schema.additionalProperties !== undefined && schema['maxProperties'] === undefined),
      )
      .map(([path]) => path);
    expect(unbounded).toEqual([]);
  });

  test('every rule has a sentence that fits on a screen', () => {
    for (const [, schema] of schemas) {
      for (const { message } of rulesOf(schema)) expect(message).toMatch(/^[^\n]{20,200}$/);
    }
  });
});

test('no field of a Session has a default: a default in an immutable field would show as a drift from Git', () => {
  const session = crds.find(({ name }) => name.includes('sessions'));
  expect(session?.schemas.filter(([, schema]) => schema.default !== undefined)).toEqual([]);
});
