import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import type { RejectReason } from '../api/reasons.ts';
import type { Session } from '../api/session.ts';
import { systemClock } from '../kube/clock.ts';
import type { EventRecorder } from '../kube/events.ts';
import { createControllerMetrics } from '../telemetry/metrics.ts';
import { Ledger } from '../usage/ledger.ts';
import { Announcer } from './announcer.ts';
import { Arrivals } from './arrivals.ts';
import { makeSession } from './testing/objects.ts';

function setUp() {
  const registry = new Registry();
  const metrics = createControllerMetrics(registry);
  const recorded: { reason: string; note: string }[] = [];
  const events = { event: (note: { reason: string; note: string }) => recorded.push(note) } as unknown as EventRecorder;
  const arrivals = new Arrivals({ clock: systemClock });
  const announcer = new Announcer({ events, metrics, ledger: new Ledger(metrics), arrivals });
  return { announcer, registry, recorded };
}

const rejected = (reason: RejectReason): Session =>
  makeSession('s', { spec: { agent: 'invented' }, status: { phase: 'Rejected', reason, message: 'no' } });

it.for(['AgentNotFound', 'SessionInvalid'] as const)(
  'makes no metric series for an Agent that a caller invented (%s)',
  async (reason) => {
    const { announcer, registry, recorded } = setUp();
    announcer.finished(rejected(reason));
    expect(await registry.metrics()).not.toContain('invented');
    expect(recorded).toMatchObject([{ reason, note: 'no' }]);
  },
);

it('tells of a Session whose spec cannot be read', () => {
  const { announcer, recorded } = setUp();
  announcer.finished({ ...rejected('SessionInvalid'), spec: undefined } as unknown as Session);
  expect(recorded).toHaveLength(1);
});
