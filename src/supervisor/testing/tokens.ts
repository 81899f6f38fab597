import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { Verifier } from '../verifier.ts';
import { bodyDigest, type Operation } from '../wire.ts';

/** The pod that the tokens of tests are for. */
export const POD = 'pod-uid';
/** And its Session. */
export const SESSION = 'session-uid';

export const signers = {
  controller: generateKeyPairSync('ed25519'),
  gateway: generateKeyPairSync('ed25519'),
  stranger: generateKeyPairSync('ed25519'),
};

export interface TokenOptions {
  key?: KeyObject;
  kid?: string;
  iss?: string;
  aud?: string;
  sub?: string;
  op?: Operation;
  body?: string;
  expiresIn?: number;
}

/** What makes a token one of the gateway's for a WebSocket. */
export const FOR_WEBSOCKET: TokenOptions = { key: signers.gateway.privateKey, kid: 'g1', iss: 'gateway', op: 'ws' };

/** A token of the controller's to bind the pod, or another one. */
export function makeToken(body: string, options: TokenOptions = {}): Promise<string> {
  const { key = signers.controller.privateKey, kid = 'c1', iss = 'controller', aud = POD, sub = SESSION } = options;
  return new SignJWT({ op: options.op ?? 'bind', body: options.body ?? bodyDigest(body) })
    .setProtectedHeader({ alg: 'EdDSA', kid })
    .setIssuer(iss)
    .setAudience(aud)
    .setSubject(sub)
    .setExpirationTime(Math.floor(Date.now() / 1000) + (options.expiresIn ?? 30))
    .sign(key);
}

/** The pod's own judge of them. */
export function makeVerifier(): Promise<Verifier> {
  const { controller, gateway } = signers;
  return Verifier.create(POD, {
    controller: [publicKey(controller.publicKey, 'c1')],
    gateway: [publicKey(gateway.publicKey, 'g1')],
  });
}

function publicKey(key: KeyObject, kid: string) {
  const { x = '' } = key.export({ format: 'jwk' });
  return { kid, kty: 'OKP' as const, crv: 'Ed25519' as const, x };
}
