import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type CryptoKey } from 'jose';
import { z } from 'zod';
import { labels, managedBy } from '../../api/names.ts';
import type { NewObject, Secret } from '../../kube/objects.ts';
import { sealingAlgorithm } from '../../sealing/sealing.ts';

/**
 * What keys are for. Each purpose has a set of its own, under `file` in the data of a Secret.
 *
 * - `signing`: what is asked of pods; they hold the public halves.
 * - `sealing`: what the controller alone may open, for whoever has a public half.
 */
export const purposes = {
  signing: { file: 'keys.json', curve: 'Ed25519', algorithm: 'EdDSA' },
  sealing: { file: 'sealing.json', curve: 'X25519', algorithm: sealingAlgorithm },
} as const;
export type Purpose = keyof typeof purposes;
type Curve<P extends Purpose> = (typeof purposes)[P]['curve'];

/** Pods note the ids of the keys that they trust with commas between them. */
const kid = z.string().regex(/^[\w-]{1,64}$/);

/** A key pair as the Secret holds it: a private JWK, and since when there is such a key. Never log it or put it into an error. */
const privateJwk = z.object({
  kid,
  kty: z.literal('OKP'),
  crv: z.enum([purposes.signing.curve, purposes.sealing.curve]),
  x: z.string(),
  d: z.string(),
  createdAt: z.iso.datetime(),
});
export type PrivateJwk = z.infer<typeof privateJwk>;

const keySet = z
  .object({ keys: z.array(privateJwk).min(1) })
  .refine(({ keys }) => new Set(keys.map((key) => key.kid)).size === keys.length);

/** What others are told of a key. */
export interface PublicKey<P extends Purpose = 'signing'> {
  kid: string;
  kty: 'OKP';
  crv: Curve<P>;
  x: string;
}

/** A key pair in use. Its private half can do its work, and cannot be read. */
export interface KeyPair<P extends Purpose = 'signing'> {
  publicKey: PublicKey<P>;
  privateKey: CryptoKey;
}

/** The key pairs of a set, newest first: as they are stored, and ready for use. */
export interface KeySet<P extends Purpose = Purpose> {
  stored: PrivateJwk[];
  keys: KeyPair<P>[];
}

/** A new key pair. Its id is the thumbprint of its public half (RFC 7638). */
export async function makeKey(purpose: Purpose, now: number): Promise<PrivateJwk> {
  const { algorithm, curve } = purposes[purpose];
  const { privateKey } = await generateKeyPair(algorithm, { crv: curve, extractable: true });
  const jwk = await exportJWK(privateKey);
  return privateJwk.parse({ ...jwk, kid: await calculateJwkThumbprint(jwk), createdAt: new Date(now).toISOString() });
}

/** Whether a Secret has anything where the keys for this purpose belong. */
export function hasKeys(secret: Secret, purpose: Purpose): boolean {
  return secret.data?.[purposes[purpose].file] !== undefined;
}

/**
 * The set of keys for a purpose in a Secret; undefined when what is there is none. Why not is not told: the messages of parsers quote
 * what they parse.
 */
export async function readKeys<P extends Purpose>(secret: Secret, purpose: P): Promise<KeySet<P> | undefined> {
  try {
    const text = Buffer.from(secret.data?.[purposes[purpose].file] ?? '', 'base64').toString('utf8');
    const { keys: stored } = keySet.parse(JSON.parse(text));
    return { stored, keys: await Promise.all(stored.map((jwk) => keyPair(jwk, purpose))) };
  } catch {
    return undefined;
  }
}

async function keyPair<P extends Purpose>({ kid, kty, crv, x, d }: PrivateJwk, purpose: P): Promise<KeyPair<P>> {
  const { algorithm, curve } = purposes[purpose];
  if (crv !== curve) throw new Error('a key for another purpose');
  // Rejects when the two halves do not belong together.
  const privateKey = await importJWK({ kty, crv, x, d }, algorithm);
  return { publicKey: { kid, kty, crv: curve, x }, privateKey };
}

/** The Secret of that name with these data. */
export function newKeysSecret(name: string, data: Record<string, string>): NewObject<Secret> {
  const metadata = { name, labels: { [labels.managedBy]: managedBy } };
  return { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data };
}

/** Keys, newest first, as the Secret's data hold them. */
export function keysData(purpose: Purpose, keys: readonly PrivateJwk[]): Record<string, string> {
  return { [purposes[purpose].file]: Buffer.from(JSON.stringify({ keys })).toString('base64') };
}
