import { annotations, labels, startedByGateway } from '../../api/names.ts';
import type { Session } from '../../api/session.ts';
import { isAlreadyExists, isOutcomeUnknown } from '../../kube/errors.ts';
import type { NewObject } from '../../kube/objects.ts';
import type { Store } from '../../kube/store.ts';
import { Problem } from '../problems.ts';
import type { BodyCarrier, Carried } from './body-carrier.ts';
import type { SessionWriter } from './session-writer.ts';
import type { StartOrder } from './start-order.ts';

/** Makes the Session of an order, with what its agent is told; what was done for one that is not made is undone. */
export class SessionMaker {
  readonly #sessions: Store<Session>;
  readonly #carrier: BodyCarrier;
  readonly #writer: SessionWriter;
  readonly #ending: AbortSignal;

  constructor(deps: { sessions: Store<Session>; carrier: BodyCarrier; writer: SessionWriter; ending: AbortSignal }) {
    this.#sessions = deps.sessions;
    this.#carrier = deps.carrier;
    this.#writer = deps.writer;
    this.#ending = deps.ending;
  }

  /** @throws Problem StartTimeout when there is no time left for it to start */
  async make(order: StartOrder): Promise<Session> {
    const { session, bring } = await this.#create(order);
    this.#sessions.writeThrough(session);
    try {
      await bring?.(session);
    } catch (error) {
      await this.#writer.delete(session);
      await order.undo?.();
      throw error;
    }
    void this.#carrier.dropWhenTold(session, this.#ending);
    return session;
  }

  async #create(order: StartOrder): Promise<{ session: Session; bring: Carried['bring'] | undefined }> {
    const { agent, name, undo, deadline, retry } = order;
    const { namespace = '', name: agentName } = agent.metadata;
    try {
      const { spec, bring } = await this.#told(order);
      const wanted: NewObject<Session> = {
        apiVersion: agent.apiVersion,
        kind: 'Session',
        metadata: {
          name,
          labels: { [labels.startedBy]: startedByGateway },
          ...(retry && { annotations: { [annotations.request]: retry.fingerprint } }),
        },
        spec: { agent: agentName, ...spec, startBefore: new Date(deadline.until).toISOString() },
      };
      const once = retry === undefined;
      return { session: await this.#writer.create(namespace, wanted, { signal: deadline.signal, once }), bring };
    } catch (error) {
      // Where it is there, or may be, and is asked for again, its agent is to find what it is told of.
      const mayBeThere = isAlreadyExists(error) || isOutcomeUnknown(error);
      const mayComeAgain = mayBeThere || deadline.signal.aborted;
      if (retry === undefined || !mayComeAgain) await undo?.();
      throw error;
    }
  }

  async #told({ agent, name, tell, deadline }: StartOrder): Promise<Carried> {
    let cause: unknown;
    try {
      const carried = await this.#carrier.carry(await tell(name), agent, name);
      if (!deadline.isPast()) return carried;
    } catch (error) {
      // Where it was given up because of that, the error speaks of somebody who did not answer.
      if (!deadline.isPast()) throw error;
      cause = error;
    }
    throw new Problem('StartTimeout', { cause });
  }
}
