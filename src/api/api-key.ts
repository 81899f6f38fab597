import { z } from 'zod';
import { matching, text, timestamp } from './fields.ts';
import type { Metadata } from './metadata.ts';
import type { group, version } from './names.ts';
import { withTransitionRule } from './rules.ts';
import { explain, namesOf } from './reasons.ts';

/** What a key of the REST API is for, with what it begins with. */
export const apiKeyTypes = {
  Public: 'starts sessions, and may be in an app; stays readable, as the official command line wants it',
  Private: 'everything else of the REST API',
  Cli: 'as Private, with the prefix that the official command line takes for a token',
} as const;
export type ApiKeyType = keyof typeof apiKeyTypes;

const fields = z.object({
  type: z.enum(namesOf(apiKeyTypes)).describe(`What the key is for: ${explain(apiKeyTypes)}. Cannot be changed.`),
  sha256: matching('^[0-9a-f]{64}$', 64, 'must be a SHA-256 in 64 lowercase hexadecimal digits').describe(
    'SHA-256 of the key, by which it is looked up. The key itself has 256 random bits, so that nobody finds it from this. Cannot be changed.',
  ),
  key: text(128)
    .optional()
    .describe('The key itself, with type Public only: whoever may read the ApiKey may start sessions.'),
  displayName: text(128).optional().describe('What people call it.'),
  revoked: z
    .boolean()
    .optional()
    .describe('Set it to true and the key opens nothing any more, within a second. Once true it stays true.'),
});

/** The spec of an ApiKey. */
export const apiKeySpec = withTransitionRule(
  withTransitionRule(fields, {
    rule: 'self.type == oldSelf.type && self.sha256 == oldSelf.sha256',
    message: 'type and sha256 cannot be changed: make a new key',
    fieldPath: '.sha256',
    reason: 'FieldValueForbidden',
  }),
  {
    rule: '!(has(oldSelf.revoked) && oldSelf.revoked) || (has(self.revoked) && self.revoked)',
    message: 'revoked cannot be taken back: make a new key',
    fieldPath: '.revoked',
    reason: 'FieldValueForbidden',
  },
).describe('What the key is, and what it is for. It is good for its namespace only.');

/** The status of an ApiKey, written by the gateway. */
export const apiKeyStatus = z
  .object({
    lastUsedAt: timestamp().optional().describe('When it was last used. Updated at most every ten minutes.'),
  })
  .describe('What the gateway has seen of the key.');

export type ApiKeySpec = z.output<typeof apiKeySpec>;

/** An ApiKey as the API server returns it. */
export interface ApiKey {
  apiVersion: `${typeof group}/${typeof version}`;
  kind: 'ApiKey';
  metadata: Metadata;
  spec: ApiKeySpec;
  status?: z.output<typeof apiKeyStatus>;
}
