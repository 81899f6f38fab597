import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import type { Cluster } from '../cluster/cluster.ts';
import { CommandError } from '../cluster/run.ts';

export const chartFolder = fileURLToPath(new URL('../../charts/bullpen', import.meta.url));

/** What the tests look at in an object of any kind. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels: Record<string, string>;
    annotations?: Record<string, string>;
  };
  spec?: Record<string, unknown>;
  rules?: Rule[];
  subjects?: { kind: string; name: string; namespace: string }[];
  roleRef?: { kind: string; name: string };
}

interface Rule {
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
  verbs: string[];
}

export interface PodSpec {
  serviceAccountName: string;
  securityContext: Record<string, unknown>;
  containers: {
    name: string;
    image: string;
    args: string[];
    env?: { name: string; value?: string }[];
    resources: { requests: object; limits: object };
    securityContext: Record<string, unknown>;
  }[];
  topologySpreadConstraints?: unknown[];
  priorityClassName?: string;
}

/** Values as a nested object. */
export type Values = Record<string, unknown>;

export interface RenderOptions {
  namespace?: string;
  /** Names of the only templates to look at; all, hooks and tests included, when left out. */
  only?: readonly string[];
}

/** The objects that the chart makes of these values. */
export async function render(
  cluster: Pick<Cluster, 'helm'>,
  values: Values = {},
  { namespace = 'bullpen-system', only = [] }: RenderOptions = {},
): Promise<Manifest[]> {
  const templates = only.flatMap((name) => ['--show-only', `templates/${name}`]);
  const args = ['template', 'bullpen', chartFolder, '--namespace', namespace, ...templates, '--values', '-'];
  const { stdout } = await cluster.helm(args, { input: JSON.stringify(values) });
  return parseAllDocuments(stdout).flatMap((document) => (document.toJS() as Manifest | null) ?? []);
}

/** What Helm says against these values. Throws when it has nothing against them. */
export async function refusal(cluster: Pick<Cluster, 'helm'>, values: Values): Promise<string> {
  try {
    await render(cluster, values);
  } catch (error) {
    if (error instanceof CommandError) return error.stderr;
    throw error;
  }
  throw new Error(`helm accepts ${JSON.stringify(values)}`);
}

/** The specs of the pods that these objects make, by the name of the object. */
export function podSpecs(manifests: readonly Manifest[]): Map<string, PodSpec> {
  const specs = new Map<string, PodSpec>();
  for (const { kind, metadata, spec } of manifests) {
    if (kind === 'Pod') specs.set(metadata.name, spec as unknown as PodSpec);
    const template = (spec as { template?: { spec: PodSpec } } | undefined)?.template;
    if (template !== undefined) specs.set(metadata.name, template.spec);
  }
  return specs;
}

/** `Kind name`, with `namespace/` before the name of what is in one. */
export function titles(manifests: readonly Manifest[]): string[] {
  return manifests.map(({ kind, metadata: { name, namespace } }) =>
    namespace === undefined ? `${kind} ${name}` : `${kind} ${namespace}/${name}`,
  );
}
