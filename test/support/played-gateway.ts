import { request } from 'node:http';
import { SignJWT } from 'jose';
import { WebSocket } from 'undici';
import { readKeys } from '../../src/controller/keys/key-set.ts';
import type { Session } from '../../src/api/session.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { secrets } from '../../src/kube/resources.ts';
import { kidsOfPod } from '../../src/pods/trusted-keys.ts';
import { SUPERVISOR_PORT } from '../../src/supervisor/wire.ts';
import { waitFor } from '../cluster/wait.ts';
import type { TestKube } from './kube.ts';

const KEYS = 'bullpen-gateway-keys';
const SOON = { timeoutMs: 60_000, intervalMs: 50 };

/** What a gateway does for the callers of WebSocket sessions: it finds their pod, and opens the socket with a token of its own. */
export class PlayedGateway {
  readonly #kube: TestKube;

  constructor(kube: TestKube) {
    this.#kube = kube;
  }

  /** Opens the WebSocket of a session, as soon as its pod has been told of it. */
  async open(name: string): Promise<OpenSocket> {
    const session = await this.#kube.sessionWhen(name, 'a pod', ({ status }) => status?.podName !== undefined);
    const pod = await this.#podOf(session);
    const headers = await this.#headers(session, pod);
    return await waitFor(() => connect(`ws://${pod.status?.podIP ?? ''}:${SUPERVISOR_PORT}/ws`, headers), {
      ...SOON,
      what: `the WebSocket of ${name}`,
    });
  }

  /** The status and the code with which the WebSocket of a session is refused. */
  async refusal(session: Session): Promise<[status: number, code: string]> {
    const pod = await this.#podOf(session);
    const headers = await this.#headers(session, pod);
    return await new Promise((resolve, reject) => {
      const call = request({
        host: pod.status?.podIP,
        port: SUPERVISOR_PORT,
        path: '/ws',
        headers: { ...headers, connection: 'Upgrade', upgrade: 'websocket' },
      });
      call.on('upgrade', (_message, socket) => {
        socket.destroy();
        reject(new Error('the WebSocket was opened'));
      });
      call.on('response', (message) => {
        let text = '';
        message.on('data', (chunk: Buffer) => (text += chunk.toString()));
        message.on('end', () => resolve([message.statusCode ?? 0, (JSON.parse(text) as { code: string }).code]));
      });
      call.on('error', reject);
      call.end();
    });
  }

  async #podOf({ status }: Session): Promise<Pod> {
    const read = async (): Promise<Pod | undefined> => {
      const pod = await this.#kube.pod(status?.podName ?? '');
      return pod.status?.podIP === undefined ? undefined : pod;
    };
    return await waitFor(read, { ...SOON, what: 'an address of the pod' });
  }

  async #headers(session: Session, pod: Pod): Promise<{ authorization: string }> {
    const secret = await this.#kube.api.get(secrets, { namespace: this.#kube.namespace, name: KEYS });
    const known = kidsOfPod(pod);
    const key = (await readKeys(secret, 'signing'))?.keys.find(({ publicKey: { kid } }) => known.includes(kid));
    if (key === undefined) throw new Error('the pod trusts no key of the gateway');
    const token = await new SignJWT({ op: 'ws' })
      .setProtectedHeader({ alg: 'EdDSA', kid: key.publicKey.kid })
      .setIssuer('gateway')
      .setAudience(pod.metadata.uid)
      .setSubject(session.metadata.uid)
      .setExpirationTime('60s')
      .sign(key.privateKey);
    return { authorization: `Bearer ${token}` };
  }
}

/** Undefined when there is none (yet): the supervisor may not listen, or not know its session. */
async function connect(url: string, headers: Record<string, string>): Promise<OpenSocket | undefined> {
  const socket = new WebSocket(url, { headers });
  socket.binaryType = 'arraybuffer';
  return await new Promise((resolve) => {
    socket.addEventListener('open', () => resolve(new OpenSocket(socket)));
    socket.addEventListener('error', () => resolve(undefined));
  });
}

/** The caller's end of a WebSocket. */
export class OpenSocket {
  /** Resolves with the code when it is closed: 1006 without a closing frame. */
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)));
  }

  send(message: string | Buffer): void {
    this.#socket.send(message);
  }

  /** Says something, and resolves with what is said next on the other side. */
  async exchange(message: string | Buffer): Promise<string | Buffer> {
    const next = new Promise<unknown>((resolve) =>
      this.#socket.addEventListener('message', ({ data }) => resolve(data), { once: true }),
    );
    this.#socket.send(message);
    const data = await next;
    return typeof data === 'string' ? data : Buffer.from(data as ArrayBuffer);
  }

  close(): void {
    this.#socket.close(1000);
  }
}
