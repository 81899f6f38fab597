import { z } from 'zod';
import { text, timestamp } from './fields.ts';
import { sizes } from './limits.ts';

/** One condition, with the fields and limits of Kubernetes' `metav1.Condition`. */
const condition = z
  .object({
    type: text(316).describe('What the condition is about.'),
    status: z.enum(['True', 'False', 'Unknown']).describe('True, False, or Unknown when it cannot be told.'),
    observedGeneration: z
      .int()
      .min(0)
      .optional()
      .describe(
        'The generation (metadata.generation) that the condition is about; older than the current one means stale.',
      ),
    lastTransitionTime: timestamp().describe('When status last changed.'),
    reason: text(1024).describe('One stable word for the cause.'),
    message: text(sizes.message).describe('The cause in a sentence, for people.'),
  })
  .describe('One aspect of the state of the object.');

/** The list of conditions; `kubectl wait --for=condition=TYPE` reads it. Server-side apply merges it by type. */
export const conditions = (description: string) =>
  z
    .array(condition)
    .max(sizes.conditions)
    .meta({ description, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] });

export type Condition = z.output<typeof condition>;
