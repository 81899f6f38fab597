import { describe, expect, it } from 'vitest';
import { errorFromAnswer, type KubeError } from '../kube/errors.ts';
import { creationBackoffMs, creationFailure } from './pod-creation.ts';

function refusal(code: number, message: string, fields: string[] = []): KubeError {
  const status = { kind: 'Status', message, details: { causes: fields.map((field) => ({ field })) } };
  return errorFromAnswer('create pods p', code, JSON.stringify(status), undefined);
}

describe('creationFailure', () => {
  it.each<[string, KubeError, object]>([
    [
      'a quota',
      refusal(403, 'pods "p" is forbidden: exceeded quota: small'),
      { kind: 'wait', reason: 'QuotaExceeded' },
    ],
    ['a LimitRange', refusal(403, 'maximum memory usage per Pod is 1Gi'), { kind: 'wait', reason: 'AdmissionDenied' }],
    [
      'a policy, which answers with 422',
      refusal(422, "ValidatingAdmissionPolicy 'images' with binding 'b' denied request: no"),
      { kind: 'wait', reason: 'AdmissionDenied' },
    ],
    [
      'a webhook, which answers with 400',
      refusal(400, 'admission webhook "kyverno" denied the request: no'),
      { kind: 'wait', reason: 'AdmissionDenied' },
    ],
    [
      'a webhook that does not answer',
      refusal(500, 'failed calling webhook "x": connection refused'),
      { kind: 'wait', reason: 'PodCreateFailed' },
    ],
    ['an invalid template', refusal(422, 'Pod is invalid', ['spec.containers[0].image']), { kind: 'template' }],
    [
      'a body that is too much for the annotations',
      refusal(422, 'Too long', ['metadata.annotations']),
      { kind: 'session' },
    ],
  ])('%s', (_name, error, expected) => {
    expect(creationFailure(error)).toMatchObject(expected);
  });
});

describe('creationBackoffMs', () => {
  it('doubles from half a second to ten, and never makes all try at once', () => {
    expect([1, 2, 3, 20].map((failures) => creationBackoffMs(failures, () => 0.5))).toEqual([500, 1000, 2000, 10_000]);
    expect(creationBackoffMs(1, () => 0)).not.toBe(creationBackoffMs(1, () => 0.9));
  });
});
