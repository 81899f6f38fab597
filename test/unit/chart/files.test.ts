import { readdir, readFile, readlink } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { isMap, isScalar, parse, parseDocument } from 'yaml';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const chart = `${root}charts/bullpen`;

interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: unknown;
}

const text = (path: string): Promise<string> => readFile(`${chart}/${path}`, 'utf8');
const values = parse(await text('values.yaml')) as Record<string, unknown>;
const schema = JSON.parse(await text('values.schema.json')) as Schema;

/** Paths of the values that the schema names: `image.tag`. */
function namedBySchema(part: Schema, path: string[] = []): string[] {
  if (part.properties === undefined) return [path.join('.')];
  return Object.entries(part.properties).flatMap(([key, child]) => namedBySchema(child, [...path, key]));
}

/** Paths of the values in values.yaml, as deep as the schema names them. */
function namedByValues(value: unknown, part: Schema | undefined, path: string[] = []): string[] {
  if (part?.properties === undefined) return [path.join('.')];
  return Object.entries(value as object).flatMap(([key, child]: [string, unknown]) =>
    namedByValues(child, part.properties?.[key], [...path, key]),
  );
}

test('values.yaml and its schema name the same values', () => {
  expect(namedByValues(values, schema).sort()).toEqual(namedBySchema(schema).sort());
});

test('every object with named values refuses others', () => {
  const check = (part: Schema, path: string): void => {
    if (part.properties === undefined) return;
    expect(part.additionalProperties, path).toBe(false);
    for (const [key, child] of Object.entries(part.properties)) check(child, `${path}.${key}`);
  };
  check(schema, 'values');
});

test('every value has a comment on the line above', async () => {
  const yaml = await text('values.yaml');
  const document = parseDocument(yaml);
  const uncommented = namedBySchema(schema).filter((path) => {
    const keys = path.split('.');
    const map = keys.length === 1 ? document.contents : document.getIn(keys.slice(0, -1));
    const pair = isMap(map) ? map.items.find(({ key }) => String(key) === keys.at(-1)) : undefined;
    const offset = isScalar(pair?.key) ? (pair.key.range?.[0] ?? 0) : 0;
    return !yaml.slice(0, offset).split('\n').at(-2)?.trim().startsWith('#');
  });
  expect(uncommented).toEqual([]);
});

test('the chart ships the CRDs that are generated, and no copies', async () => {
  expect(await readlink(`${chart}/files/crds`)).toBe('../../../crds');
  expect(await readdir(`${chart}/files/crds`)).toEqual(await readdir(`${root}crds`));
});

test('chart, application and package have one version', async () => {
  const { version } = JSON.parse(await readFile(`${root}package.json`, 'utf8')) as { version: string };
  const { version: chartVersion, appVersion } = parse(await text('Chart.yaml')) as Record<string, string>;
  expect([chartVersion, appVersion]).toEqual([version, version]);
});
