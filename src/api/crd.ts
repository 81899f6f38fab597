import type { PrinterColumn, ResourceDefinition } from './resource.ts';
import { toStructuralSchema } from './structural-schema.ts';

/** A CustomResourceDefinition as plain data, ready to be written as YAML or sent to an API server. */
export type CustomResourceDefinition = Record<string, unknown> & {
  metadata: { name: string; labels: Record<string, string>; annotations: Record<string, string> };
};

/** The CustomResourceDefinition of a resource. */
export function toCustomResourceDefinition(resource: ResourceDefinition): CustomResourceDefinition {
  const { group, kind, plural, singular, shortNames, categories } = resource;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${group}`,
      // Uninstalling the chart must not delete the Agents and Sessions of a cluster.
      annotations: { 'helm.sh/resource-policy': 'keep' },
      labels: { 'app.kubernetes.io/name': 'bullpen' },
    },
    spec: {
      group,
      scope: resource.namespaced ? 'Namespaced' : 'Cluster',
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories },
      versions: [versionOf(resource)],
    },
  };
}

function versionOf(resource: ResourceDefinition) {
  const { version, printerColumns, selectableFields } = resource;
  return {
    name: version,
    served: true,
    storage: true,
    additionalPrinterColumns: printerColumns.map(toColumn),
    ...(selectableFields.length > 0 && { selectableFields: selectableFields.map((jsonPath) => ({ jsonPath })) }),
    subresources: { status: {} },
    schema: { openAPIV3Schema: rootSchema(resource) },
  };
}

function rootSchema({ description, rules, spec, status }: ResourceDefinition) {
  return {
    description,
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: toStructuralSchema(spec),
      status: toStructuralSchema(status),
    },
    ...(rules.length > 0 && { 'x-kubernetes-validations': rules }),
  };
}

function toColumn({ wide, ...column }: PrinterColumn) {
  return { ...column, ...(wide === true && { priority: 1 }) };
}
