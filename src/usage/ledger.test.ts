import { describe, expect, it } from 'vitest';
import type { ControllerMetrics } from '../telemetry/metrics.ts';
import { Ledger, usageOf, type Usage } from './ledger.ts';

const usage: Usage = { namespace: 'ns', agent: 'echo', outcome: 'Completed', start: 'Cold', seconds: 7 };

function ledger() {
  const counted: number[] = [];
  const metrics = {
    sessionEnded: (_agent: unknown, { usedSeconds }: { usedSeconds: number }) => counted.push(usedSeconds),
  };
  return { counted, ledger: new Ledger(metrics as unknown as ControllerMetrics) };
}

describe('Ledger', () => {
  it('counts a session once when its pod is let go', () => {
    const { ledger: it, counted } = ledger();
    it.open('a', usage);
    expect(counted).toEqual([]);
    it.close('a');
    it.close('a');
    expect(counted).toEqual([7]);
  });

  it('counts it once when a stale cache makes the controller let go a second time', () => {
    const { ledger: it, counted } = ledger();
    it.open('a', usage);
    it.close('a');
    it.open('a', usage);
    it.settle('a');
    expect(counted).toEqual([7]);
  });

  it('counts it when the reply was lost and the pod is seen let go', () => {
    const { ledger: it, counted } = ledger();
    it.open('a', usage);
    it.settle('a');
    it.settle('a');
    expect(counted).toEqual([7]);
  });

  it('counts nothing for a pod that somebody else let go', () => {
    const { ledger: it, counted } = ledger();
    it.settle('a');
    expect(counted).toEqual([]);
  });
});

describe('usageOf', () => {
  const cut = {
    phase: 'Ended',
    reason: 'DeadlineExceeded',
    podUID: 'p',
    startKind: 'Cold',
    startedAt: '2026-01-01T00:00:00Z',
    endedAt: '2026-01-01T00:01:02Z',
    usageSeconds: 64,
    limits: {
      maxSessionDuration: 60,
      startTimeoutSeconds: 1,
      nodeLostAfterSeconds: 1,
      terminationGracePeriodSeconds: 1,
    },
  } as const;
  const of = (status: object) => usageOf({ metadata: { namespace: 'ns' }, spec: { agent: 'echo' }, status } as never);

  it('knows by how much a session passed its limit', () => {
    expect(of({ ...cut, endedAtSource: 'Kubelet' })).toMatchObject({
      seconds: 64,
      overtimeSeconds: 2,
      outcome: 'DeadlineExceeded',
    });
  });

  it('does not subtract the times of two clocks', () => {
    expect(of({ ...cut, endedAtSource: 'Controller' })).not.toHaveProperty('overtimeSeconds');
  });
});
