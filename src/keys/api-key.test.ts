import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { apiKeySpec, apiKeyTypes, type ApiKeyType } from '../api/api-key.ts';
import { apiKeyOf, hashOf, keyPrefixes, makeKey } from './api-key.ts';

const types = Object.keys(apiKeyTypes) as ApiKeyType[];

describe('a key', () => {
  it.each(types)('of type %s has 256 random bits behind its prefix', (type) => {
    const key = makeKey(type, randomBytes);
    expect(key).toMatch(new RegExp(`^${keyPrefixes[type]}[\\w-]{43}$`));
    expect(makeKey(type, randomBytes)).not.toBe(key);
  });

  it.each(types)('of type %s makes an object that the API server takes', (type) => {
    const key = makeKey(type, randomBytes);
    const object = apiKeyOf(key, type, 'the app');
    expect(apiKeySpec.parse(object.spec)).toMatchObject({ type, sha256: hashOf(key), displayName: 'the app' });
  });

  it.each(['Private', 'Cli'] as const)('of type %s is nowhere in its object', (type) => {
    const key = makeKey(type, randomBytes);
    expect(JSON.stringify(apiKeyOf(key, type, 'the app'))).not.toContain(key.slice(-20));
  });

  it('of type Public stays readable', () => {
    const key = makeKey('Public', randomBytes);
    expect(apiKeyOf(key, 'Public', 'the app').spec.key).toBe(key);
  });
});
