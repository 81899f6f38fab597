import { createHash } from 'node:crypto';

/** Lower-case letters and digits that cannot spell words or be mistaken for each other, as Kubernetes uses for generated names. */
const SAFE_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

/** A pod's hostname is its name, and a hostname has at most 63 characters. */
const MAX_POD_NAME = 63;
const HASH_LENGTH = 10;

/**
 * The name of the pod of one attempt to run a Session.
 *
 * It is a function of the Session's uid and the attempt, so that two creators (a retry after a lost reply, or two
 * controllers at once) collide on the name instead of running the Session twice.
 */
export function sessionPodName(session: { name: string; uid: string }, attempt: number): string {
  const hash = shortHash(`${session.uid}/${String(attempt)}`, HASH_LENGTH);
  const stem = session.name.slice(0, MAX_POD_NAME - HASH_LENGTH - 1).replace(/[-.]+$/, '');
  return `${stem}-${hash}`;
}

/** The name of a pod that is to wait for a Session: random and made here, so that a request and its repetition are one pod. */
export function warmPodName(agent: string, random: () => number): string {
  let tail = '';
  for (let i = 0; i < HASH_LENGTH; i++) tail += SAFE_ALPHABET.charAt(Math.floor(random() * SAFE_ALPHABET.length));
  return `${agent.slice(0, MAX_POD_NAME - HASH_LENGTH - 1).replace(/[-.]+$/, '')}-${tail}`;
}

/** A hash of `text` in `length` characters that are allowed anywhere in a Kubernetes name or label value. */
export function shortHash(text: string, length: number): string {
  const digest = createHash('sha256').update(text).digest();
  let hash = '';
  for (let i = 0; i < length; i++) hash += SAFE_ALPHABET.charAt(digest.readUInt8(i) % SAFE_ALPHABET.length);
  return hash;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * The id under which a Session is known to its agent and its callers, always a UUID: its name where that is one
 * (Sessions started over REST), else its uid.
 */
export function sessionId(session: { name: string; uid: string }): string {
  return UUID.test(session.name) ? session.name : session.uid;
}
