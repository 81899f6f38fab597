import { expect, it } from 'vitest';
import { readSupervisorConfig } from './config.ts';

const key = { kid: 'c1', kty: 'OKP', crv: 'Ed25519', x: 'AA' };
const env = {
  BULLPEN_POD_UID: 'pod',
  BULLPEN_AGENT_PORT: '7860',
  BULLPEN_PUBLIC_KEYS: JSON.stringify({ controller: [key], gateway: [] }),
};

it('reads what the pod says', () => {
  expect(readSupervisorConfig(env)).toEqual({
    podUid: 'pod',
    agentPort: 7860,
    publicKeys: { controller: [key], gateway: [] },
    terminationLog: '/dev/termination-log',
  });
});

it.each([
  ['BULLPEN_POD_UID', ''],
  ['BULLPEN_AGENT_PORT', '0'],
  ['BULLPEN_PUBLIC_KEYS', '{'],
  ['BULLPEN_PUBLIC_KEYS', '{"controller": [], "gateway": []}'],
])('names %s when it is "%s"', (name, value) => {
  expect(() => readSupervisorConfig({ ...env, [name]: value })).toThrow(name);
});
