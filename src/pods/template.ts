import { z } from 'zod';

const env = z.looseObject({ name: z.string() });
const mount = z.looseObject({ name: z.string(), mountPath: z.string() });

const seLinuxOptions = z.looseObject({
  type: z.string().optional(),
  user: z.string().optional(),
  role: z.string().optional(),
});

const securityContext = z.looseObject({
  runAsNonRoot: z.boolean().optional(),
  runAsUser: z.number().optional(),
  seLinuxOptions: seLinuxOptions.optional(),
  privileged: z.boolean().optional(),
  allowPrivilegeEscalation: z.boolean().optional(),
  capabilities: z.looseObject({ add: z.array(z.string()).optional(), drop: z.array(z.string()).optional() }).optional(),
  seccompProfile: z.looseObject({ type: z.string() }).optional(),
  appArmorProfile: z.looseObject({ type: z.string() }).optional(),
  procMount: z.string().optional(),
  windowsOptions: z.looseObject({ hostProcess: z.boolean().optional() }).optional(),
});

const container = z.looseObject({
  name: z.string(),
  image: z.string().optional(),
  env: z.array(env).optional(),
  envFrom: z.array(z.looseObject({})).optional(),
  volumeMounts: z.array(mount).optional(),
  ports: z.array(z.looseObject({ hostPort: z.number().optional() })).optional(),
  securityContext: securityContext.optional(),
});

const volume = z.looseObject({
  name: z.string(),
  hostPath: z.unknown().optional(),
  projected: z
    .looseObject({
      sources: z
        .array(z.looseObject({ serviceAccountToken: z.unknown().optional(), podCertificate: z.unknown().optional() }))
        .optional(),
    })
    .optional(),
});

/**
 * The parts of a pod spec that Bullpen reads or sets. Everything else passes through to the API server, which
 * validates it when the pod is created.
 */
export const templateSpecSchema = z.looseObject({
  containers: z.array(container).optional(),
  initContainers: z.array(container).optional(),
  volumes: z.array(volume).optional(),
  tolerations: z.array(z.looseObject({})).optional(),
  hostNetwork: z.boolean().optional(),
  hostPID: z.boolean().optional(),
  hostIPC: z.boolean().optional(),
  automountServiceAccountToken: z.boolean().optional(),
  serviceAccountName: z.string().optional(),
  serviceAccount: z.string().optional(),
  securityContext: z
    .looseObject({
      runAsNonRoot: z.boolean().optional(),
      runAsUser: z.number().optional(),
      seLinuxOptions: seLinuxOptions.optional(),
      seccompProfile: z.looseObject({ type: z.string() }).optional(),
      appArmorProfile: z.looseObject({ type: z.string() }).optional(),
      sysctls: z.array(z.looseObject({})).optional(),
      windowsOptions: z.looseObject({ hostProcess: z.boolean().optional() }).optional(),
    })
    .optional(),
});

export type TemplateSpec = z.infer<typeof templateSpecSchema>;
export type TemplateContainer = z.infer<typeof container>;
export type TemplateSecurityContext = z.infer<typeof securityContext>;

/** Every container of a template with its path, init containers first. */
export function* allContainers(spec: TemplateSpec): Generator<{ path: string; container: TemplateContainer }> {
  for (const list of ['initContainers', 'containers'] as const) {
    for (const container of spec[list] ?? []) yield { path: `${list}[${container.name}]`, container };
  }
}
