import { z } from 'zod';
import { sizes } from './limits.ts';
import { agentContainer, group } from './names.ts';
import { text } from './fields.ts';
import { withRule } from './rules.ts';

const ownPrefix = `${group}/`;

const keysAreNotOurs = (kind: string) => ({
  rule: `self.all(key, !key.startsWith('${ownPrefix}'))`,
  message: `${kind} that begin with ${ownPrefix} are Bullpen's own: choose another prefix`,
  holds: (map: Record<string, string>) => Object.keys(map).every((key) => !key.startsWith(ownPrefix)),
});

const tooMany = (kind: string, max: number) => ({
  message: `may have at most ${max} ${kind}`,
});

const entries = <V extends z.ZodType<string, string>>(kind: string, max: number, value: V) =>
  withRule(
    z
      .record(z.string(), value)
      .refine((map) => Object.keys(map).length <= max, tooMany(kind, max))
      .meta({ maxProperties: max }),
    keysAreNotOurs(kind),
  );

/** What an Agent adds to its pods beyond the fields of its own. */
export const podTemplate = z.object({
  metadata: z
    .object({
      labels: entries(
        'labels',
        sizes.templateLabels,
        z
          .string()
          .max(63)
          .regex(/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/),
      )
        .optional()
        .describe(
          `Labels of the pods. Keys that begin with ${ownPrefix} are refused; at most ${sizes.templateLabels}.`,
        ),
      annotations: entries('annotations', sizes.templateAnnotations, text(262_144))
        .optional()
        .describe(
          `Annotations of the pods. Keys that begin with ${ownPrefix} are refused; at most ${sizes.templateAnnotations}.`,
        ),
    })
    .optional()
    .describe('Labels and annotations that the pods get besides those of Bullpen.'),
  spec: z
    .looseObject({})
    .optional()
    .describe(
      `Part of a pod spec, in the words of Kubernetes (kubectl explain pod.spec): nodeSelector, tolerations, affinity, runtimeClassName, volumes, imagePullSecrets, securityContext, priorityClassName, topologySpreadConstraints and so on. The container named ${agentContainer} is merged into the container of the agent: resources, volumeMounts, securityContext. What is not allowed shows in the condition Ready of the Agent.`,
    ),
});

export type PodTemplate = z.output<typeof podTemplate>;
