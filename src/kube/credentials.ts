import type { SecureContextOptions } from 'node:tls';

/** How to recognise the server, and which client certificate to show it. */
export type TlsOptions = Pick<SecureContextOptions, 'ca' | 'cert' | 'key' | 'pfx' | 'passphrase'> & {
  servername?: string;
  rejectUnauthorized?: boolean;
};

/** Who we are, at this moment. */
export interface Credentials {
  /** Sent with every request: `Authorization`, impersonation. */
  headers: Record<string, string>;
  tls: TlsOptions;
}

/** Where credentials come from; they may change while the process runs. */
export interface CredentialSource {
  /** Called before every request, so it must answer from memory most of the time. */
  current(): Credentials | Promise<Credentials>;
  /** The server answered 401: read them afresh at the next call. */
  invalidate(): void;
}

/** Credentials that never change. */
export function fixedCredentials(credentials: Partial<Credentials> = {}): CredentialSource {
  const fixed = { headers: {}, tls: {}, ...credentials };
  return { current: () => fixed, invalidate: () => undefined };
}
