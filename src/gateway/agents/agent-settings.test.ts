import { describe, expect, it } from 'vitest';
import { agentCreation, agentUpdate, warningOf } from './agent-settings.ts';

describe('what an agent may be', () => {
  it.each([
    // As the official command lines send it, old and new, when nobody asks for anything.
    {
      serviceName: 'my-agent',
      image: 'example/echo:1',
      autoScaling: { minAgents: 0 },
      enableKrisp: false,
      agentProfile: 'agent-1x',
      krispViva: {},
    },
    {
      serviceName: 'my-agent',
      image: 'example/echo:1',
      autoScaling: { minAgents: 0, maxAgents: 10 },
      agentProfile: 'agent-1x',
      krispViva: { audioFilter: null },
      enableIntegratedKeysProxy: false,
      somethingNew: { a: 1 },
    },
    {
      serviceName: 'my-agent',
      resources: { cpu: '0.5', memory: '1.5Gi' },
      architecture: 'arm64',
      websocketAuth: 'token',
    },
    { serviceName: 'ab', maxSessionDuration: 60 },
    { serviceName: 'a'.repeat(54), maxSessionDuration: 14_400, krispViva: { audioFilter: 'pro' } },
  ])('may be %j', (given) => {
    expect(agentCreation.safeParse(given).error).toBeUndefined();
  });

  it.each([
    ['serviceName', { serviceName: 'a' }],
    ['serviceName', { serviceName: 'a'.repeat(55) }],
    ['serviceName', { serviceName: 'My-Agent' }],
    ['serviceName', {}],
  ])('must have a right %s: %j', (field, given) => {
    expect(agentCreation.safeParse(given).error?.issues[0]?.path.join('.')).toBe(field);
  });

  it.each([
    ['maxSessionDuration', { maxSessionDuration: 59 }],
    ['maxSessionDuration', { maxSessionDuration: 14_401 }],
    ['maxSessionDuration', { maxSessionDuration: 100.5 }],
    ['autoScaling.minAgents', { autoScaling: { minAgents: -1 } }],
    ['autoScaling.minAgents', { autoScaling: { minAgents: 1001 } }],
    ['autoScaling.maxAgents', { autoScaling: { maxAgents: 5001 } }],
    ['autoScaling.minAgents', { autoScaling: { minAgents: 3, maxAgents: 2 } }],
    ['agentProfile', { agentProfile: 'agent-9x' }],
    ['krispViva.audioFilter', { krispViva: { audioFilter: 'loud' } }],
    ['websocketAuth', { websocketAuth: 'maybe' }],
    ['architecture', { architecture: 'arm' }],
    ['nodeType', { nodeType: 'amd' }],
    ['resources.cpu', { resources: { cpu: 'a lot' } }],
    ['resources.cpu', { resources: { cpu: '0' } }],
    ['resources.memory', { resources: { memory: '1GB' } }],
    ['secretSet', { secretSet: 'No_Name' }],
    ['image', { image: '' }],
  ])('must have a right %s: %j', (field, given) => {
    expect(agentUpdate.safeParse(given).error?.issues[0]?.path.join('.')).toBe(field);
  });

  it('comes with a warning when it is to filter audio, which it will not', () => {
    expect(warningOf({ krispViva: { audioFilter: 'tel' } })).toContain('Krisp');
    expect(warningOf({ enableKrisp: true })).toContain('Krisp');
    expect(warningOf({ enableKrisp: false, krispViva: { audioFilter: null } })).toBeUndefined();
  });
});
