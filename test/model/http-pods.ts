import type { Clock } from '../../src/kube/clock.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { HttpPodOnNode, type HttpWorld } from './http-pod.ts';
import { wholeSeconds } from './deletion.ts';

export interface HttpPodsDeps {
  node: string;
  clock: Clock;
  skewMs: number;
  endsInTwoSteps: boolean;
  world: HttpWorld;
  report: (pod: Pod, changes: Partial<Pod['status']>) => void;
  /** Looks at the pod again after so many milliseconds. */
  soon: (pod: Pod, ms?: number) => void;
}

/** What a pod says when its deadline has ended it. */
export const DEADLINE_EXCEEDED = {
  reason: 'DeadlineExceeded',
  message: 'Pod was active on the node longer than the specified deadline',
};

/** The pods of protocol Http of one kubelet. */
export class HttpPods {
  readonly #deps: HttpPodsDeps;
  readonly #pods = new Map<string, HttpPodOnNode>();

  constructor(deps: HttpPodsDeps) {
    this.#deps = deps;
  }

  uids(): string[] {
    return [...this.#pods.keys()];
  }

  get(pod: Pod): HttpPodOnNode | undefined {
    return this.#pods.get(pod.metadata.uid);
  }

  /** It is gone, or over: nothing of it runs any more. */
  remove(uid: string): void {
    this.#pods.get(uid)?.kill();
    this.#pods.delete(uid);
  }

  /** Brings the containers of a pod to what its object says, and the other way round. */
  sync(pod: Pod): void {
    const running = this.#pods.get(pod.metadata.uid) ?? this.#accept(pod);
    running.tryStart();
    this.#endIfDue(pod, running);
    const report = running.report();
    const conditions = withCondition(pod, running.readyCondition());
    if (report === undefined) {
      this.#deps.report(pod, { conditions });
      return;
    }
    this.#deps.report(pod, { ...report, conditions, ...this.#phase(running) });
    if (running.isOver && !running.reportedEnd) {
      running.reportedEnd = true;
      this.#deps.soon(pod);
    }
  }

  #accept(pod: Pod): HttpPodOnNode {
    const { node, clock, skewMs, world, report, soon } = this.#deps;
    const running = new HttpPodOnNode({
      ...world,
      podUid: pod.metadata.uid,
      node,
      clock,
      skewMs,
      onChange: () => {
        soon(pod);
        soon(pod, 3_100); // When the agent has been unready for too long.
      },
    });
    this.#pods.set(pod.metadata.uid, running);
    if (pod.status.startTime === undefined)
      report(pod, { startTime: wholeSeconds(running.acceptedAt), phase: 'Pending' });
    return running;
  }

  #endIfDue(pod: Pod, running: HttpPodOnNode): void {
    const { clock, skewMs, soon } = this.#deps;
    const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata;
    const { activeDeadlineSeconds = Infinity, terminationGracePeriodSeconds = 30 } = pod.spec;
    if (deletionTimestamp !== undefined) {
      running.terminate('deletion', deletionGracePeriodSeconds * 1000);
      return;
    }
    const untilDeadline =
      Math.floor(running.acceptedAt / 1000) * 1000 + activeDeadlineSeconds * 1000 - clock.now() - skewMs;
    if (running.term !== undefined) return;
    if (untilDeadline <= 0) running.terminate('deadline', terminationGracePeriodSeconds * 1000);
    else if (running.supervisor?.exit !== undefined) running.agent.terminate(terminationGracePeriodSeconds * 1000);
    else if (Number.isFinite(untilDeadline)) soon(pod, untilDeadline);
  }

  #phase(running: HttpPodOnNode): Partial<Pod['status']> {
    const { supervisor, isOver, term, reportedEnd } = running;
    const why = term === 'deadline' ? DEADLINE_EXCEEDED : {};
    if (!isOver || (this.#deps.endsInTwoSteps && !reportedEnd))
      return { phase: supervisor === undefined ? 'Pending' : 'Running', ...why };
    return { phase: supervisor?.exit?.exitCode === 0 && term !== 'deadline' ? 'Succeeded' : 'Failed', ...why };
  }
}

function withCondition(pod: Pod, condition: { type: string; status: string; lastTransitionTime: string }) {
  const others = (pod.status.conditions ?? []).filter(({ type }) => type !== condition.type);
  return [...others, condition];
}
