import { KubeError } from '../../src/kube/errors.ts';

/** An answer of the API server that says no; the request was not carried out. */
export function refusal(code: number, reason: string, message: string): KubeError {
  const status = { kind: 'Status' as const, code, reason, message };
  return new KubeError(`${code} ${reason}: ${message}`, { code, reason, outcome: 'refused', status });
}

export function notFound(what: string): KubeError {
  return refusal(404, 'NotFound', `${what} not found`);
}

export function conflict(message: string): KubeError {
  return refusal(409, 'Conflict', message);
}

export function alreadyExists(what: string): KubeError {
  return refusal(409, 'AlreadyExists', `${what} already exists`);
}

export function invalid(message: string): KubeError {
  return refusal(422, 'Invalid', message);
}

export function expired(): KubeError {
  return refusal(410, 'Expired', 'too old resource version');
}
