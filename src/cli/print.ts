import type { KubeObject } from '../kube/objects.ts';
import { apiVersionOf, type Resource } from '../kube/resources.ts';
import type { Format, Output } from './command.ts';

/** A column of a table. */
export interface Column<T> {
  name: string;
  of: (item: T) => string | number | boolean | undefined;
  /** Only with `-o wide`. */
  wide?: boolean;
}

/** Whether this is for programs, which want all of it. */
export function isData(output: Output): output is 'json' | 'yaml' {
  return output === 'json' || output === 'yaml';
}

/** A value for programs. */
export function encode(value: unknown, output: Extract<Format, 'json' | 'yaml'>): string {
  return output === 'json' ? JSON.stringify(value, undefined, 4) : toYaml(value);
}

/** Objects as kubectl prints them. */
export function render<T extends KubeObject>(
  items: readonly T[],
  {
    output,
    resource,
    columns,
    single = false,
  }: { output: Output; resource: Resource<T>; columns: readonly Column<T>[]; single?: boolean },
): string {
  switch (output) {
    case 'name':
      return items.map(({ metadata }) => `${typeOf(resource)}/${metadata.name}`).join('\n');
    case 'json':
    case 'yaml': {
      const full = items.map((item) => ({
        apiVersion: apiVersionOf(resource),
        kind: resource.kind,
        ...withoutManagedFields(item),
      }));
      return encode(single ? full[0] : { apiVersion: 'v1', kind: 'List', items: full }, output);
    }
    case '':
    case 'wide':
      return table(
        items,
        columns.filter(({ wide }) => wide !== true || output === 'wide'),
      );
  }
}

/** One object as kubectl prints it. */
export function renderOne<T extends KubeObject>(object: T, output: Format, resource: Resource<T>): string {
  return render([object], { output, resource, columns: [], single: true });
}

/** `session.bullpen.dev`, `namespace`. */
function typeOf({ kind, group }: Resource): string {
  return group === '' ? kind.toLowerCase() : `${kind.toLowerCase()}.${group}`;
}

function withoutManagedFields<T extends KubeObject>(object: T): T {
  const { managedFields: _managed, ...metadata } = object.metadata as T['metadata'] & { managedFields?: unknown };
  return { ...object, metadata };
}

/** Columns that are as wide as what is in them, three spaces apart. */
export function table<T>(items: readonly T[], columns: readonly Column<T>[]): string {
  const rows = [
    columns.map(({ name }) => name.toUpperCase()),
    ...items.map((item) => columns.map(({ of }) => String(of(item) ?? '') || '<none>')),
  ];
  // Not Math.max(...rows): there may be more of them than a call takes arguments.
  const widths = columns.map((_, index) => rows.reduce((width, row) => Math.max(width, row[index]?.length ?? 0), 0));
  return rows
    .map((row) =>
      row.map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index] ?? 0))).join('   '),
    )
    .join('\n');
}

/** How long ago that was, as kubectl says it: `45s`, `3m20s`, `2h`, `5d`. */
export function ago(time: string | undefined, now: number): string | undefined {
  if (time === undefined) return undefined;
  const seconds = Math.max(0, Math.floor((now - Date.parse(time)) / 1000));
  if (Number.isNaN(seconds)) return undefined;
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}

/** YAML of what JSON can say. */
export function toYaml(value: unknown, indent = ''): string {
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    return value
      .map((item) => `${indent}- ${isScalar(item) ? scalar(item) : toYaml(item, `${indent}  `).trimStart()}`)
      .join('\n');
  }
  if (value === null || typeof value !== 'object') return scalar(value);
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  if (entries.length === 0) return '{}';
  return entries
    .map(([key, member]) => {
      const name = `${indent}${scalar(key)}:`;
      if (isScalar(member)) return `${name} ${scalar(member)}`;
      return `${name}\n${toYaml(member, Array.isArray(member) ? indent : `${indent}  `)}`;
    })
    .join('\n');
}

function isScalar(value: unknown): boolean {
  return value === null || typeof value !== 'object' || Object.keys(value).length === 0;
}

/** Text that could be taken for something else is quoted; JSON's quotes are YAML's. */
function scalar(value: unknown): string {
  if (Array.isArray(value)) return '[]';
  if (value !== null && typeof value === 'object') return '{}';
  if (typeof value !== 'string') return String(value);
  const isPlain =
    /^[A-Za-z_/][\w ./@-]*$/.test(value) &&
    !/^(true|false|null|yes|no|on|off|y|n|~)$/i.test(value) &&
    !/\s$/.test(value);
  return isPlain ? value : JSON.stringify(value);
}
