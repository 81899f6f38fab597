import { expect, it } from 'vitest';
import { clientError, errorFromAnswer } from '../kube/errors.ts';
import { explain } from './explain.ts';

const WHAT = 'GET /apis/bullpen.dev/v1alpha1/namespaces/calls/agents';

function answer(code: number, status: object): Error {
  return errorFromAnswer(WHAT, code, JSON.stringify({ kind: 'Status', status: 'Failure', code, ...status }), undefined);
}

it.each([
  [
    'that cannot be reached',
    clientError(WHAT, 'ConnectFailed', 'refused', new Error('connect ECONNREFUSED')),
    /ECONNREFUSED\n.*--context/,
  ],
  [
    'with several addresses that cannot be reached',
    clientError(WHAT, 'ConnectFailed', 'refused', Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' })),
    /ECONNREFUSED\n.*--context/,
  ],
  [
    'that is none',
    clientError(WHAT, 'InvalidAnswer', 'unknown', new SyntaxError('Unexpected token <')),
    /not speak as Kubernetes does: Unexpected token <\n.*--context/,
  ],
  [
    'that does not answer in time',
    clientError(WHAT, 'DeadlineExceeded', 'unknown'),
    /does not answer: DeadlineExceeded\n/,
  ],
  ['that does not know the caller', answer(401, { reason: 'Unauthorized', message: 'Unauthorized' }), /log in/],
  [
    'that forbids it',
    answer(403, { reason: 'Forbidden', message: 'agents.bullpen.dev is forbidden' }),
    /^agents.*\n.*can-i/,
  ],
  ['without the resources of Bullpen', errorFromAnswer(WHAT, 404, '404 page not found', undefined), /\n.*doctor/],
  [
    'without the namespace',
    answer(404, {
      reason: 'NotFound',
      message: 'namespaces "calls" not found',
      details: { kind: 'namespaces', name: 'calls' },
    }),
    /^namespaces "calls" not found\nbullpen org create calls /,
  ],
])('a cluster %s is told of with what to do next, and without the request', (_, error, text) => {
  expect(explain(error)).toMatch(text);
  expect(explain(error)).not.toContain('/apis/');
});

it('says of any other refusal what the API server says', () => {
  expect(explain(answer(422, { reason: 'Invalid', message: 'spec.agent is required' }))).toBe('spec.agent is required');
  expect(explain(new Error('no such file'))).toBe('no such file');
});
