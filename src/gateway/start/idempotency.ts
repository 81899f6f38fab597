import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { Session } from '../../api/session.ts';
import { annotations } from '../../api/names.ts';
import { uuidOf } from '../uuid.ts';

/** How long a key stands for the session that it has started. The controller keeps such Sessions as long. */
export const WINDOW_MS = 600_000;

/** A secret that all replicas share, with its name. */
export interface SharedSecret {
  kid: string;
  secret: Buffer;
}

/** What a request with an `Idempotency-Key` is known by. */
export interface Retry {
  /** Names for its Sessions, in the order in which they are taken: a key may be used again when its window is over. */
  name(attempt: number): string;
  /** For the annotation of the Session: which request it was made for, told to nobody. */
  fingerprint: string;
  /** Whether a Session was made for this very request; undefined where that was noted with a secret that is not known here. */
  isFor(session: Session): boolean | undefined;
}

/**
 * The same key for the same agent is the same name of a Session, so that any number of replicas and tries make one. What was asked is kept as
 * a keyed hash: a plain one of something as short as a phone number could be guessed.
 *
 * @param secrets newest first; all of the time of a window are needed
 */
export function retryOf(
  scope: { namespace: string; agent: string; key: string },
  request: string,
  secrets: readonly SharedSecret[],
): Retry | undefined {
  const [newest] = secrets;
  if (newest === undefined) return undefined;
  const { namespace, agent, key } = scope;
  return {
    name: (attempt) =>
      uuidOf(
        createHash('sha256')
          .update(JSON.stringify([namespace, agent, key, attempt]))
          .digest(),
      ),
    fingerprint: hashWith(newest, request),
    isFor: ({ metadata }) => {
      const stored = metadata.annotations?.[annotations.request] ?? '';
      const secret = secrets.find(({ kid }) => stored.startsWith(`${kid}.`));
      if (stored !== '' && secret === undefined) return undefined;
      return secret !== undefined && isSame(stored, hashWith(secret, request));
    },
  };
}

function hashWith({ kid, secret }: SharedSecret, request: string): string {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'bullpen idempotency', 32));
  return `${kid}.${createHmac('sha256', key).update(request).digest('base64url')}`;
}

function isSame(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
