import { beforeAll, describe, expect, it } from 'vitest';
import type { Session } from '../api/session.ts';
import type { KubeApi } from '../kube/api.ts';
import { errorFromAnswer } from '../kube/errors.ts';
import { open, seal, type OpeningKey, type SealingJwk } from '../sealing/sealing.ts';
import { findBody, MAX_BODY_BYTES, readBody, type BodySource } from './body.ts';
import { makeKey, keysData, readKeys } from './keys/key-set.ts';
import { makeSession } from './testing/objects.ts';

const SECRET = 'token-that-nobody-may-see';
const room = { 'x-daily-room-url': 'https://room', 'x-daily-room-token': SECRET };

let publicJwk: SealingJwk;
let keys: OpeningKey[];

beforeAll(async () => {
  const data = keysData('sealing', [await makeKey('sealing', 0)]);
  const [pair] = (await readKeys({ data } as never, 'sealing'))?.keys ?? [];
  if (pair === undefined) throw new Error('no key');
  publicJwk = pair.publicKey;
  keys = [{ kid: publicJwk.kid, privateKey: pair.privateKey }];
});

/** A cluster with this one Secret in it, if any. */
function source(secret?: { labels?: Record<string, string>; data: Record<string, string> }): BodySource {
  const get = () => {
    if (secret === undefined)
      return Promise.reject(
        errorFromAnswer('get', 404, JSON.stringify({ kind: 'Status', reason: 'NotFound' }), undefined),
      );
    const { labels = { 'bullpen.dev/body': '' }, data } = secret;
    const encoded = Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
    return Promise.resolve({ metadata: { name: 'letter', labels }, data: Object.fromEntries(encoded) as object });
  };
  return {
    api: { get } as unknown as KubeApi,
    keys: { open: (jwe, context) => open(jwe, context, keys) },
  };
}

const nobody = source();
const inSecret = (key = 'body'): Session =>
  makeSession('call', { spec: { bodyFrom: { secretKeyRef: { name: 'letter', key } } } });

async function sealed(headers: Record<string, string>, body: string, name = 'call'): Promise<Session> {
  const session = makeSession('call');
  const context = { namespace: session.metadata.namespace ?? '', agent: session.spec.agent, session: name };
  const sealedBody = await seal({ headers, body: Buffer.from(body) }, context, publicJwk);
  return makeSession('call', { spec: { sealedBody } });
}

const told = async (from: BodySource, session: Session) => {
  const { headers, bytes } = await readBody(from, session);
  return { headers, text: bytes.toString() };
};

describe('a body', () => {
  it('in the Session is told as it is, and may be shown by its pod', async () => {
    const session = makeSession('call', { spec: { body: 'hello' } });
    expect(await findBody(nobody, session, 'Process')).toEqual({ ok: true, body: { kind: 'inline', text: 'hello' } });
    expect(await told(nobody, session)).toEqual({ headers: {}, text: 'hello' });
    expect(await told(nobody, makeSession('call'))).toEqual({ headers: {}, text: '' });
  });

  it('in a Secret is told as it is, and may be mounted by its pod', async () => {
    const from = source({ data: { body: 'hello' } });
    const body = { kind: 'secret', name: 'letter', key: 'body', bytes: 5 };
    expect(await findBody(from, inSecret(), 'Process')).toEqual({ ok: true, body });
    expect(await told(from, inSecret())).toEqual({ headers: {}, text: 'hello' });
  });

  it('in a Secret has its headers beside it', async () => {
    const from = source({ data: { body: 'hello', headers: JSON.stringify(room) } });
    expect(await findBody(from, inSecret(), 'Http')).toMatchObject({ ok: true });
    expect(await told(from, inSecret())).toEqual({ headers: room, text: 'hello' });
  });

  it('may stand where the headers would', async () => {
    const from = source({ data: { headers: 'hello' } });
    expect(await told(from, inSecret('headers'))).toEqual({ headers: {}, text: 'hello' });
  });

  it('that is sealed is told to the agent, and shown by no pod', async () => {
    const session = await sealed(room, 'hello');
    expect(await findBody(nobody, session, 'Http')).toEqual({ ok: true, body: undefined });
    expect(await told(nobody, session)).toEqual({ headers: room, text: 'hello' });
  });
});

