import { z } from 'zod';
import { conditions } from './conditions.ts';
import { agentName, dataKey, objectName, openEnum, rfc3339Time, sealedText, text, timestamp } from './fields.ts';
import { sessionLimits, sizes } from './limits.ts';
import type { Metadata } from './metadata.ts';
import { headersKey, labels, type group, type version } from './names.ts';
import type { SessionReason } from './reasons.ts';
import {
  endReasons,
  explain,
  namesOf,
  rejectReasons,
  sessionConditions,
  sessionPhases,
  sessionTransports,
  startKinds,
  waitReasons,
} from './reasons.ts';
import { withRule, withTransitionRule } from './rules.ts';

const limits = sessionLimits;

const fields = z.object({
  agent: agentName().describe('Name of the Agent to run, in the same namespace. Cannot be changed.'),
  body: text(limits.bodyCharacters)
    .optional()
    .describe(
      `What the agent is told: any text, at most ${limits.bodyCharacters} characters, handed over byte for byte. Whoever may read the Session may read it. Not together with bodyFrom or sealedBody. Cannot be changed.`,
    ),
  bodyFrom: z
    .object({
      secretKeyRef: z
        .object({
          name: objectName().describe('Name of the Secret, in the same namespace.'),
          key: dataKey().describe('Key in the Secret whose value is the body.'),
        })
        .describe(
          `A key of a Secret. The Secret must have the label ${labels.body}. Under the key ${headersKey} it may hold headers for the agent, as JSON.`,
        ),
    })
    .optional()
    .describe(
      'Where the body comes from, when it is large or nobody else should read it. Not together with body or sealedBody. Cannot be changed.',
    ),
  sealedBody: sealedText(limits.sealedBodyCharacters)
    .optional()
    .describe(
      `The body, and headers for the agent, sealed for this Session with the controller's public key, so that only the controller can read them: a JWE in compact form, at most ${limits.sealedBodyCharacters} characters. For Agents of protocol Http. Not together with body or bodyFrom. Cannot be changed.`,
    ),
  transport: z
    .enum(namesOf(sessionTransports))
    .optional()
    .describe(
      `How the agent is reached: ${explain(sessionTransports)}. Not set: the agent is told by POST /bot. For Agents of protocol Http. Cannot be changed.`,
    ),
  maxSessionDuration: z
    .int()
    .min(limits.maxSessionDuration.min)
    .max(limits.maxSessionDuration.max)
    .optional()
    .describe(
      `Longest time that this session may run, in seconds: ${limits.maxSessionDuration.min} to ${limits.maxSessionDuration.max}. It can only shorten what the Agent allows, and is the Agent's maxSessionDuration when not set. Cannot be changed.`,
    ),
  startBefore: rfc3339Time()
    .optional()
    .describe(
      'Time (RFC 3339, such as 2030-01-31T12:00:00Z) by which the session must have started; later it is rejected. It keeps a Session that comes back from a backup from running again. Not set: no such time. Cannot be changed.',
    ),
  ttlSecondsAfterFinished: z
    .int()
    .min(limits.ttlSecondsAfterFinished.min)
    .max(limits.ttlSecondsAfterFinished.max)
    .optional()
    .describe(
      'How long the Session is kept when it is over, in seconds, as in a Job; 0 deletes it at once. Not set: it is kept, so that GitOps tools do not make it, and start it, again. Can be changed.',
    ),
  stop: z
    .boolean()
    .optional()
    .describe(
      'Set it to true to stop the session; its logs and its record stay. Once true it stays true. Not set is false.',
    ),
});

/** Fields that never change, because the session they describe runs once. */
const immutable = [
  'agent',
  'body',
  'bodyFrom',
  'sealedBody',
  'transport',
  'maxSessionDuration',
  'startBefore',
] as const satisfies (keyof z.output<typeof fields>)[];

/**
 * Rules about changes stand on the whole spec: a rule on an optional field does not run when the field is added or removed.
 */
function withImmutability<S extends z.ZodType>(schema: S): S {
  let result = schema;
  for (const name of immutable) {
    result = withTransitionRule(result, {
      rule: `has(self.${name}) == has(oldSelf.${name}) && (!has(self.${name}) || self.${name} == oldSelf.${name})`,
      message: `${name} cannot be changed, because a session runs once: make a new Session. Only stop and ttlSecondsAfterFinished can be changed`,
      fieldPath: `.${name}`,
      reason: 'FieldValueForbidden',
    });
  }
  return withTransitionRule(result, {
    rule: '!(has(oldSelf.stop) && oldSelf.stop) || (has(self.stop) && self.stop)',
    message: 'stop cannot be taken back: once true it stays true. Make a new Session to run the agent again',
    fieldPath: '.stop',
    reason: 'FieldValueForbidden',
  });
}

