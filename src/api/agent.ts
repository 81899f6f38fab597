import { z } from 'zod';
import { conditions } from './conditions.ts';
import { envFromSource, envVar } from './env.ts';
import { bounded, matching, objectName, seconds, text } from './fields.ts';
import { agentLimits, profiles, sizes } from './limits.ts';
import type { Metadata } from './metadata.ts';
import type { group, version } from './names.ts';
import { podTemplate } from './pod-template.ts';
import { agentConditions, explain, namesOf } from './reasons.ts';
import { withRule } from './rules.ts';

const limits = agentLimits;

const scaling = withRule(
  z.object({
    minAgents: bounded(
      limits.minAgents,
      'Pods that are kept warm, ready for a session, with protocol Http. Not above maxAgents.',
    ),
    maxAgents: bounded(
      limits.maxAgents,
      'Most sessions, and most pods, that the Agent may have at one time. Lowering it ends nothing that runs.',
    ),
    buffer: z
      .object({
        percent: bounded(limits.bufferPercent, 'As a part of the sessions that are active, in percent, rounded up.'),
        count: bounded(limits.bufferCount, 'As a number.'),
      })
      .prefault({})
      .describe(
        'Pods that are kept warm beyond those that are busy, with protocol Http. The greatest of minAgents, percent and count holds, as far as maxAgents allows.',
      ),
    cooldownSeconds: seconds(
      limits.cooldownSeconds,
      'How long a warm pod is kept that is no longer needed. Pods of an earlier revision go at once.',
    ),
  }),
  {
    rule: 'self.minAgents <= self.maxAgents',
    message: 'minAgents must not be above maxAgents',
    holds: (value) => value.minAgents <= value.maxAgents,
  },
);

const retention = z.object({
  pods: z
    .object({
      seconds: seconds(limits.retainedPodSeconds, 'How long the pod of an ended Session is kept for its logs.'),
      count: bounded(limits.retainedPods, 'How many pods of ended Sessions are kept at most; the oldest go first.'),
    })
    .prefault({})
    .describe('Pods of ended Sessions. A pod goes when it is too old or when there are too many.'),
  sessions: z
    .object({
      seconds: seconds(limits.retainedSessionSeconds, 'How long an ended Session is kept.'),
      count: bounded(limits.retainedSessions, 'How many ended Sessions are kept at most; the oldest go first.'),
    })
    .prefault({})
    .describe(
      'Ended Sessions that were started over the REST API and have no ttlSecondsAfterFinished. Others are kept until somebody deletes them.',
    ),
});

const profileTexts = Object.entries(profiles).map(
  ([name, { cpu, memory }]) => `${name} (cpu ${cpu}, memory ${memory})`,
);

