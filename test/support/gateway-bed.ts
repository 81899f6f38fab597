import { afterAll, beforeAll } from 'vitest';
import type { ApiKeyType } from '../../src/api/api-key.ts';
import type { Bullpen } from './bullpen.ts';
import { createKey, GatewayProcess } from './gateway-process.ts';

/** A gateway beside the controller of a test file, with a key of each type for the file's namespace. */
export interface GatewayBed {
  readonly gateway: GatewayProcess;
  readonly publicKey: string;
  readonly privateKey: string;
  readonly token: string;
}

/** Registers the hooks that start it before the file's tests and end it afterwards. */
export function useGateway({ cluster, namespace }: Bullpen): GatewayBed {
  let gateway: GatewayProcess | undefined;
  const keys = new Map<ApiKeyType, string>();
  beforeAll(async () => {
    gateway = await GatewayProcess.start(cluster, { namespace, watchNamespaces: [namespace] });
    await Promise.all(
      (['Public', 'Private', 'Cli'] as const).map(async (type) =>
        keys.set(type, await createKey(cluster, namespace, type)),
      ),
    );
    // It knows them all when it can list them all: a key that it does not know yet is a wrong one.
    const wanted = { public: [{ key: key('Public') }], private: [{}, {}] };
    await gateway.answers(
      'GET',
      `/v1/organizations/${namespace}/apiKeys`,
      { key: key('Cli') },
      { status: 200, body: wanted },
    );
  });
  afterAll(() => gateway?.stop());

  function key(type: ApiKeyType): string {
    const text = keys.get(type);
    if (text === undefined) throw new Error('the keys have not been made yet');
    return text;
  }
  return {
    get gateway() {
      if (gateway === undefined) throw new Error('the gateway has not been started yet');
      return gateway;
    },
    get publicKey() {
      return key('Public');
    },
    get privateKey() {
      return key('Private');
    },
    get token() {
      return key('Cli');
    },
  };
}
