import { z } from 'zod';
import { dataKey, matching, objectName, text } from './fields.ts';
import { sizes } from './limits.ts';
import { withRule } from './rules.ts';

const optionalFlag = (what: string) =>
  z
    .boolean()
    .optional()
    .describe(`Whether the session starts without it when the ${what} does not exist. Default false.`);

const keySelector = (kind: string) =>
  z.object({
    name: objectName().describe(`Name of the ${kind}, in the Agent's namespace.`),
    key: dataKey().describe(`Key in the ${kind}.`),
    optional: optionalFlag(`${kind} or the key`),
  });

const sources = ['secretKeyRef', 'configMapKeyRef', 'fieldRef', 'resourceFieldRef'] as const;

const valueFrom = withRule(
  z.object({
    secretKeyRef: keySelector('Secret').optional().describe('A key of a Secret.'),
    configMapKeyRef: keySelector('ConfigMap').optional().describe('A key of a ConfigMap.'),
    fieldRef: z
      .object({
        apiVersion: text(64)
          .optional()
          .describe('Version of the pod schema that fieldPath is written for. Default v1.'),
        fieldPath: text(512).describe('Path of the field, such as metadata.name, spec.nodeName or status.podIP.'),
      })
      .optional()
      .describe("A field of the session's pod."),
    resourceFieldRef: z
      .object({
        containerName: text(63).optional().describe('Name of the container. Default: the agent.'),
        resource: text(253).describe('The resource, such as limits.cpu or requests.memory.'),
        divisor: z
          .union([z.int(), z.string()], { error: 'must be a quantity such as 1, 1m or 1Mi' })
          .optional()
          .describe('Unit of the value as a quantity, such as 1m or 1Mi. Default 1.'),
      })
      .optional()
      .describe('A resource request or limit of a container.'),
  }),
  {
    rule: `[${sources.map((name) => `has(self.${name})`).join(', ')}].filter(set, set).size() == 1`,
    message: `valueFrom must have exactly one of ${sources.join(', ')}`,
    holds: (value) => sources.filter((name) => value[name] !== undefined).length === 1,
  },
);

/** One environment variable, as in a container of a pod. */
export const envVar = withRule(
  z.object({
    name: matching(
      '^[-._a-zA-Z][-._a-zA-Z0-9]*$',
      253,
      "must be the name of an environment variable: at most 253 letters, digits, '-', '_' and '.', and no digit at the start",
    ).describe('Name of the variable.'),
    value: text(sizes.argumentCharacters)
      .optional()
      .describe(
        'Value of the variable. $(NAME) stands for the value of another variable, $$(NAME) for the text $(NAME). Default empty.',
      ),
    valueFrom: valueFrom.optional().describe('Where the value comes from, instead of value.'),
  }),
  {
    rule: '!(has(self.value) && has(self.valueFrom))',
    message: 'an environment variable may have value or valueFrom, not both',
    holds: (variable) => variable.value === undefined || variable.valueFrom === undefined,
  },
);

const sourceReference = (kind: string) =>
  z.object({
    name: objectName().describe(`Name of the ${kind}, in the Agent's namespace.`),
    optional: optionalFlag(kind),
  });

/** All keys of a ConfigMap or Secret as environment variables. */
export const envFromSource = withRule(
  z.object({
    prefix: text(253).optional().describe('Put in front of each name. Default empty.'),
    configMapRef: sourceReference('ConfigMap').optional().describe('The ConfigMap whose keys become variables.'),
    secretRef: sourceReference('Secret').optional().describe('The Secret whose keys become variables.'),
  }),
  {
    rule: 'has(self.configMapRef) != has(self.secretRef)',
    message: 'an entry of envFrom must have exactly one of configMapRef and secretRef',
    holds: (source) => (source.configMapRef === undefined) !== (source.secretRef === undefined),
  },
);