describe('a Session is refused', () => {
  it.each<[string, BodySource, Session, string, string]>([
    ['there is no Secret', nobody, inSecret(), 'BodyNotFound', 'no Secret letter'],
    ['the Secret has no such key', source({ data: {} }), inSecret(), 'BodyNotFound', 'no key body'],
    ['the Secret is not for bodies', source({ labels: {}, data: { body: '' } }), inSecret(), 'BodyNotAllowed', 'label'],
    [
      'the body is too large',
      source({ data: { body: 'x'.repeat(MAX_BODY_BYTES + 1) } }),
      inSecret(),
      'BodyTooLarge',
      '1000001 bytes',
    ],
    ...[
      ['no JSON', SECRET],
      ['another header', `{"authorization": "${SECRET}"}`],
      ['a line break', `{"x-daily-room-token": "a\\r\\n${SECRET}"}`],
      ['a header that is too long', `{"x-daily-room-token": "${SECRET.repeat(500)}"}`],
      ['a list', '[]'],
    ].map(([what = '', headers = '']): [string, BodySource, Session, string, string] => [
      `the headers are ${what}`,
      source({ data: { body: '', headers } }),
      inSecret(),
      'HeadersInvalid',
      'Headers are a JSON object: no other than x-daily-room-url',
    ]),
  ])('when %s', async (_, from, session, reason, words) => {
    const found = await findBody(from, session, 'Http');
    expect(found).toMatchObject({ ok: false, reason, message: expect.stringContaining(words) as string });
    expect(JSON.stringify(found)).not.toContain(SECRET);
    await expect(readBody(from, session)).rejects.toThrow(words);
  });

  it('when its body was sealed for another', async () => {
    const session = await sealed(room, 'hello', 'other');
    expect(await findBody(nobody, session, 'Http')).toEqual({
      ok: false,
      reason: 'BodyNotOpened',
      message:
        'sealedBody cannot be opened: it was sealed for another Session (its namespace, Agent and name all count)',
    });
    await expect(readBody(nobody, session)).rejects.toThrow('sealed for another Session');
  });

  it('when the headers that are sealed with its body are not valid', async () => {
    const found = await findBody(nobody, await sealed({ cookie: SECRET }, ''), 'Http');
    expect(found).toMatchObject({ ok: false, reason: 'HeadersInvalid' });
    expect(JSON.stringify(found)).not.toContain(SECRET);
  });

  it('when its body is too long for the address of a WebSocket, wherever it is', async () => {
    const of = (bytes: number, spec: object): [BodySource, Session] => [
      source({ data: { body: 'x'.repeat(bytes) } }),
      makeSession('call', { spec: { transport: 'WebSocket', ...spec } }),
    ];
    const bodyFrom = { secretKeyRef: { name: 'letter', key: 'body' } };
    // Characters are not bytes.
    const inline = { body: 'ü'.repeat(2048) };
    expect(await findBody(...of(4096, { bodyFrom }), 'Http')).toMatchObject({ ok: true });
    expect(await findBody(...of(0, inline), 'Http')).toMatchObject({ ok: true });
    for (const [from, session] of [of(4097, { bodyFrom }), of(0, { body: `${inline.body}x` })]) {
      expect(await findBody(from, session, 'Http')).toEqual({
        ok: false,
        reason: 'BodyTooLarge',
        message: 'the body is 4097 bytes, more than 4096: with transport WebSocket it is part of an address',
      });
    }
    const { sealedBody = '' } = (await sealed(room, 'x'.repeat(4097))).spec;
    expect(await findBody(...of(0, { sealedBody }), 'Http')).toMatchObject({ reason: 'BodyTooLarge' });
  });

  it('when its agent is no server that a WebSocket could be opened to', async () => {
    const session = makeSession('call', { spec: { transport: 'WebSocket' } });
    expect(await findBody(nobody, session, 'Process')).toEqual({
      ok: false,
      reason: 'SessionInvalid',
      message:
        'transport WebSocket is for Agents of protocol Http, because an agent of protocol Process is no server: leave it out',
    });
  });

  it('when its pod would have to show what is sealed', async () => {
    expect(await findBody(nobody, await sealed({}, 'hello'), 'Process')).toMatchObject({
      ok: false,
      reason: 'SessionInvalid',
      message: expect.stringContaining('use bodyFrom') as string,
    });
  });
});
