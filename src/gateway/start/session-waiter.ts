import type { Agent } from '../../api/agent.ts';
import type { Session } from '../../api/session.ts';
import { Problem } from '../problems.ts';
import type { Places } from './places.ts';
import type { SessionChanges } from './session-changes.ts';
import type { SessionWriter } from './session-writer.ts';
import type { Started, StartOrder } from './start-order.ts';
import { startVerdict } from './start-verdict.ts';

/** Waits for what the controller decides on Sessions. A start that is refused leaves no object behind. */
export class SessionWaiter {
  readonly #changes: SessionChanges;
  readonly #writer: SessionWriter;
  readonly #places: Places;

  constructor(deps: { changes: SessionChanges; writer: SessionWriter; places: Places }) {
    this.#changes = deps.changes;
    this.#writer = deps.writer;
    this.#places = deps.places;
  }

  /**
   * @returns when the Session, which is there, has its pod
   * @throws Problem when it is refused, or has none in time
   */
  async wait(session: Session, { agent, deadline, undo }: StartOrder): Promise<Started> {
    try {
      return await this.#changes.first(session, (now) => this.#decide(session, now, agent), deadline.signal);
    } catch (error) {
      const isLate = deadline.isPast() && !(error instanceof Problem);
      // Whoever has only gone may come again for their session.
      if (!isLate && !(error instanceof Problem)) throw error;
      // A late one may be given a pod at this very moment: the deletion ends it then.
      await Promise.all([this.#writer.delete(session), undo?.()]);
      throw isLate ? new Problem('StartTimeout', { cause: error }) : error;
    }
  }

  #decide(session: Session, now: Session | undefined, agent: Agent): Started | undefined {
    if (now === undefined) throw new Problem('StartFailed', { error: 'The session was deleted before it started' });
    const verdict = startVerdict(now);
    if (verdict.kind === 'waiting') return undefined;
    if (verdict.kind === 'started') return startedBy(session, verdict);
    const { problem, message } = verdict;
    const more = { reason: now.status?.reason, detail: message };
    if (problem === 'AtCapacity') throw this.#places.refusal(agent, more);
    throw new Problem(problem, {
      ...(problem === 'StartFailed' && { error: `The session could not be started: ${message}` }),
      more,
    });
  }
}

export function startedBy({ metadata }: Session, { start, expiresAt }: Omit<Started, 'sessionId'>): Started {
  return { sessionId: metadata.name, start, expiresAt };
}
