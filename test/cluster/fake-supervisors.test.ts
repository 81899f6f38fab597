import { generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  bodyDigest,
  environment,
  SUPERVISOR_PORT,
  terminationMessage,
  type BindRequest,
  type Operation,
  type TerminationMessage,
} from '../../src/supervisor/wire.ts';
import { claimPodAddresses, type PodAddressBlock } from './fake-addresses.ts';
import { advance, type FakedPod, type PodMemory, type PodScript } from './fake-pod.ts';
import { FakeSupervisors } from './fake-supervisors.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const { x = '' } = publicKey.export({ format: 'jwk' });
const publicKeys = { controller: [{ kid: 'c1', kty: 'OKP', crv: 'Ed25519', x }], gateway: [] };

/** A pod, and a kubelet that knows of no other: it looks when something has happened, and when it is told to. */
class TestPod {
  readonly #supervisors: FakeSupervisors;
  readonly #address: string;
  readonly #pod: FakedPod;
  #script: PodScript;
  memory: PodMemory | undefined;

  constructor(supervisors: FakeSupervisors, address: string, uid: string, script: PodScript, keys: unknown) {
    this.#supervisors = supervisors;
    this.#address = address;
    this.#script = script;
    const env = [
      { name: environment.podUid, valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
      { name: environment.publicKeys, value: JSON.stringify(keys) },
    ];
    this.#pod = {
      metadata: { name: `pod-${uid}`, namespace: 'n', uid },
      spec: {
        initContainers: [{ name: 'agent', restartPolicy: 'Always' }],
        containers: [{ name: 'supervisor', env }],
      },
    };
  }

