import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { labels } from '../../src/api/names.ts';
import { secrets } from '../../src/kube/resources.ts';
import { useBullpen } from '../support/bullpen.ts';

/** A session whose body is in a Secret. */
const bullpen = await useBullpen('e2e-session-body');
const { kube } = bullpen;

async function createSecret(
  name: string,
  data: Record<string, Buffer>,
  secretLabels: Record<string, string> = { [labels.body]: '' },
): Promise<void> {
  const encoded = Object.fromEntries(Object.entries(data).map(([key, value]) => [key, value.toString('base64')]));
  await kube.api.create(secrets, kube.namespace, { metadata: { name, labels: secretLabels }, data: encoded });
}

async function createSession(name: string, secret: string, key = 'body'): Promise<void> {
  await kube.createSession(name, { agent: 'reader', bodyFrom: { secretKeyRef: { name: secret, key } } });
}

beforeAll(async () => {
  await kube.createAgent('reader', 'exit 0');
});

describe.concurrent('a body from a Secret', () => {
  it('reaches the agent byte for byte, as environment and file', async () => {
    await kube.createAgent('printer', 'printf %s "$BULLPEN_BODY"; echo; cat "$BULLPEN_BODY_FILE"');
    const body = '{"say": "grüße $HOME \\"x\\"\\n"}';
    await createSecret('small', { other: Buffer.from('no'), body: Buffer.from(body) });
    await kube.createSession('small', {
      agent: 'printer',
      bodyFrom: { secretKeyRef: { name: 'small', key: 'body' } },
    });
    const ended = await kube.sessionInPhase('small', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed' });
    expect(await bullpen.logs(ended)).toBe(`${body}\n${body}`);
  });

  it('of 300 kB is a file only: no environment can hold it', async () => {
    await kube.createAgent('hasher', 'echo "${BULLPEN_BODY-unset}"; wc -c < "$BULLPEN_BODY_FILE"');
    await createSecret('large', { body: Buffer.from(randomBytes(150_000).toString('hex')) });
    await kube.createSession('large', {
      agent: 'hasher',
      bodyFrom: { secretKeyRef: { name: 'large', key: 'body' } },
    });
    const ended = await kube.sessionInPhase('large', 'Ended');
    expect(ended.status).toMatchObject({ reason: 'Completed' });
    expect(await bullpen.logs(ended)).toBe('unset\n300000\n');
  });

  it('is refused when the Secret has no label that makes it a body', async () => {
    await createSecret('password', { body: Buffer.from('secret') }, {});
    await createSession('unlabelled', 'password');
    const { status } = await kube.sessionInPhase('unlabelled', 'Rejected');
    expect(status).toMatchObject({ reason: 'BodyNotAllowed' });
    expect(status?.message).toContain(labels.body);
  });

  it('is refused when there is no such Secret, or no such key in it', async () => {
    await createSecret('keyless', { other: Buffer.from('x') });
    await createSession('secretless', 'nowhere');
    await createSession('keyless', 'keyless');
    const secretless = await kube.sessionInPhase('secretless', 'Rejected');
    expect(secretless.status).toMatchObject({ reason: 'BodyNotFound' });
    expect(secretless.status?.message).toContain('nowhere');
    const keyless = await kube.sessionInPhase('keyless', 'Rejected');
    expect(keyless.status).toMatchObject({ reason: 'BodyNotFound' });
    expect(keyless.status?.message).toContain('no key body');
  });

  it('is refused when it is too large', async () => {
    await createSecret('huge', { body: Buffer.alloc(1_000_001, 'x') });
    await createSession('huge', 'huge');
    const { status } = await kube.sessionInPhase('huge', 'Rejected');
    expect(status).toMatchObject({ reason: 'BodyTooLarge' });
    expect(status?.message).toContain('1000001');
    expect(status?.podName).toBeUndefined();
  });
});
