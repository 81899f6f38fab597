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

  it('is what a handler has decided', () => {
    const problem = new Problem('AtCapacity');
    expect(problemOf(problem)).toBe(problem);
  });
});
