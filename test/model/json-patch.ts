import { isDeepStrictEqual } from 'node:util';
import type { JsonPatchOp } from '../../src/kube/api.ts';
import { toJson } from './json.ts';

/** A patch that cannot be applied: a failed `test`, or a path that does not exist. The API server answers 422. */
export class PatchError extends Error {
  override name = 'PatchError';
}

type Container = Record<string, unknown> | unknown[];

/**
 * RFC 6902 with the habits of the API server's library (evanphx/json-patch v4): a missing last part of a path tests equal to null,
 * a missing container in between is an error. Returns a new document.
 */
export function applyJsonPatch(document: object, ops: readonly JsonPatchOp[]): object {
  const result = toJson(document);
  for (const op of ops) applyOp(result, op);
  return result;
}

function applyOp(document: object, op: JsonPatchOp): void {
  const [container, key] = locate(document, op.path);
  switch (op.op) {
    case 'test':
      if (!isDeepStrictEqual(read(container, key) ?? null, op.value ?? null))
        throw new PatchError(`testing path ${op.path}: test failed`);
      return;
    case 'add':
      insert(container, key, toJson(op.value));
      return;
    case 'replace':
      if (read(container, key) === undefined) throw missing(op.path);
      assign(container, key, toJson(op.value));
      return;
    case 'remove':
      if (read(container, key) === undefined) throw missing(op.path);
      remove(container, key);
      return;
    case 'move':
    case 'copy':
      throw new PatchError(`the model does not know the operation ${op.op}`);
  }
}

function locate(document: object, path: string): [Container, string] {
  const parts = path.split('/').slice(1).map(unescape);
  const key = parts.pop();
  if (key === undefined) throw missing(path);
  let container: Container = document as Container;
  for (const part of parts) {
    const next = read(container, part);
    if (typeof next !== 'object' || next === null) throw missing(path);
    container = next as Container;
  }
  return [container, key];
}

function read(container: Container, key: string): unknown {
  return Array.isArray(container) ? container[Number(key)] : container[key];
}

function insert(container: Container, key: string, value: unknown): void {
  if (!Array.isArray(container)) container[key] = value;
  else if (key === '-') container.push(value);
  else if (Number(key) <= container.length) container.splice(Number(key), 0, value);
  else throw missing(key);
}

function assign(container: Container, key: string, value: unknown): void {
  if (Array.isArray(container)) container[Number(key)] = value;
  else container[key] = value;
}

function remove(container: Container, key: string): void {
  if (Array.isArray(container)) container.splice(Number(key), 1);
  else Reflect.deleteProperty(container, key);
}

function unescape(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}

function missing(path: string): PatchError {
  return new PatchError(`the path ${path} does not exist`);
}

/** RFC 7386: `null` removes, objects are merged, all else is replaced. Returns a new document. */
export function applyMergePatch(document: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return toJson(patch);
  const result: Record<string, unknown> = isObject(document) ? { ...document } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(result, key);
    else result[key] = applyMergePatch(result[key], value);
  }
  return result;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
