/** `metav1.MicroTime`: RFC 3339 with microseconds, of which a JavaScript clock knows the first three digits. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
