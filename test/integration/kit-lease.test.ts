import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest';
import { systemClock } from '../../src/kube/clock.ts';
import { KubeClient } from '../../src/kube/client.ts';
import { LeaderElector, LeadershipLostError, type Leadership } from '../../src/kube/leader-election.ts';
import type { Lease } from '../../src/kube/objects.ts';
import { leases } from '../../src/kube/resources.ts';
import { connectCluster } from '../cluster/vitest-setup.ts';
import { ChaosProxy } from '../support/chaos-proxy.ts';
import { TestKube } from '../support/kube.ts';

/** Leader election on a real API server, with timings that a test can wait for, and that a machine which stutters for seconds keeps. */
const cluster = await connectCluster();
const namespace = `kit-lease-${Date.now().toString(36)}`;
const kube = new TestKube(cluster, namespace);
const timings = { leaseDurationMs: 12_000, renewDeadlineMs: 9_000, retryPeriodMs: 1_500 };

beforeAll(() => kube.createNamespace());

afterAll(async () => {
  await cluster.kubectl(['delete', 'namespace', namespace, '--wait=false']);
  await kube.close();
});

type Context = Pick<TestContext, 'onTestFinished'>;

/** One process that wants to lead. */
class Candidate {
  readonly proxy: ChaosProxy;
  readonly elector: LeaderElector;
  readonly leads: Promise<Leadership>;
  /** How `run` ended: undefined in good order, else the error. */
  readonly ended: Promise<unknown>;
  readonly #stop = new AbortController();

  private constructor({ onTestFinished }: Context, proxy: ChaosProxy, name: string, identity: string) {
    this.proxy = proxy;
    const config = new KubeConfig();
    config.loadFromFile(proxy.kubeconfig);
    const common = { clock: systemClock, random: Math.random };
    const api = KubeClient.fromKubeConfig(config, { userAgent: 'bullpen-test', connections: 1, ...common });
    this.elector = new LeaderElector({ api, lease: { namespace, name }, identity, timings, ...common });
    const leads = Promise.withResolvers<Leadership>();
    this.leads = leads.promise;
    const onLeading = async (signal: AbortSignal, leadership: Leadership): Promise<void> => {
      leads.resolve(leadership);
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    };
    this.ended = this.elector.run({ onLeading, signal: this.#stop.signal }).catch((error: unknown) => error);
    onTestFinished(async () => {
      this.#stop.abort();
      await this.ended;
      await Promise.all([api.close(), proxy.close()]);
    });
  }

  static async start(context: Context, lease: string, identity: string): Promise<Candidate> {
    return new Candidate(context, await ChaosProxy.start(cluster), lease, identity);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.ended;
  }
}

const lease = (name: string): Promise<Lease> => kube.api.get(leases, { namespace, name });

describe.concurrent('of candidates for a lease', () => {
  test('exactly one leads, however many come at once', async (context) => {
    const all = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => Candidate.start(context, 'crowd', name)));
    await Promise.race(all.map(({ leads }) => leads));
    const holder = (await lease('crowd')).spec?.holderIdentity ?? '';
    expect(all.filter(({ elector }) => elector.holdsLease())).toHaveLength(1);
    expect(all.findIndex(({ elector }) => elector.holdsLease())).toBe('abcde'.indexOf(holder));
  });

  test('the next one leads at once when the leader lets go, and knows that nothing is under way', async (context) => {
    const first = await Candidate.start(context, 'released', 'first');
    expect(await first.leads).toEqual({ cleanHandover: true });
    const acquired = (await lease('released')).spec;
    expect(acquired).toMatchObject({ holderIdentity: 'first', leaseDurationSeconds: 12, leaseTransitions: 0 });
    const second = await Candidate.start(context, 'released', 'second');
    await first.stop();
    const since = Date.now();
    expect(await second.leads).toEqual({ cleanHandover: true });
    // It looks every 1.5 to 3.3 s. Had it not noticed, it would have waited for the end of the lease, which was last renewed before.
    expect(Date.now() - since).toBeLessThan(timings.leaseDurationMs - timings.retryPeriodMs);
    expect((await lease('released')).spec).toMatchObject({ holderIdentity: 'second', leaseTransitions: 1 });
  });

  test('the next one waits for the end of the lease when the leader is cut off, and the leader has stopped before', async (context) => {
    const first = await Candidate.start(context, 'cut-off', 'first');
    await first.leads;
    const second = await Candidate.start(context, 'cut-off', 'second');
    first.proxy.when(() => true, 'silence-before');
    const order: string[] = [];
    const ended = first.ended.then((error) => {
      order.push('the first has stopped');
      return error;
    });
    const leadership = await second.leads;
    order.push('the second leads');
    expect(first.elector.holdsLease()).toBe(false);
    expect(await ended).toBeInstanceOf(LeadershipLostError);
    expect(leadership).toEqual({ cleanHandover: false });
    expect(order).toEqual(['the first has stopped', 'the second leads']);
  });

  test('the leader keeps the lease when replies to its renewals get lost', async (context) => {
    const first = await Candidate.start(context, 'lost-replies', 'first');
    await first.leads;
    const lost = first.proxy.when('PUT leases', 'lose-reply', { times: 3 });
    await lost.struck;
    const before = (await lease('lost-replies')).spec?.renewTime;
    await new Promise((resolve) => setTimeout(resolve, timings.leaseDurationMs));
    expect(lost.hits).toBe(3);
    expect(first.elector.holdsLease()).toBe(true);
    expect((await lease('lost-replies')).spec?.renewTime).not.toBe(before);
  });
});
