/**
 * Orders two resource versions of one resource: negative when `a` is older. They are decimal numbers without leading
 * zeros, of any length (https://kep.k8s.io/5504); comparing them as text saves making big integers of them.
 */
export function compareVersions(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a === b ? 0 : a < b ? -1 : 1;
}
