import type { AgentKey, ControllerMetrics } from '../../src/telemetry/metrics.ts';

/** One call of `sessionEnded`. */
export interface CountedSession extends AgentKey {
  outcome: string;
  usedSeconds: number;
}

/** Remembers what a controller would have counted. */
export class RecordingMetrics implements ControllerMetrics {
  readonly ended: CountedSession[] = [];
  readonly rejected: (AgentKey & { reason: string })[] = [];

  sessionEnded(
    { namespace, agent }: AgentKey,
    { outcome, usedSeconds }: { outcome: string; usedSeconds: number },
  ): void {
    this.ended.push({ namespace, agent, outcome, usedSeconds });
  }

  sessionRejected({ namespace, agent }: AgentKey, reason: string): void {
    this.rejected.push({ namespace, agent, reason });
  }

  setAgent(): void {}
  forgetAgent(): void {}
  sessionStarted(): void {}
  sessionWaited(): void {}
  sessionCut(): void {}
  orphanRemoved(): void {}
  finalizerReleased(): void {}
}
