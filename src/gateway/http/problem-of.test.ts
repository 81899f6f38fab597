import { describe, expect, it } from 'vitest';
import { KubeError } from '../../kube/errors.ts';
import { Problem } from '../problems.ts';
import { problemOf } from './problem-of.ts';

const refusal = (code: number, reason: string): KubeError =>
  new KubeError(`PATCH /secret/path: ${code}`, { code, reason, outcome: code >= 500 ? 'unknown' : 'refused' });

describe('what the caller is told', () => {
  it.each<[string, unknown, number]>([
    ['that Kubernetes does not answer', refusal(0, 'ConnectFailed'), 503],
    ['that it has too much to do', refusal(429, 'TooManyRequests'), 503],
    ['that it has a fault', refusal(500, 'InternalError'), 503],
    ['that the gateway may not do this there', refusal(403, 'Forbidden'), 403],
    ['that a namespace is not there', refusal(404, 'NotFound'), 404],
    ['that somebody was faster', refusal(409, 'Conflict'), 409],
    ['that we have made something that cannot be', refusal(422, 'Invalid'), 500],
    ['that something in front of Kubernetes knows no such path', refusal(404, 'SomethingElse'), 500],
    ['that a path is not well encoded', Object.assign(new Error('%zz'), { status: 400 }), 400],
    ['that nobody expected this', new Error('password=hunter2'), 500],
    ['that nothing at all was thrown', undefined, 500],
  ])('%s', (_, error, status) => {
    const { status: told, body } = problemOf(error);
    expect(told).toBe(status);
    expect(JSON.stringify(body)).not.toMatch(/secret|hunter2|PATCH|%zz/);
  });

  const worded = (code: number, reason: string, message: string): KubeError =>
    new KubeError(message, { code, reason, outcome: 'refused', status: { code, reason, message } });

  it('is how to give the gateway its rights, and not whose rights were asked for', () => {
    const message =
      'sessions.bullpen.dev is forbidden: User "system:serviceaccount:system:gateway" cannot create resource "sessions" in API group "bullpen.dev" in the namespace "calls"';
    const { status, body } = problemOf(worded(403, 'Forbidden', message));
    expect([status, body['error']]).toEqual([403, expect.stringContaining('bullpen org create NAMESPACE')]);
    expect(JSON.stringify(body)).not.toContain('serviceaccount');
  });

  it.each([
    [403, 'Forbidden', 'sessions.bullpen.dev "a" is forbidden: exceeded quota: few, requested: count/sessions=1'],
    [403, 'Forbidden', 'sessions.bullpen.dev "a" is forbidden: unable to create new content in namespace b'],
    [422, 'Invalid', `sessions "a" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`],
    [400, 'BadRequest', 'admission webhook "w.example" denied the request: not on a Sunday'],
  ])('is in the words of whoever refuses it, with code %i: %s, %s', (code, reason, message) => {
    const { status, body } = problemOf(worded(code, reason, message));
    expect([status, body['error']]).toEqual([403, `Kubernetes refuses it: ${message}`]);
    // With a key that may be in anybody's hands nothing is learnt of the cluster.
    expect(problemOf(worded(code, reason, message), true).body['error']).toBe('Kubernetes refuses it');
  });

  it('is what a handler has decided', () => {
    const problem = new Problem('AtCapacity');
    expect(problemOf(problem)).toBe(problem);
  });
});