  async look(script = this.#script): Promise<void> {
    this.#script = script;
    const { memory } = advance(this.memory, this.#pod, script, Date.now());
    this.memory = memory;
    await this.#supervisors.follow(this.#pod, memory, script, this.#address);
  }

  /** What the supervisor has written when it ended. */
  record(): TerminationMessage | undefined {
    const text = this.memory?.supervisorEnd?.message;
    return text === undefined ? undefined : terminationMessage.parse(JSON.parse(text));
  }

  async bind(session: string, more: Partial<BindRequest> = {}): Promise<Response> {
    const request: BindRequest = {
      uid: session,
      sessionId: `id-${session}`,
      body: Buffer.from('{"n":"ü"}').toString('base64'),
      headers: { 'x-daily-room-url': 'https://room' },
      maxSessionSeconds: 60,
      startTimeoutSeconds: 10,
      ...more,
    };
    return await this.#call('PUT', 'bind', session, JSON.stringify(request));
  }

  async stop(session: string): Promise<Response> {
    return await this.#call('DELETE', 'stop', session);
  }

  async health(path: string): Promise<number> {
    return (await fetch(`http://${this.#address}:${SUPERVISOR_PORT}${path}`)).status;
  }

  async #call(method: string, op: Operation, session: string, body?: string): Promise<Response> {
    const token = await new SignJWT({ op, ...(body !== undefined && { body: bodyDigest(body) }) })
      .setProtectedHeader({ alg: 'EdDSA', kid: 'c1' })
      .setIssuer('controller')
      .setAudience(this.#pod.metadata.uid)
      .setSubject(session)
      .setExpirationTime('30 s')
      .sign(privateKey);
    const headers = { authorization: `Bearer ${token}` };
    const url = `http://${this.#address}:${SUPERVISOR_PORT}/session`;
    return await fetch(url, { method, headers, ...(body !== undefined && { body }) });
  }
}

let addresses: PodAddressBlock;
let supervisors: FakeSupervisors;
let byUid: Map<string, TestPod>;
let errors: Error[];

beforeEach(async () => {
  addresses = await claimPodAddresses();
  byUid = new Map();
  errors = [];
  supervisors = new FakeSupervisors({
    onChange: (uid, change) => {
      const pod = byUid.get(uid);
      if (pod?.memory === undefined) throw new Error(`nobody knows pod ${uid}`);
      pod.memory = { ...pod.memory, ...change };
      queueMicrotask(() => void pod.look());
    },
    onError: (error) => errors.push(error),
  });
});

afterEach(() => {
  supervisors.stop();
  addresses.release();
});

async function running(script: PodScript, keys: unknown = publicKeys): Promise<TestPod> {
  const uid = `uid-${byUid.size}`;
  const pod = new TestPod(supervisors, addresses.podIP(byUid.size), uid, script, keys);
  byUid.set(uid, pod);
  await pod.look();
  return pod;
}

describe.runIf(process.platform === 'linux')('the supervisor of a fake pod', () => {
  test('takes a session, delivers it once, and leaves a record when the agent has answered', async () => {
    const pod = await running({ bot: { afterMs: 150 } });
    const answers = await Promise.all([pod.bind('s'), pod.bind('s')]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(await answers[0]?.json()).toMatchObject({ state: 'started' });
    expect(pod.memory?.boundAt).toBeTypeOf('number');
    await expect.poll(() => pod.record()).toMatchObject({ session: 's', delivered: true, outcome: 'Completed' });
    expect(pod.record()?.ranMs).toBeGreaterThanOrEqual(140);
    expect(supervisors.deliveries('n')).toMatchObject([
      {
        podName: 'pod-uid-0',
        sessionUid: 's',
        sessionId: 'id-s',
        body: '{"n":"ü"}',
        headers: { 'x-daily-session-id': 'id-s', 'x-daily-room-url': 'https://room' },
      },
    ]);
    await expect.poll(() => pod.bind('s').catch(() => 'refused')).toBe('refused');
  });

  test('knows its own pod only', async () => {
    const first = await running({});
    const second = await running({ bot: { status: 500 } });
    expect((await first.bind('a')).status).toBe(200);
    expect((await second.bind('b')).status).toBe(200);
    expect((await first.bind('b')).status).toBe(409);
    await expect.poll(() => second.record()).toMatchObject({ session: 'b', outcome: 'AgentError', httpStatus: 500 });
    expect(first.record()).toBeUndefined();
    expect(supervisors.deliveries('n', 'pod-uid-0').map(({ sessionUid }) => sessionUid)).toEqual(['a']);
  });

  test('waits for an agent that is not ready', async () => {
    const pod = await running({ readyDelayMs: 2_000 });
    expect(await Promise.all([pod.health('/readyz'), pod.health('/livez')])).toEqual([503, 200]);
    const asked = Date.now();
    expect((await pod.bind('s')).status).toBe(200);
    expect(Date.now() - asked).toBeGreaterThan(100);
    expect(await pod.health('/readyz')).toBe(200);
  });

  test('carries a bind out and drops the reply', async () => {
    const pod = await running({ supervisor: { dropReplies: 2 } });
    await expect(pod.bind('s')).rejects.toThrow();
    await expect(pod.bind('s')).rejects.toThrow();
    expect((await pod.bind('s')).status).toBe(200);
    expect(supervisors.deliveries('n')).toHaveLength(1);
  });

  test('carries a bind out and replies late', async () => {
    const pod = await running({ supervisor: { delayMs: 2_000 } });
    const reply = pod.bind('s');
    await expect.poll(() => supervisors.deliveries('n').length).toBe(1);
    const delivered = Date.now();
    expect((await reply).status).toBe(200);
    expect(Date.now() - delivered).toBeGreaterThan(150);
  });

  test('cannot be reached, and then it can', async () => {
    const pod = await running({ supervisor: 'unreachable' });
    await expect(pod.bind('s')).rejects.toThrow();
    await pod.look({});
    expect((await pod.bind('s')).status).toBe(200);
    await pod.look({ supervisor: 'unreachable' });
    await expect(pod.stop('s')).rejects.toThrow();
    expect(pod.record()).toBeUndefined();
  });

  test('notices the crash of the agent', async () => {
    const pod = await running({ bot: { afterMs: 100, crash: { code: 137, reason: 'OOMKilled' } } });
    await pod.bind('s');
    await expect.poll(() => pod.record()).toMatchObject({ outcome: 'ConnectionBroken', delivered: true });
    expect(pod.memory?.agent).toMatchObject({ restarts: 0, end: { code: 137, reason: 'OOMKilled' } });
    expect(pod.memory?.end).toBeUndefined();
  });

  test('notices that the kubelet saw the agent end', async () => {
    const pod = await running({});
    await pod.bind('s');
    pod.memory = { ...(pod.memory as PodMemory), orderedExit: { code: 1 } };
    await pod.look();
    await expect.poll(() => pod.record()).toMatchObject({ outcome: 'ConnectionBroken' });
  });

  test('follows a script that changes during the call', async () => {
    const pod = await running({});
    await pod.bind('s');
    await pod.look({ bot: {} });
    await expect.poll(() => pod.record()).toMatchObject({ outcome: 'Completed' });
  });

  test('ends on DELETE, after the answer, and the pod with it', async () => {
    const pod = await running({});
    await pod.bind('s');
    expect(await (await pod.stop('s')).json()).toEqual({ state: 'over' });
    await expect.poll(() => pod.record()).toMatchObject({ session: 's', delivered: true, outcome: 'Stopped' });
    await expect.poll(() => pod.memory?.end).toMatchObject({ code: 0 });
  });

  test('ends at its maximum duration', async () => {
    const pod = await running({});
    await pod.bind('s', { maxSessionSeconds: 0.1 });
    await expect.poll(() => pod.record()).toMatchObject({ outcome: 'DeadlineExceeded', delivered: true });
  });

  test.each([
    ['bound', true],
    ['free', false],
  ])('leaves a record when the pod is stopped while it is %s', async (_name, bound) => {
    const pod = await running({});
    if (bound) await pod.bind('s');
    pod.memory = { ...(pod.memory as PodMemory), orderedStop: { reason: 'Evicted', message: 'm' } };
    await pod.look();
    expect(pod.record()).toMatchObject({ outcome: 'Stopped', delivered: bound });
    expect(pod.record()?.session).toBe(bound ? 's' : undefined);
  });

  test('leaves nothing when it dies itself', async () => {
    const pod = await running({});
    await pod.bind('s');
    pod.memory = { ...(pod.memory as PodMemory), supervisorEnd: { code: 137, at: Date.now() } };
    await pod.look();
    await expect(pod.bind('s')).rejects.toThrow();
    expect(pod.memory.supervisorEnd).toEqual({ code: 137, at: expect.any(Number) as number });
  });

  test('ends with an error when its environment is wrong', async () => {
    const pod = await running({}, { controller: [] });
    expect(pod.memory?.supervisorEnd).toMatchObject({ code: 1 });
    expect(errors).toHaveLength(1);
  });
});

test.runIf(process.platform === 'linux')('no two fake kubelets have the same addresses', async () => {
  const blocks = await Promise.all([0, 0, 0.02].map((random) => claimPodAddresses(() => random)));
  const ips = [addresses, ...blocks].map(({ podIP }) => podIP(0));
  expect(new Set(ips).size).toBe(4);
  for (const block of blocks) block.release();
  expect(addresses.podIP(299)).toMatch(/^127\.\d+\.1\.44$/);
});