/** The spec of a Session: which Agent to run, and what to tell it. */
export const sessionSpec = withImmutability(
  withRule(fields, {
    rule: '[has(self.body), has(self.bodyFrom), has(self.sealedBody)].filter(given, given).size() <= 1',
    message: 'a Session may have one of body, bodyFrom and sealedBody',
    holds: ({ body, bodyFrom, sealedBody }) =>
      [body, bodyFrom, sealedBody].filter((given) => given !== undefined).length <= 1,
  }),
).describe('Which Agent to run, and what to tell it. Only stop and ttlSecondsAfterFinished can be changed later.');

const whole = (description: string) => z.int().min(0).describe(description);
const wholeSeconds = (description: string) =>
  timestamp().optional().describe(`${description} In whole seconds, by the clock of Kubernetes.`);
const milliseconds = (description: string) =>
  timestamp().optional().describe(`${description} In milliseconds, by the clock of Bullpen's controller.`);

/** The limits that a Session runs under: copied from its Agent when it is admitted, so that it needs nothing from it later. */
export const sessionStatusLimits = z
  .object({
    maxSessionDuration: whole('Longest time that the session may run, in seconds.'),
    startTimeoutSeconds: whole('How long it may take to start, in seconds.'),
    nodeLostAfterSeconds: whole('How long its node may be silent, in seconds.'),
    terminationGracePeriodSeconds: whole('How long the agent may take to end when told to, in seconds.'),
  })
  .describe(
    'The limits in force, copied from the Agent when the Session was admitted: later changes of the Agent do not touch it.',
  );

/** The status of a Session, written by the controller. */
export const sessionStatus = z
  .object({
    observedGeneration: whole('The generation (metadata.generation) of the spec that this status is about.').optional(),
    phase: z
      .enum(namesOf(sessionPhases))
      .optional()
      .describe(`Where the Session is in its life: ${explain(sessionPhases)}. Ended and Rejected are final.`),
    reason: openEnum<SessionReason>(
      `Why it is in this phase. While it has not started: ${explain(waitReasons)}. Stopping or Ended: ${explain(endReasons)}. Rejected: ${explain(rejectReasons)}.`,
    ).optional(),
    message: text(sizes.message).optional().describe('The reason in a sentence, for people.'),
    conditions: conditions(`Milestones: ${explain(sessionConditions)}.`).optional(),
    queuePosition: whole('Place in the queue while it waits for its turn; 1 is next.').optional(),
    podName: text(sizes.dnsSubdomain).optional().describe('Name of its pod; kubectl logs shows what the agent wrote.'),
    revision: text(63)
      .optional()
      .describe('The revision of the Agent that its pod is of, as in the status of the Agent at that time.'),
    podUID: text(128).optional().describe('The uid (metadata.uid) of its pod.'),
    nodeName: text(sizes.dnsSubdomain).optional().describe('Name of the node that its pod is on.'),
    startKind: z
      .enum(namesOf(startKinds))
      .optional()
      .describe(`How it got its pod: ${explain(startKinds)}.`),
    createdAt: wholeSeconds('When the Session was made.'),
    queuedAt: milliseconds('When it began to wait for its turn, if it had to.'),
    admittedAt: milliseconds('When it got its place among the sessions of the Agent.'),
    boundAt: milliseconds('When it got its pod.'),
    startedAt: timestamp()
      .optional()
      .describe(
        'When the session began; its time counts from here. Protocol Process: when its container started, in whole seconds by the clock of Kubernetes. Http: when the agent was told to begin, in milliseconds by the clock of its node.',
      ),
    attempt: whole(
      'How many pods it has had that were lost before the agent was told anything. Not set: none.',
    ).optional(),
    stoppingAt: milliseconds('When it was told to stop.'),
    endedAt: timestamp()
      .optional()
      .describe(
        'When it was over: in whole seconds by the clock of its node, or, when the node never told, in milliseconds by the clock of the controller. endedAtSource says which.',
      ),
    endedAtSource: z
      .enum(['Kubelet', 'Controller'])
      .optional()
      .describe('Whose clock endedAt is: Kubelet (its node) or Controller (Bullpen, because the node never told).'),
    usageSeconds: whole(
      "What it used, in seconds by its node's clock: starting, running and teardown, from the moment a node took its pod to the end of its last container.",
    ).optional(),
    limits: sessionStatusLimits.optional(),
    exitCode: z.int().optional().describe("Exit code of the agent's container, when it is known."),
  })
  .describe('What became of the Session. Written by Bullpen only.');

export type SessionSpec = z.output<typeof sessionSpec>;
export type SessionStatus = z.output<typeof sessionStatus>;
export type SessionLimitsInForce = z.output<typeof sessionStatusLimits>;

/** A Session as the API server returns it. Its spec is not to be trusted before `parseSessionSpec`. */
export interface Session {
  apiVersion: `${typeof group}/${typeof version}`;
  kind: 'Session';
  metadata: Metadata;
  spec: SessionSpec;
  status?: SessionStatus;
}
