/** A cache whose watches have been silent for so long is not to be trusted; bookmarks come every minute. */
const SILENCE_SECONDS = 300;

/** Why these caches are not to be decided by; undefined when they are complete and kept up to date. */
export function cacheProblem(
  informers: Readonly<Record<string, { hasSynced: boolean; lastActivityAgeSeconds: number }>>,
): string | undefined {
  const entries = Object.entries(informers);
  const missing = entries.filter(([, informer]) => !informer.hasSynced).map(([name]) => name);
  if (missing.length > 0) return `not complete yet: ${missing.join(', ')}`;
  const silent = entries
    .filter(([, informer]) => informer.lastActivityAgeSeconds > SILENCE_SECONDS)
    .map(([name]) => name);
  return silent.length > 0 ? `no news from the API server: ${silent.join(', ')}` : undefined;
}
