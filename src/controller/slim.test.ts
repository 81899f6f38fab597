import { describe, expect, it } from 'vitest';
import type { Agent } from '../api/agent.ts';
import type { Session } from '../api/session.ts';
import { slimAgent, slimSession } from './slim.ts';
import { makeAgent, makeSession } from './testing/objects.ts';

describe('a Session in the cache', () => {
  it.for(['body', 'sealedBody'])('has its %s until it has started', (field) => {
    const spec = { [field]: 'secret' };
    expect(slimSession(makeSession('s', { spec })).spec).toMatchObject(spec);
    const bound = makeSession('s', { spec, status: { phase: 'Running', podUID: 'uid' } });
    expect(slimSession(bound).spec).toEqual({ agent: 'echo' });
  });

  it.for([undefined, null, 'all wrong', []])('has a spec that can be looked at, whatever was stored (%j)', (spec) => {
    expect(slimSession({ ...makeSession('s'), spec } as unknown as Session).spec).toEqual({});
  });
});

describe('an Agent in the cache', () => {
  it('is as it was, without managed fields', () => {
    const agent = makeAgent();
    const managed = { ...agent, metadata: { ...agent.metadata, managedFields: [] } };
    expect(slimAgent(managed as Agent)).toEqual(agent);
  });

  it.for([undefined, null, 'all wrong', []])('has a spec that can be looked at, whatever was stored (%j)', (spec) => {
    expect(slimAgent({ ...makeAgent(), spec } as unknown as Agent).spec).toEqual({});
  });

  it('has conditions that can be looked at, whatever was stored', () => {
    const status = { conditions: 'none', activeSessions: 2 };
    expect(slimAgent({ ...makeAgent(), status } as unknown as Agent).status).toEqual({ activeSessions: 2 });
    expect(slimAgent({ ...makeAgent(), status: 'fine' } as unknown as Agent).status).toBeUndefined();
  });
});
