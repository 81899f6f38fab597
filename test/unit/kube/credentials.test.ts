import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';
import { KubeConfig } from '@kubernetes/client-node';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { KubeClient } from '../../../src/kube/client.ts';
import { KubeConfigCredentials } from '../../../src/kube/kube-config.ts';
import { nodes } from '../../../src/kube/resources.ts';
import { FakeClock } from '../../../src/kube/testing/fake-clock.ts';
import { testObject } from '../../../src/kube/testing/objects.ts';
import { ScriptedServer, type ScriptedRequest } from '../../../src/kube/testing/scripted-server.ts';

const pem = (name: string): string => join(import.meta.dirname, 'tls', `${name}.pem`);

let directory: string;
let server: ScriptedServer;
let clock: FakeClock;
let client: KubeClient;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kube-'));
  clock = new FakeClock();
  server = await tlsServer('1');
});

afterEach(async () => {
  await client.close();
  await server.close();
  await rm(directory, { recursive: true });
});

async function tlsServer(authority: string, port = 0): Promise<ScriptedServer> {
  const certificate = await readFile(pem(`server-${authority}`), 'utf8');
  const ca = [await readFile(pem('ca-1')), await readFile(pem('ca-2'))];
  const tls = new ScriptedServer({
    cert: certificate,
    key: certificate,
    ca,
    requestCert: true,
    rejectUnauthorized: false,
  });
  await tls.listen(port);
  return tls;
}

/** A client whose kubeconfig has this user, and the CA in a file. */
async function connect(user: object, caFile = pem('ca-1')): Promise<void> {
  const file = join(directory, 'config');
  const load = (): KubeConfig => {
    const config = new KubeConfig();
    config.loadFromFile(file);
    return config;
  };
  const document = {
    clusters: [{ name: 'c', cluster: { server: server.url, 'certificate-authority': caFile } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
  await writeFile(file, JSON.stringify(document));
  client = KubeClient.fromKubeConfig(load, { userAgent: 'test/1', clock, random: () => 1 });
}

/** One read; the request as the server saw it. */
async function read(): Promise<ScriptedRequest> {
  const got = client.get(nodes, { name: 'n' });
  const request = await server.next();
  request.json(200, testObject('n', 1));
  await got;
  return request;
}

function peerName({ socket }: ScriptedRequest): unknown {
  return socket instanceof TLSSocket ? socket.getPeerCertificate().subject.CN : undefined;
}

it('shows the client certificate of the kubeconfig', async () => {
  await connect({ 'client-certificate': pem('client-1'), 'client-key': pem('client-1') });
  const request = await read();
  expect(peerName(request)).toBe('test client 1');
  expect(request.headers.authorization).toBeUndefined();
});

it('follows a client certificate that is renewed, on new connections, and lets old requests end', async () => {
  const file = join(directory, 'client.pem');
  await writeFile(file, await readFile(pem('client-1')));
  await connect({ 'client-certificate': file, 'client-key': file });
  const slow = client.get(nodes, { name: 'slow' }, { timeoutMs: 120_000 });
  const pending = await server.next();
  await writeFile(file, await readFile(pem('client-2')));
  clock.advance(59_999);
  expect(peerName(await read())).toBe('test client 1');
  clock.advance(1);
  expect(peerName(await read())).toBe('test client 2');
  pending.json(200, testObject('slow', 1));
  expect((await slow).metadata.name).toBe('slow');
});

it('follows a CA that is replaced', async () => {
  const ca = join(directory, 'ca.pem');
  await writeFile(ca, await readFile(pem('ca-1')));
  await connect({ token: 't' }, ca);
  await read();
  const { port } = new URL(server.url);
  await server.close();
  server = await tlsServer('2', Number(port));
  const refused = await client.create(nodes, undefined, { metadata: { name: 'n' }, spec: {} }).catch((e: unknown) => e);
  expect(refused).toMatchObject({ reason: 'ConnectFailed', outcome: 'refused' });
  await writeFile(ca, await readFile(pem('ca-2')));
  clock.advance(60_000);
  expect((await read()).headers.authorization).toBe('Bearer t');
});

it('reads a token file again every minute, and at once after a 401', async () => {
  const tokenFile = join(directory, 'token');
  await writeFile(tokenFile, 'one\n');
  await connect({ 'auth-provider': { name: 'tokenFile', config: { tokenFile } } });
  expect((await read()).headers.authorization).toBe('Bearer one');
  await writeFile(tokenFile, 'two\n');
  clock.advance(30_000);
  expect((await read()).headers.authorization).toBe('Bearer one');
  clock.advance(30_000);
  expect((await read()).headers.authorization).toBe('Bearer two');

  await writeFile(tokenFile, 'three\n');
  clock.advance(2000);
  const got = client.get(nodes, { name: 'n' });
  (await server.next()).status(401, 'Unauthorized');
  await clock.untilTimer(0);
  clock.advance(0);
  const second = await server.next();
  expect(second.headers.authorization).toBe('Bearer three');
  second.json(200, testObject('n', 1));
  await got;
});

it('goes on with the old token while its file cannot be read', async () => {
  const tokenFile = join(directory, 'token');
  await writeFile(tokenFile, 'one');
  await connect({ 'auth-provider': { name: 'tokenFile', config: { tokenFile } } });
  await read();
  await rm(tokenFile);
  clock.advance(60_000);
  expect((await read()).headers.authorization).toBe('Bearer one');
});

it('runs an exec plugin, and again after a 401 though its credential never expires', async () => {
  const counter = join(directory, 'runs');
  await writeFile(counter, '');
  const script = `echo x >> ${counter}; n=$(wc -l < ${counter} | tr -d ' ');
    echo '{"kind":"ExecCredential","status":{"token":"run-'$n'"}}'`;
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: ['-c', script] };
  await connect({ exec });
  expect((await read()).headers.authorization).toBe('Bearer run-1');
  clock.advance(2000);
  expect((await read()).headers.authorization).toBe('Bearer run-1');
  const got = client.get(nodes, { name: 'n' });
  (await server.next()).status(401, 'Unauthorized');
  await clock.untilTimer(0);
  clock.advance(0);
  const second = await server.next();
  expect(second.headers.authorization).toBe('Bearer run-2');
  second.json(200, testObject('n', 1));
  await got;
});

it('sends nothing when there are no credentials', async () => {
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: ['-c', 'echo no >&2; exit 1'] };
  await connect({ exec });
  const refused = await client.get(nodes, { name: 'n' }).catch((error: unknown) => error);
  expect(refused).toMatchObject({ reason: 'NoCredentials', outcome: 'refused' });
  expect(server.connections).toBe(0);
});

it('does not wait for ever for a plugin', async () => {
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: ['-c', 'read forever'] };
  await connect({ exec });
  const call = client.get(nodes, { name: 'n' }).catch((error: unknown) => error);
  await clock.untilTimer(30_000);
  clock.advance(30_000);
  expect(await call).toMatchObject({ reason: 'NoCredentials' });
});

it('says so when a kubeconfig names no cluster, or a proxy', async () => {
  await connect({});
  const none = new KubeConfig();
  none.loadFromOptions({ clusters: [], users: [], contexts: [], currentContext: 'none' });
  expect(() => new KubeConfigCredentials(none, { clock }).server).toThrow('kubectl config use-context');
  const proxied = new KubeConfig();
  const cluster = { name: 'c', server: 'https://kube', skipTLSVerify: false, proxyUrl: 'http://proxy' };
  proxied.loadFromClusterAndUser(cluster, { name: 'u' });
  expect(() => new KubeConfigCredentials(proxied, { clock }).server).toThrow('http://proxy');
});
