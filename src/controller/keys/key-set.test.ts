import { describe, expect, it } from 'vitest';
import type { Secret } from '../../kube/objects.ts';
import { KEYS_FILE, keysData, makeKey, newKeysSecret, readKeys } from './key-set.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');

function secretWith(data: Record<string, string>): Secret {
  const metadata = { name: 'keys', uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
  return { metadata, data };
}
const withText = (text: string): Secret => secretWith({ [KEYS_FILE]: Buffer.from(text).toString('base64') });

describe('a set of keys', () => {
  it('is read as it was written, in its order', async () => {
    const made = [await makeKey(NOW), await makeKey(NOW)];
    const found = await readKeys(secretWith(newKeysSecret('keys', made).data ?? {}));
    expect(found?.stored).toEqual(made);
    expect(found?.keys.map(({ publicKey }) => publicKey.kid)).toEqual(made.map(({ kid }) => kid));
    expect(made[0]).toMatchObject({ kty: 'OKP', crv: 'Ed25519', createdAt: '2026-01-01T12:00:00.000Z' });
  });

  it('shows its private halves to nobody once it is in use', async () => {
    const made = await makeKey(NOW);
    const [key] = (await readKeys(secretWith(keysData([made]))))?.keys ?? [];
    expect(key?.privateKey.extractable).toBe(false);
    expect(JSON.stringify(key)).not.toContain(made.d);
    expect(Object.keys(key?.publicKey ?? {}).sort()).toEqual(['crv', 'kid', 'kty', 'x']);
  });
});

describe('no set of keys', async () => {
  const [one, other] = [await makeKey(NOW), await makeKey(NOW)];
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
    ['no age', set({ ...one, createdAt: 'yesterday' })],
    ['an id with a comma, which pods put between ids', set({ ...one, kid: 'a,b' })],
    ['one id for two keys', set(one, { ...other, kid: one.kid })],
    ['one bad key among good ones', set(one, { ...other, kty: 'EC' })],
  ])('is %s', async (_, text) => {
    expect(await readKeys(withText(text))).toBeUndefined();
  });

  it('is a Secret without data', async () => {
    expect(await readKeys(secretWith({}))).toBeUndefined();
  });
});
