import { describe, expect, it } from 'vitest';
import type { Session } from '../../api/session.ts';
import { retryOf, type Retry, type SharedSecret } from './idempotency.ts';

const older: SharedSecret = { kid: 'older', secret: Buffer.alloc(32, 1) };
const newer: SharedSecret = { kid: 'newer', secret: Buffer.alloc(32, 2) };
const scope = { namespace: 'calls', agent: 'echo', key: 'abc' };
const REQUEST = '{"body":{"phone":"555"}}';

function retry(change: Partial<typeof scope> = {}, request = REQUEST, secrets = [newer, older]): Retry {
  const made = retryOf({ ...scope, ...change }, request, secrets);
  if (made === undefined) throw new Error('no secret');
  return made;
}

function sessionWith(fingerprint: string): Session {
  return { metadata: { annotations: { 'bullpen.dev/request': fingerprint } } } as unknown as Session;
}

describe('the name of a Session', () => {
  it('is a UUID that follows from organization, agent and key alone', () => {
    expect(retry().name(0)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(retry({}, 'another', [older]).name(0)).toBe(retry().name(0));
  });

  it.each(['namespace', 'agent', 'key'] as const)('is another one for another %s', (field) => {
    expect(retry({ [field]: 'x' }).name(0)).not.toBe(retry().name(0));
  });

  it('is another one when the window of the first is over', () => {
    expect(retry().name(1)).not.toBe(retry().name(0));
  });

  it('does not run together', () => {
    expect(retry({ agent: 'a', key: 'bc' }).name(0)).not.toBe(retry({ agent: 'ab', key: 'c' }).name(0));
  });
});

describe('a request', () => {
  it('is known again, also when it was noted with a secret of before', () => {
    expect(retry().isFor(sessionWith(retry().fingerprint))).toBe(true);
    expect(retry().isFor(sessionWith(retry({}, REQUEST, [older]).fingerprint))).toBe(true);
  });

  it('is told from another one', () => {
    expect(retry().isFor(sessionWith(retry({}, '{"body":{"phone":"556"}}').fingerprint))).toBe(false);
    expect(retry().isFor(sessionWith(''))).toBe(false);
    // It was noted with a secret that is not known here, or not yet.
    const elsewhere = sessionWith(retry({}, REQUEST, [older]).fingerprint);
    expect(retry({}, REQUEST, [newer]).isFor(elsewhere)).toBeUndefined();
  });

  it('cannot be guessed from what is noted of it', () => {
    const { fingerprint } = retry();
    const others = [older, { ...newer, secret: Buffer.alloc(32, 3) }].map(
      (secret) => retry({}, REQUEST, [secret]).fingerprint.split('.')[1],
    );
    expect(others).not.toContain(fingerprint.split('.')[1]);
  });
});

it('without a secret nobody is promised anything', () => {
  expect(retryOf(scope, REQUEST, [])).toBeUndefined();
});
