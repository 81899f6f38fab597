import type { Agent } from './agent.ts';
import type { ApiKey } from './api-key.ts';
import { apiKeySpec, apiKeyStatus } from './api-key.ts';
import { agentSpec, agentStatus } from './agent.ts';
import { dnsLabelPattern } from './fields.ts';
import { maxNameLength } from './names.ts';
import { defineResource } from './resource.ts';
import type { Session } from './session.ts';
import { sessionSpec, sessionStatus } from './session.ts';

const age = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since it was made.',
} as const;

/** The resource Agent. */
export const agents = defineResource<Agent>({
  kind: 'Agent',
  plural: 'agents',
  singular: 'agent',
  shortNames: ['ag'],
  description:
    'An Agent is a container image that runs sessions, with the limits it runs them under. A Session runs it once.',
  spec: agentSpec,
  status: agentStatus,
  rules: [
    {
      rule: `self.metadata.name.size() <= ${maxNameLength} && self.metadata.name.matches('${dnsLabelPattern}')`,
      message: `the name of an Agent must have at most ${maxNameLength} lowercase letters, digits and '-', and a letter or digit at both ends`,
    },
  ],
  printerColumns: [
    { name: 'Image', type: 'string', jsonPath: '.spec.image', description: 'The container image.' },
    {
      name: 'Active',
      type: 'integer',
      jsonPath: '.status.activeSessions',
      description: 'Sessions that are admitted and not over.',
    },
    { name: 'Max', type: 'integer', jsonPath: '.spec.scaling.maxAgents', description: 'Most sessions at one time.' },
    { name: 'Warm', type: 'integer', jsonPath: '.status.warm', description: 'Pods that wait for a session.' },
    {
      name: 'Ready',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].status',
      description: 'Whether sessions can be started.',
    },
    age,
    {
      name: 'Queued',
      type: 'integer',
      jsonPath: '.status.queuedSessions',
      description: 'Sessions that wait for their turn.',
      wide: true,
    },
    {
      name: 'Protocol',
      type: 'string',
      jsonPath: '.spec.protocol',
      description: 'How a session reaches the agent.',
      wide: true,
    },
    {
      name: 'Revision',
      type: 'string',
      jsonPath: '.status.revision',
      description: 'The revision of new sessions.',
      wide: true,
    },
    {
      name: 'Reason',
      type: 'string',
      jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
      description: 'Why it is ready or not.',
      wide: true,
    },
  ],
  selectableFields: [],
});

/** The resource Session. */
export const sessions = defineResource<Session>({
  kind: 'Session',
  plural: 'sessions',
  singular: 'session',
  shortNames: ['ses'],
  description: 'A Session is one run of an Agent. It starts once, ends once, and is never started again.',
  spec: sessionSpec,
  status: sessionStatus,
  rules: [
    {
      rule: `self.metadata.name.size() <= ${maxNameLength}`,
      message: `the name of a Session must have at most ${maxNameLength} characters, because it becomes a label of its pod`,
    },
  ],
  printerColumns: [
    { name: 'Agent', type: 'string', jsonPath: '.spec.agent', description: 'The Agent that it runs.' },
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'Where it is in its life.' },
    { name: 'Reason', type: 'string', jsonPath: '.status.reason', description: 'Why it is there.' },
    { name: 'Pod', type: 'string', jsonPath: '.status.podName', description: 'The pod that it runs in.' },
    { name: 'Start', type: 'string', jsonPath: '.status.startKind', description: 'Cold or Warm.' },
    age,
    {
      name: 'Node',
      type: 'string',
      jsonPath: '.status.nodeName',
      description: 'The node that it runs on.',
      wide: true,
    },
    {
      name: 'Limit',
      type: 'integer',
      jsonPath: '.status.limits.maxSessionDuration',
      description: 'Longest time that it may run, in seconds.',
      wide: true,
    },
    { name: 'Started', type: 'date', jsonPath: '.status.startedAt', description: 'Time since it started.', wide: true },
    { name: 'Ended', type: 'date', jsonPath: '.status.endedAt', description: 'Time since it ended.', wide: true },
    {
      name: 'Message',
      type: 'string',
      jsonPath: '.status.message',
      description: 'The reason in a sentence.',
      wide: true,
    },
  ],
  selectableFields: ['.spec.agent', '.status.phase'],
});

/** The resource ApiKey. */
export const apiKeys = defineResource<ApiKey>({
  kind: 'ApiKey',
  plural: 'apikeys',
  singular: 'apikey',
  shortNames: [],
  description: 'An ApiKey lets whoever has the key use the REST API for its namespace.',
  spec: apiKeySpec,
  status: apiKeyStatus,
  rules: [],
  printerColumns: [
    { name: 'Type', type: 'string', jsonPath: '.spec.type', description: 'What the key is for.' },
    { name: 'Display Name', type: 'string', jsonPath: '.spec.displayName', description: 'What people call it.' },
    { name: 'Revoked', type: 'boolean', jsonPath: '.spec.revoked', description: 'Whether it opens nothing any more.' },
    { name: 'Last Used', type: 'date', jsonPath: '.status.lastUsedAt', description: 'Time since it was used.' },
    age,
  ],
  selectableFields: [],
});
