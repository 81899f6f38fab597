import { createHash } from 'node:crypto';
import type { ApiKey, ApiKeyType } from '../api/api-key.ts';
import { apiVersion } from '../api/names.ts';
import type { NewObject } from '../kube/objects.ts';

/** What keys begin with, so that people and scanners of source code can tell them. */
export const keyPrefixes = { Public: 'pk_', Private: 'sk_', Cli: 'pcc_pat_' } as const satisfies Record<
  ApiKeyType,
  string
>;

/** 256 bits: nobody guesses one, so a plain hash of it gives nothing away. */
const KEY_BYTES = 32;

/** No key of ours is longer. */
export const MAX_KEY_LENGTH = 128;

/** How a key is looked up. */
export function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** A new key. It cannot be had again. */
export function makeKey(type: ApiKeyType, randomBytes: (length: number) => Buffer): string {
  return `${keyPrefixes[type]}${randomBytes(KEY_BYTES).toString('base64url')}`;
}

/** The object that stands for a key; of all but public ones only the hash is in it. */
export function apiKeyOf(key: string, type: ApiKeyType, displayName: string): NewObject<ApiKey> {
  const sha256 = hashOf(key);
  return {
    apiVersion,
    kind: 'ApiKey',
    metadata: { name: `${type.toLowerCase()}-${sha256.slice(0, 20)}` },
    spec: { type, sha256, displayName, ...(type === 'Public' && { key }) },
  };
}
