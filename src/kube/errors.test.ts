import { expect, it } from 'vitest';
import { errorFromAnswer, errorFromStatus, isForbidden, isGone, KubeError } from './errors.ts';

it('errors name the reason that a proxy did not', () => {
  expect(errorFromAnswer('GET /x', 503, '<html>', '3')).toMatchObject({
    message: 'GET /x: 503 ServiceUnavailable: <html>',
    reason: 'ServiceUnavailable',
    retryAfterSeconds: 3,
    status: undefined,
  });
  expect(errorFromAnswer('GET /x', 418, '{"kind":"Status', 'tomorrow')).toMatchObject({
    reason: 'Unknown',
    retryAfterSeconds: undefined,
  });
  expect(isForbidden(errorFromAnswer('x', 403, '', undefined))).toBe(true);
});

it('errors read the Status of a request that the server gave up, which does not say that it is one', () => {
  const body =
    '{"metadata":{},"status":"Failure","message":"did not complete","reason":"Timeout","details":{},"code":504}';
  expect(errorFromAnswer('POST /x', 504, body, undefined)).toMatchObject({
    message: 'POST /x: 504 Timeout: did not complete',
    outcome: 'unknown',
  });
});

it('errors know an expired version, as status and as event', () => {
  expect(isGone(errorFromAnswer('x', 410, '', undefined))).toBe(true);
  expect(isGone(errorFromStatus('x', { code: 410, reason: 'Expired' }))).toBe(true);
  expect(isGone(errorFromStatus('x', { message: 'etcd' }))).toBe(false);
  expect(errorFromStatus('x', { details: { retryAfterSeconds: 2 } })).toBeInstanceOf(KubeError);
  expect(isGone(new Error('410'))).toBe(false);
});
