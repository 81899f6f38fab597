import { describe, expect, it } from 'vitest';
import { sessionId, sessionPodName, shortHash } from './names.ts';

describe('sessionPodName', () => {
  const session = { name: 'call-1', uid: '6f1c2f0e-0000-4000-8000-000000000001' };

  it('is the same for the same session and attempt', () => {
    expect(sessionPodName(session, 0)).toBe(sessionPodName({ ...session }, 0));
  });

  it('differs by uid, so that a recreated Session never meets its predecessor’s pod', () => {
    expect(sessionPodName({ ...session, uid: 'other' }, 0)).not.toBe(sessionPodName(session, 0));
  });

  it('differs by attempt', () => {
    expect(sessionPodName(session, 1)).not.toBe(sessionPodName(session, 0));
  });

  it.each(['a', 'a'.repeat(63), `${'a'.repeat(51)}.bcd`, `${'a'.repeat(50)}-.-bcd`])(
    'is a valid hostname for %s',
    (name) => {
      expect(sessionPodName({ name, uid: 'u' }, 0)).toMatch(/^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])$/);
    },
  );
});

describe('sessionId', () => {
  const uid = '6f1c2f0e-0000-4000-8000-000000000001';
  it('is the name where that is a UUID', () => {
    expect(sessionId({ name: '0b7e8a54-5f0e-4f8e-9d83-1f2a3b4c5d6e', uid })).toBe(
      '0b7e8a54-5f0e-4f8e-9d83-1f2a3b4c5d6e',
    );
  });
  it('is the uid for any other name', () => {
    expect(sessionId({ name: 'nightly-call', uid })).toBe(uid);
  });
});

describe('shortHash', () => {
  it('has the asked length and only characters that a label value allows', () => {
    expect(shortHash('x', 8)).toMatch(/^[b-z2-9]{8}$/);
  });
});
