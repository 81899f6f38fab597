import { importJWK, jwtVerify, type CryptoKey, type JWTPayload } from 'jose';
import { signers, tokenClaims, type Operation, type PublicKeys, type TokenClaims } from './wire.ts';

/** Nodes' clocks differ; a token lives for seconds. */
const CLOCK_TOLERANCE_SECONDS = 60;

/** A token longer than this is none of ours. */
const MAX_TOKEN_LENGTH = 4096;

/** Checks that a request comes from whom it must come from, and is meant for this pod. It holds public keys only. */
export class Verifier {
  readonly #podUid: string;
  readonly #keys: ReadonlyMap<string, CryptoKey | Uint8Array>;

  private constructor(podUid: string, keys: ReadonlyMap<string, CryptoKey | Uint8Array>) {
    this.#podUid = podUid;
    this.#keys = keys;
  }

  static async create(podUid: string, keys: PublicKeys): Promise<Verifier> {
    const imported = new Map<string, CryptoKey | Uint8Array>();
    for (const [signer, list] of Object.entries(keys)) {
      for (const jwk of list) imported.set(`${signer}/${jwk.kid}`, await importJWK(jwk, 'EdDSA'));
    }
    return new Verifier(podUid, imported);
  }

  /** The claims of a token that permits this operation on this pod; undefined for any other, whatever is wrong with it. */
  async verify(authorization: string | undefined, operation: Operation): Promise<TokenClaims | undefined> {
    const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/.exec(authorization ?? '')?.[1];
    if (token === undefined || token.length > MAX_TOKEN_LENGTH) return undefined;
    const issuer = signers[operation];
    let payload: JWTPayload;
    try {
      const verified = await jwtVerify(
        token,
        ({ kid }) => {
          const key = this.#keys.get(`${issuer}/${kid ?? ''}`);
          if (key === undefined) throw new Error('unknown key');
          return key;
        },
        {
          algorithms: ['EdDSA', 'Ed25519'],
          audience: this.#podUid,
          issuer,
          requiredClaims: ['exp', 'sub', 'op'],
          clockTolerance: CLOCK_TOLERANCE_SECONDS,
        },
      );
      payload = verified.payload;
    } catch {
      return undefined;
    }
    const claims = tokenClaims.safeParse(payload);
    return claims.success && claims.data.op === operation ? claims.data : undefined;
  }
}
