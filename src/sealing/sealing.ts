import { compactDecrypt, CompactEncrypt, decodeProtectedHeader, importJWK, type CryptoKey } from 'jose';
import { z } from 'zod';

/**
 * RFC 7518 4.6, with keys on X25519: a fresh key for each text, agreed with a public one. So whoever seals holds no secret, and cannot
 * open what others, or they themselves, have sealed.
 */
export const sealingAlgorithm = 'ECDH-ES';

const ENCRYPTION = 'A256GCM';

/** The protected header that says which Session a text is for. */
const CONTEXT = 'bullpen';

/** What an agent is to be told. */
export interface Envelope {
  /** Headers of the request. */
  headers: Readonly<Record<string, string>>;
  /** Its body, byte for byte. */
  body: Uint8Array;
}

/** The Session that a text is for. It opens for no other, so a copy of it elsewhere is worth nothing. */
export interface SealingContext {
  namespace: string;
  agent: string;
  session: string;
}

/** What whoever seals must know. */
export interface SealingJwk {
  kid: string;
  kty: 'OKP';
  crv: 'X25519';
  x: string;
}

/** What whoever opens must have. */
export interface OpeningKey {
  kid: string;
  privateKey: CryptoKey;
}

/** Why a text does not open. */
export const sealingProblems = {
  NotForThis: 'it was sealed for another Session (its namespace, Agent and name all count)',
  UnknownKey: 'it was sealed with a key that is not, or no longer, in use',
  Damaged: 'it is damaged, or was not sealed as it should be',
} as const;
export type SealingProblem = keyof typeof sealingProblems;

export type Opened = { ok: true; envelope: Envelope } | { ok: false; problem: SealingProblem };

const headers = z.record(z.string(), z.string());
const NEWLINE = 0x0a;

/**
 * Closes an envelope for one Session: a JWE in compact form, four thirds as long as the body and the headers, and some 500
 * characters. Its content is the headers as one line of JSON, then the body. Rejects when the key is none.
 *
 * @example
 * await seal({ headers: {}, body: Buffer.from('{}') }, { namespace: 'calls', agent: 'echo', session: 'call-42' }, publicJwk)
 */
export async function seal(
  { headers, body }: Envelope,
  context: SealingContext,
  publicJwk: SealingJwk,
): Promise<string> {
  const { kid, kty, crv, x } = publicJwk;
  const { namespace, agent, session } = context;
  const content = Buffer.concat([Buffer.from(`${JSON.stringify(headers)}\n`), body]);
  return await new CompactEncrypt(content)
    .setProtectedHeader({ alg: sealingAlgorithm, enc: ENCRYPTION, kid, [CONTEXT]: { namespace, agent, session } })
    .encrypt(await importJWK({ kty, crv, x }, sealingAlgorithm));
}

/**
 * Opens what {@link seal} has closed for this very Session. Never rejects, and says of a text that does not open only why: errors of
 * libraries may quote what they work on.
 */
export async function open(jwe: string, context: SealingContext, keys: readonly OpeningKey[]): Promise<Opened> {
  try {
    const { kid } = decodeProtectedHeader(jwe);
    const key = keys.find((candidate) => candidate.kid === kid);
    if (key === undefined) return { ok: false, problem: typeof kid === 'string' ? 'UnknownKey' : 'Damaged' };
    const { plaintext, protectedHeader } = await compactDecrypt(jwe, key.privateKey, {
      keyManagementAlgorithms: [sealingAlgorithm],
      contentEncryptionAlgorithms: [ENCRYPTION],
      // Nothing that is sealed is compressed: a small text could become a very large one.
      maxDecompressedLength: 0,
    });
    // The header is authenticated with the content.
    if (!isFor(protectedHeader[CONTEXT], context)) return { ok: false, problem: 'NotForThis' };
    return { ok: true, envelope: read(plaintext) };
  } catch {
    return { ok: false, problem: 'Damaged' };
  }
}

function isFor(sealed: unknown, { namespace, agent, session }: SealingContext): boolean {
  const given = sealed as Partial<SealingContext> | null | undefined;
  return given?.namespace === namespace && given.agent === agent && given.session === session;
}

/** Throws when it is no envelope. */
function read(content: Uint8Array): Envelope {
  const end = content.indexOf(NEWLINE);
  if (end < 0) throw new Error('no line of headers');
  return {
    headers: headers.parse(JSON.parse(Buffer.from(content.subarray(0, end)).toString('utf8'))),
    body: content.subarray(end + 1),
  };
}