const fields = z.object({
  image: matching(
    '^[!-~]+$',
    sizes.image,
    `must be a container image such as registry.example/team/agent:1.0: 1 to ${sizes.image} characters without spaces`,
  ).describe(
    'The container image of the agent. Give a tag or digest that does not move: every session start reads it.',
  ),
  command: z
    .array(text(sizes.argumentCharacters))
    .max(sizes.arguments)
    .optional()
    .describe("What the container runs, instead of the image's ENTRYPOINT. No shell is involved."),
  args: z
    .array(text(sizes.argumentCharacters))
    .max(sizes.arguments)
    .optional()
    .describe("Arguments of the command, instead of the image's CMD."),
  env: z
    .array(envVar)
    .max(sizes.env)
    .refine((list) => new Set(list.map(({ name }) => name)).size === list.length, {
      message: 'must have each name only once',
    })
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .optional()
    .describe(`Environment variables of the agent; at most ${sizes.env}, each name once.`),
  envFrom: z
    .array(envFromSource)
    .max(sizes.envFrom)
    .optional()
    .describe(
      `ConfigMaps and Secrets whose keys become environment variables; at most ${sizes.envFrom}. Variables in env win.`,
    ),
  podTemplate: podTemplate.optional().describe('All else that the pods of the Agent need, in the words of Kubernetes.'),
  protocol: z
    .enum(['Process', 'Http'])
    .default('Http')
    .describe(
      'How a session reaches the agent. Process: the container is started for the session and the session ends when it exits. Http: the container is an HTTP server that is told to begin with POST /bot. Default Http.',
    ),
  port: bounded(limits.port, 'The port that the agent listens on, with protocol Http.'),
  profile: z
    .enum(namesOf(profiles))
    .default('agent-1x')
    .describe(
      `CPU and memory of one session: ${profileTexts.join(', ')}. Resources of the container agent in podTemplate win over it. Default agent-1x.`,
    ),
  secretSet: objectName()
    .optional()
    .describe("Name of a Secret in the Agent's namespace whose keys all become environment variables."),
  maxSessionDuration: seconds(
    limits.maxSessionDuration,
    'Longest time that a session may run; then it is told to end, and ended terminationGracePeriodSeconds later. A Session may shorten it.',
  ),
  scaling: scaling.prefault({}).describe('How many sessions the Agent may run, and how many pods wait for them.'),
  whenFull: z
    .enum(['Reject', 'Queue'])
    .default('Reject')
    .describe(
      'What happens to a Session when maxAgents are running. Reject: it is rejected at once. Queue: it waits its turn, first come first served, for at most queueTimeoutSeconds. Default Reject.',
    ),
  queueTimeoutSeconds: seconds(
    limits.queueTimeoutSeconds,
    'How long a Session may wait for its turn when whenFull is Queue.',
  ),
  paused: z.boolean().default(false).describe('Whether new Sessions are refused. Those that run go on. Default false.'),
  startTimeoutSeconds: seconds(
    limits.startTimeoutSeconds,
    'How long an admitted Session may take to start, scheduling and image pull included.',
  ),
  nodeLostAfterSeconds: seconds(
    limits.nodeLostAfterSeconds,
    'How long the node of a Session may be silent until the Session counts as lost. A node that is deleted counts at once.',
  ),
  terminationGracePeriodSeconds: seconds(
    limits.terminationGracePeriodSeconds,
    'The goodbye window: how long an agent that was told to end (SIGTERM) may take before it is killed.',
  ),
  retention: retention.prefault({}).describe('How long the traces of ended Sessions are kept. 0 keeps none.'),
});

/** The spec of an Agent: what to run, and within which limits. */
export const agentSpec = withRule(fields, {
  rule: "self.protocol != 'Process' || (self.scaling.minAgents == 0 && self.scaling.buffer.percent == 0 && self.scaling.buffer.count == 0)",
  message:
    'scaling.minAgents and scaling.buffer must be 0 with protocol Process: its pods start with their session and cannot wait warm',
  fieldPath: '.scaling',
  holds: ({ protocol, scaling: { minAgents, buffer } }) =>
    protocol !== 'Process' || (minAgents === 0 && buffer.percent === 0 && buffer.count === 0),
}).describe('What to run, and within which limits.');

const count = (description: string) => z.int().min(0).optional().describe(description);

/** The status of an Agent, written by the controller. */
export const agentStatus = z
  .object({
    observedGeneration: count('The generation (metadata.generation) of the spec that this status is about.'),
    conditions: conditions(`The state of the Agent: ${explain(agentConditions)}.`).optional(),
    activeSessions: count('Sessions that are admitted and not over. Updated at most every 10 seconds.'),
    queuedSessions: count('Sessions that wait for their turn. Updated at most every 10 seconds.'),
    warm: count('Pods that are ready and wait for a session. Updated at most every 10 seconds.'),
    revision: text(63)
      .optional()
      .describe('The revision that new Sessions get: a hash of everything in the spec that changes pods.'),
    observedRedeploy: text(63)
      .optional()
      .describe(
        'A hash of the annotation bullpen.dev/redeploy as the controller has judged it, because an annotation changes no generation.',
      ),
    recordedRevision: text(63)
      .optional()
      .describe('The revision that was recorded last: a ControllerRevision keeps what its pods are made of.'),
    lastReadyRevision: text(63)
      .optional()
      .describe(
        'The latest revision of which a warm pod was ready. New Sessions get it for as long as pods of the present one cannot start.',
      ),
  })
  .describe('What the controller has found and done. Written by Bullpen only.');

/** The spec of an Agent with all defaults filled in. */
export type AgentSpec = z.output<typeof agentSpec>;
/** The spec of an Agent as a manifest may have it. */
export type AgentSpecInput = z.input<typeof agentSpec>;
export type AgentStatus = z.output<typeof agentStatus>;

/** An Agent as the API server returns it. Its spec is not to be trusted before `parseAgentSpec`: it may be older than a rule. */
export interface Agent {
  apiVersion: `${typeof group}/${typeof version}`;
  kind: 'Agent';
  metadata: Metadata;
  spec: AgentSpecInput;
  status?: AgentStatus;
}
