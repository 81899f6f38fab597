import { SignJWT } from 'jose';
import { bodyDigest, signers } from '../../supervisor/wire.ts';
import type { KeyPair } from './key-set.ts';

/** How long a token may be used. The pod allows for a clock that differs from ours. */
const TOKEN_SECONDS = 60;

/** What a token permits: one operation on one pod for one Session, with this very body. */
export interface TokenRequest {
  podUid: string;
  sessionUid: string;
  operation: 'bind' | 'stop';
  body?: Buffer | string | undefined;
}

/** The token that a supervisor demands; see `tokenClaims`. `now` is in milliseconds since the epoch. */
export async function signToken(key: KeyPair, request: TokenRequest, now: number): Promise<string> {
  const { podUid, sessionUid, operation, body } = request;
  return await new SignJWT({ op: operation, ...(body !== undefined && { body: bodyDigest(body) }) })
    .setProtectedHeader({ alg: 'EdDSA', kid: key.publicKey.kid })
    .setIssuer(signers[operation])
    .setAudience(podUid)
    .setSubject(sessionUid)
    .setExpirationTime(Math.floor(now / 1000) + TOKEN_SECONDS)
    .sign(key.privateKey);
}
