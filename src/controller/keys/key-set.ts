import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type CryptoKey } from 'jose';
import { z } from 'zod';
import { labels, managedBy } from '../../api/names.ts';
import type { NewObject, Secret } from '../../kube/objects.ts';
import type { PublicKeys } from '../../supervisor/wire.ts';

/** The key of the Secret's data under which the keys are. */
export const KEYS_FILE = 'keys.json';

/** Pods note the ids of the keys that they trust with commas between them. */
const kid = z.string().regex(/^[\w-]{1,64}$/);

/** A key pair as the Secret holds it: a private JWK, and since when there is such a key. Never log it or put it into an error. */
const privateJwk = z.object({
  kid,
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  d: z.string(),
  createdAt: z.iso.datetime(),
});
export type PrivateJwk = z.infer<typeof privateJwk>;

const keySet = z
  .object({ keys: z.array(privateJwk).min(1) })
  .refine(({ keys }) => new Set(keys.map((key) => key.kid)).size === keys.length);

/** What pods are told of a key. */
export type PublicKey = PublicKeys['controller'][number];

/** A key pair in use. Its private half can sign, and cannot be read. */
export interface SigningKey {
  publicKey: PublicKey;
  privateKey: CryptoKey;
}

/** A new key pair. Its id is the thumbprint of its public half (RFC 7638). */
export async function makeKey(now: number): Promise<PrivateJwk> {
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const jwk = await exportJWK(privateKey);
  return privateJwk.parse({ ...jwk, kid: await calculateJwkThumbprint(jwk), createdAt: new Date(now).toISOString() });
}

/**
 * The key pairs in a Secret, newest first, as they are stored and ready for use; undefined when what is there is no set of keys. Why not
 * is not told: the messages of parsers quote what they parse.
 */
export async function readKeys(secret: Secret): Promise<{ stored: PrivateJwk[]; keys: SigningKey[] } | undefined> {
  try {
    const text = Buffer.from(secret.data?.[KEYS_FILE] ?? '', 'base64').toString('utf8');
    const { keys: stored } = keySet.parse(JSON.parse(text));
    return { stored, keys: await Promise.all(stored.map(signingKey)) };
  } catch {
    return undefined;
  }
}

async function signingKey({ kid, kty, crv, x, d }: PrivateJwk): Promise<SigningKey> {
  // Rejects when the two halves do not belong together.
  const privateKey = await importJWK({ kty, crv, x, d }, 'EdDSA');
  return { publicKey: { kid, kty, crv, x }, privateKey };
}

/** The Secret of that name with these keys, newest first. */
export function newKeysSecret(name: string, keys: readonly PrivateJwk[]): NewObject<Secret> {
  const metadata = { name, labels: { [labels.managedBy]: managedBy } };
  return { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data: keysData(keys) };
}

export function keysData(keys: readonly PrivateJwk[]): Record<string, string> {
  return { [KEYS_FILE]: Buffer.from(JSON.stringify({ keys })).toString('base64') };
}
