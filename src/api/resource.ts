import type { z } from 'zod';
import { group, version } from './names.ts';
import type { CelRule } from './rules.ts';

/** A column of `kubectl get`. */
export interface PrinterColumn {
  name: string;
  type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  jsonPath: string;
  description: string;
  /** Shown only with `-o wide`. */
  wide?: boolean;
}

/** What a resource is, before {@link defineResource} adds what all of ours share. */
export interface ResourceOptions {
  kind: string;
  plural: string;
  singular: string;
  shortNames: string[];
  description: string;
  spec: z.ZodType;
  status: z.ZodType;
  /** CEL rules on the whole object; of the metadata they see only the name. */
  rules: CelRule[];
  printerColumns: PrinterColumn[];
  /** Paths that `kubectl get --field-selector` may name. */
  selectableFields: string[];
}

/**
 * A resource: all that makes its CRD, its types and its documentation. It can be passed wherever a client wants to know group,
 * version, plural and kind.
 */
export interface ResourceDefinition<T = unknown> extends ResourceOptions {
  group: string;
  version: string;
  namespaced: boolean;
  categories: string[];
  /** Never set: it carries the type of the resource's objects. */
  readonly _type?: T;
}

/** Completes a resource of ours: group, version, namespaced, category `bullpen`. */
export function defineResource<T>(options: ResourceOptions): ResourceDefinition<T> {
  return { ...options, group, version, namespaced: true, categories: ['bullpen'] };
}
