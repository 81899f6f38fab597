import type { Clock } from '../../src/kube/clock.ts';
import type { LeaderDeps } from '../../src/controller/leader.ts';

/** As the real ones: how long a token may be used, and how much clocks may differ. */
const TOKEN_MS = 60_000;
const TOLERANCE_MS = 60_000;

const KID = 'model';

interface Claims {
  podUid: string;
  sessionUid: string;
  operation: 'bind' | 'stop';
  body: string;
  expires: number;
}

/** Tokens that say in clear what the real ones sign: for which pod, Session, operation and body they are, and until when. */
export function modelKeys(clock: Clock): LeaderDeps['keys'] {
  return {
    load: () => Promise.resolve(),
    run: () => Promise.resolve(),
    sign: ({ podUid, sessionUid, operation, body = '' }, knownKids) => {
      const claims: Claims = { podUid, sessionUid, operation, body: String(body), expires: clock.now() + TOKEN_MS };
      return Promise.resolve(knownKids.includes(KID) ? JSON.stringify(claims) : undefined);
    },
    open: () => Promise.resolve({ ok: false, problem: 'UnknownKey' }),
    publicKeys: [{ kid: KID, kty: 'OKP', crv: 'Ed25519', x: '' }],
    kids: [KID],
    onChanged: () => () => undefined,
  };
}

/** No gateway is played. */
export const noGatewayKeys: LeaderDeps['gatewayKeys'] = {
  load: () => Promise.resolve(),
  run: () => Promise.resolve(),
  publicKeys: () => [],
};

/** The claims of a token, if it permits this on this pod. */
export function readToken(
  token: string,
  wanted: { podUid: string; operation: string; body: string; now: number },
): Claims | undefined {
  const claims = JSON.parse(token) as Claims;
  const isFor = claims.podUid === wanted.podUid && claims.operation === wanted.operation && claims.body === wanted.body;
  return isFor && wanted.now <= claims.expires + TOLERANCE_MS ? claims : undefined;
}

/** Nobody seals. */
export const noPublisher: LeaderDeps['publisher'] = { run: () => Promise.resolve() };
