import { CompactEncrypt, exportJWK, generateKeyPair, importJWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { open, seal, sealingAlgorithm, type OpeningKey, type SealingContext, type SealingJwk } from './sealing.ts';

const context: SealingContext = { namespace: 'calls', agent: 'echo', session: 'call-42' };
const SECRET = 'eyJ-a-token-that-nobody-else-may-see';
const headers = { 'x-daily-room-url': 'https://example.daily.co/room', 'x-daily-room-token': SECRET };
const body = Buffer.from('{"text": "Grüße, 世界 \\u0000"}\n\n{"a": 1}');

interface Pair {
  publicJwk: SealingJwk;
  key: OpeningKey;
}

async function makePair(kid: string): Promise<Pair> {
  const { privateKey } = await generateKeyPair(sealingAlgorithm, { crv: 'X25519', extractable: true });
  const { x = '' } = await exportJWK(privateKey);
  return { publicJwk: { kid, kty: 'OKP', crv: 'X25519', x }, key: { kid, privateKey } };
}

let newer: Pair;
let older: Pair;
let keys: OpeningKey[];

beforeAll(async () => {
  newer = await makePair('newer');
  older = await makePair('older');
  keys = [newer.key, older.key];
});

describe('what was sealed for a Session', () => {
  it('opens for it, byte for byte, with the key that it was sealed with', async () => {
    for (const { publicJwk } of [newer, older]) {
      const opened = await open(await seal({ headers, body }, context, publicJwk), context, keys);
      expect(opened).toMatchObject({ ok: true, envelope: { headers } });
      expect(opened.ok && Buffer.from(opened.envelope.body).equals(body)).toBe(true);
    }
  });

  it.each([
    ['nothing at all', Buffer.alloc(0)],
    ['bytes that are no text', Buffer.from([0xff, 0x0a, 0x00, 0x0a, 0xfe])],
    ['a megabyte', Buffer.alloc(1_000_000, 'ä')],
  ])('opens with %s in it', async (_, bytes) => {
    const opened = await open(await seal({ headers: {}, body: bytes }, context, newer.publicJwk), context, keys);
    expect(opened.ok && opened.envelope.headers).toEqual({});
    expect(opened.ok && Buffer.from(opened.envelope.body).equals(bytes)).toBe(true);
  });

  it('shows nothing of its content, and is never the same twice', async () => {
    const [one, other] = [
      await seal({ headers, body }, context, newer.publicJwk),
      await seal({ headers, body }, context, newer.publicJwk),
    ];
    for (const part of one.split('.')) expect(Buffer.from(part, 'base64url').toString()).not.toContain(SECRET);
    expect(other.split('.')[3]).not.toBe(one.split('.')[3]);
  });

  it('fits into a Session with a body of 8 KiB, the longest names and a room', async () => {
    const long = { namespace: 'n'.repeat(63), agent: 'a'.repeat(63), session: 's'.repeat(63) };
    const room = { 'x-daily-room-url': 'u'.repeat(500), 'x-daily-room-token': 't'.repeat(4096) };
    const text = await seal({ headers: room, body: Buffer.alloc(8192) }, long, newer.publicJwk);
    expect(text.length).toBeLessThan(20_000);
    expect(text).toMatch(/^[-_a-zA-Z0-9]+[.][.][-_a-zA-Z0-9]{16}[.][-_a-zA-Z0-9]+[.][-_a-zA-Z0-9]{22}$/);
  });

  it.each(['namespace', 'agent', 'session'] as const)('does not open where the %s is another', async (field) => {
    const text = await seal({ headers, body }, { ...context, [field]: 'other' }, newer.publicJwk);
    expect(await open(text, context, keys)).toEqual({ ok: false, problem: 'NotForThis' });
  });

  it('does not open when its key is not there, or has the id of another', async () => {
    const text = await seal({ headers, body }, context, older.publicJwk);
    expect(await open(text, context, [newer.key])).toEqual({ ok: false, problem: 'UnknownKey' });
    expect(await open(text, context, [])).toEqual({ ok: false, problem: 'UnknownKey' });
    const impostor = { kid: 'older', privateKey: newer.key.privateKey };
    expect(await open(text, context, [impostor])).toEqual({ ok: false, problem: 'Damaged' });
  });

  it('does not open with another header: whom it is for cannot be changed', async () => {
    const text = await seal({ headers, body }, { ...context, session: 'other' }, newer.publicJwk);
    const [header = '', ...rest] = text.split('.');
    const claims = JSON.parse(Buffer.from(header, 'base64url').toString()) as { bullpen: object };
    const changed = Buffer.from(JSON.stringify({ ...claims, bullpen: context })).toString('base64url');
    expect(await open([changed, ...rest].join('.'), context, keys)).toEqual({ ok: false, problem: 'Damaged' });
  });

  it.each([0, 2, 3, 4])('does not open when part %i of it is damaged', async (index) => {
    const parts = (await seal({ headers, body }, context, newer.publicJwk)).split('.');
    const part = parts[index] ?? '';
    parts[index] = `${part.slice(0, 8)}${part[8] === 'A' ? 'B' : 'A'}${part.slice(9)}`;
    expect(await open(parts.join('.'), context, keys)).toEqual({ ok: false, problem: 'Damaged' });
    expect(await open(parts.slice(0, index).join('.'), context, keys)).toEqual({ ok: false, problem: 'Damaged' });
  });
});

describe('what was not sealed as it should be', () => {
  const encrypt = async (content: string, more: object = {}): Promise<string> =>
    await new CompactEncrypt(Buffer.from(content))
      .setProtectedHeader({ alg: sealingAlgorithm, enc: 'A256GCM', kid: 'newer', bullpen: { ...context }, ...more })
      .encrypt(await importJWK({ ...newer.publicJwk }, sealingAlgorithm));

  it.each([
    ['no text of that kind', () => Promise.resolve('nonsense')],
    ['nothing', () => Promise.resolve('')],
    ['very much of nothing', () => Promise.resolve('.'.repeat(100_000))],
    ['no headers', () => encrypt('{"a":1}')],
    ['headers that are no JSON', () => encrypt('x-daily-room-url: u\n')],
    ['headers that are no object', () => encrypt('["u"]\n')],
    ['a header that is no text', () => encrypt('{"x-daily-room-url": 1}\n')],
    ['a text with another encryption', () => encrypt('{}\n', { enc: 'A128GCM' })],
    ['a text with another key agreement', () => encrypt('{}\n', { alg: 'ECDH-ES+A256KW' })],
    ['a text that is compressed', () => encrypt(`{}\n${' '.repeat(10_000)}`, { zip: 'DEF' })],
    ['a text without the id of a key', () => encrypt('{}\n', { kid: undefined })],
  ])('does not open: %s', async (_, make) => {
    expect(await open(await make(), context, keys)).toEqual({ ok: false, problem: 'Damaged' });
  });

  it.each([undefined, null, 'calls', [], { namespace: 'calls', agent: 'echo' }])(
    'does not open when it is for nobody (%j)',
    async (bullpen) => {
      expect(await open(await encrypt('{}\n', { bullpen }), context, keys)).toEqual({
        ok: false,
        problem: 'NotForThis',
      });
    },
  );
});

it('what cannot be sealed says nothing of its content', async () => {
  const refused = seal({ headers, body }, context, { ...newer.publicJwk, x: 'short' });
  await expect(refused).rejects.not.toThrow(SECRET);
});
