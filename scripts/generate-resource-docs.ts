import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as reasons from '../src/api/reasons.ts';
import type { ResourceDefinition } from '../src/api/resource.ts';
import { agents, sessions } from '../src/api/resources.ts';
import type { CelRule } from '../src/api/rules.ts';
import type { StructuralSchema } from '../src/api/structural-schema.ts';
import { toStructuralSchema } from '../src/api/structural-schema.ts';

/** The generated page. */
export const resourcePage = fileURLToPath(new URL('../docs/reference/resources.md', import.meta.url));

const catalogues: [title: string, catalogue: Record<string, string>][] = [
  ['Phases of a Session', reasons.sessionPhases],
  ['How an admitted Session ended', reasons.endReasons],
  ['Why a Session was rejected', reasons.rejectReasons],
  ['What a Session is waiting for', reasons.waitReasons],
  ['Conditions of a Session', reasons.sessionConditions],
  ['Conditions of an Agent', reasons.agentConditions],
  ["Reasons of an Agent's conditions", reasons.agentReasons],
  ['Reasons of Events about a PodDisruptionBudget or a NetworkPolicy', reasons.guardReasons],
];

/** The page about both resources, as Markdown. */
export function renderResourcePage(): string {
  return [
    '<!-- Generated from src/api: do not edit. `node scripts/generate-resource-docs.ts` makes it anew. -->',
    '# Agent and Session: every field',
    'The same texts are in the cluster: `kubectl explain agent.spec`, `kubectl explain session.status`.',
    ...[agents, sessions].flatMap(resourceSection),
    '## Phases, conditions and reasons',
    'Each word has one meaning, in `status`, in Events and in metrics alike. New ones may come; none changes its meaning.',
    ...catalogues.flatMap(([title, catalogue]) => [`### ${title}`, list(catalogueItems(catalogue))]),
  ]
    .join('\n\n')
    .concat('\n');
}

function resourceSection(resource: ResourceDefinition): string[] {
  const { kind, plural, shortNames, group, version, description, selectableFields, rules } = resource;
  const spec = toStructuralSchema(resource.spec);
  const selectors = selectableFields.map((path) => `\`${path.slice(1)}\``).join(', ');
  return [
    `## ${kind}`,
    `${description} \`apiVersion: ${group}/${version}\`; short name \`${shortNames.join('`, `')}\` for \`kubectl get ${plural}\`.`,
    ...(selectors === '' ? [] : [`Field selectors: ${selectors}.`]),
    `### What the spec of ${kind} may say`,
    list([...fieldItems(spec, 'spec')]),
    `### What is checked when a spec is applied`,
    list([...rules.map(({ message }) => message), ...ruleItems(spec, 'spec')]),
    `### What the status of ${kind} says`,
    list([...fieldItems(toStructuralSchema(resource.status), 'status')]),
  ];
}

const typeNames: Record<string, string> = {
  string: 'text',
  integer: 'whole number',
  number: 'number',
  boolean: 'true or false',
  array: 'list',
  object: 'object',
};

function* fieldItems(schema: StructuralSchema, path: string): Generator<string> {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const here = `${path}.${name}`;
    const required = schema.required?.includes(name) === true && path.startsWith('spec') ? ', required' : '';
    yield `\`${here}\` (${typeOf(field)}${required}): ${field.description ?? ''}`;
    yield* fieldItems(field, here);
    if (field.items) yield* fieldItems(field.items, `${here}[]`);
  }
}

function* ruleItems(schema: StructuralSchema, path: string): Generator<string> {
  for (const { message } of (schema['x-kubernetes-validations'] ?? []) as CelRule[]) yield `\`${path}\`: ${message}`;
  for (const [name, field] of Object.entries(schema.properties ?? {})) yield* ruleItems(field, `${path}.${name}`);
  if (schema.items) yield* ruleItems(schema.items, `${path}[]`);
  if (schema.additionalProperties) yield* ruleItems(schema.additionalProperties, `${path}.KEY`);
}

function typeOf(schema: StructuralSchema): string {
  if (schema['x-kubernetes-int-or-string'] === true) return 'whole number or text';
  if (schema.enum) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (schema.additionalProperties) return 'map of text';
  return typeNames[schema.type ?? ''] ?? '';
}

const catalogueItems = (catalogue: Record<string, string>) =>
  Object.entries(catalogue).map(([name, meaning]) => `\`${name}\`: ${meaning}.`);

const list = (items: string[]) => items.map((item) => `- ${item}`).join('\n');

if (import.meta.main) {
  await mkdir(dirname(resourcePage), { recursive: true });
  await writeFile(resourcePage, renderResourcePage());
  console.log('wrote docs/reference/resources.md');
}
