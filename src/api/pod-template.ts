import { z } from 'zod';
import { matching, text } from './fields.ts';
import { sizes } from './limits.ts';
import { agentContainer, group } from './names.ts';
import type { CelRule } from './rules.ts';
import { withRule } from './rules.ts';

const ownPrefix = `${group}/`;
const labelValuePattern = '^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$';
const keyPattern =
  '^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$';

type MapRule = CelRule & { holds: (map: Record<string, string>) => boolean };

const keysAreNotOurs = (kind: string): MapRule => ({
  rule: `self.all(key, !key.startsWith('${ownPrefix}'))`,
  message: `${kind} that begin with ${ownPrefix} are Bullpen's own: choose another prefix`,
  holds: (map) => Object.keys(map).every((key) => !key.startsWith(ownPrefix)),
});

const keyExpression = new RegExp(keyPattern);
const keysAreNames = (kind: string): MapRule => ({
  rule: `self.all(key, key.matches('${keyPattern}'))`,
  message: `keys of ${kind} must be names such as team or example.com/team`,
  holds: (map) => Object.keys(map).every((key) => keyExpression.test(key)),
});

function entries<V extends z.ZodType<string, string>>(kind: string, max: number, value: V) {
  const map = z
    .record(z.string(), value)
    .refine((entry) => Object.keys(entry).length <= max, { message: `must have at most ${max} entries` })
    .meta({ maxProperties: max });
  return withRule(withRule(map, keysAreNotOurs(kind)), keysAreNames(kind));
}

const labelValue = matching(
  labelValuePattern,
  63,
  "must be the value of a label: at most 63 letters, digits, '-', '_' and '.', and a letter or digit at both ends",
);

/** What an Agent adds to its pods beyond the fields of its own. */
export const podTemplate = z.object({
  metadata: z
    .object({
      labels: entries('labels', sizes.templateLabels, labelValue)
        .optional()
        .describe(
          `Labels of the pods; at most ${sizes.templateLabels}. Keys that begin with ${ownPrefix} are refused.`,
        ),
      annotations: entries('annotations', sizes.templateAnnotations, text(262_144))
        .optional()
        .describe(
          `Annotations of the pods; at most ${sizes.templateAnnotations}. Keys that begin with ${ownPrefix} are refused.`,
        ),
    })
    .optional()
    .describe('Labels and annotations that the pods get besides those of Bullpen, which win.'),
  spec: z
    .looseObject({})
    .optional()
    .describe(
      `Part of a pod spec, in the words of Kubernetes (kubectl explain pod.spec): nodeSelector, tolerations, affinity, runtimeClassName, volumes, imagePullSecrets, securityContext, priorityClassName, topologySpreadConstraints and so on. The container named ${agentContainer} is merged into the container of the agent: resources, volumeMounts, securityContext and so on. What is not allowed shows in the condition Ready of the Agent.`,
    ),
});
