import { describe, expect, it } from 'vitest';
import type { Secret } from '../../kube/objects.ts';
import { hasKeys, keysData, makeKey, newKeysSecret, purposes, readKeys } from './key-set.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');

function secretWith(data: Record<string, string>): Secret {
  const metadata = { name: 'keys', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
  return { metadata, data };
}
const withText = (text: string): Secret =>
  secretWith({ [purposes.signing.file]: Buffer.from(text).toString('base64') });

describe.each(['signing', 'sealing'] as const)('a set of keys for %s', (purpose) => {
  it('is read as it was written, in its order', async () => {
    const made = [await makeKey(purpose, NOW), await makeKey(purpose, NOW)];
    const secret = secretWith(newKeysSecret('keys', keysData(purpose, made)).data ?? {});
    const found = await readKeys(secret, purpose);
    expect(found?.stored).toEqual(made);
    expect(found?.keys.map(({ publicKey }) => publicKey.kid)).toEqual(made.map(({ kid }) => kid));
    const { curve } = purposes[purpose];
    expect(made[0]).toMatchObject({ kty: 'OKP', crv: curve, createdAt: '2026-01-01T12:00:00.000Z' });
    expect(hasKeys(secret, purpose)).toBe(true);
  });

  it('shows its private halves to nobody once it is in use', async () => {
    const made = await makeKey(purpose, NOW);
    const [key] = (await readKeys(secretWith(keysData(purpose, [made])), purpose))?.keys ?? [];
    expect(key?.privateKey.extractable).toBe(false);
    expect(JSON.stringify(key)).not.toContain(made.d);
    expect(Object.keys(key?.publicKey ?? {}).sort()).toEqual(['crv', 'kid', 'kty', 'x']);
  });
});

describe('no set of keys', async () => {
  const [one, other] = [await makeKey('signing', NOW), await makeKey('signing', NOW)];
  const sealing = await makeKey('sealing', NOW);
  const set = (...keys: object[]): string => JSON.stringify({ keys });
  it.each([
    ['nothing', ''],
    ['no JSON', '{"keys": ['],
    ['JSON of something else', '"keys"'],
    ['an empty list', set()],
    ['a key without its private half', set({ ...one, d: undefined })],
    ['halves that do not belong together', set({ ...one, x: other.x })],
    ['half of a private half', set({ ...one, d: one.d.slice(20) })],
    ['another curve', set({ ...one, crv: 'X25519' })],
    ['a key for another purpose', set(sealing)],
    ['no age', set({ ...one, createdAt: 'yesterday' })],
    ['an id with a comma, which pods put between ids', set({ ...one, kid: 'a,b' })],
    ['one id for two keys', set(one, { ...other, kid: one.kid })],
    ['one bad key among good ones', set(one, { ...other, kty: 'EC' })],
  ])('is %s', async (_, text) => {
    expect(await readKeys(withText(text), 'signing')).toBeUndefined();
  });

  it('is a Secret without data', async () => {
    expect(await readKeys(secretWith({}), 'signing')).toBeUndefined();
    expect(await readKeys(secretWith({}), 'sealing')).toBeUndefined();
    expect(hasKeys(secretWith({}), 'sealing')).toBe(false);
  });
});
