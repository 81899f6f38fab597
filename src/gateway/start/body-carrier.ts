import { randomUUID } from 'node:crypto';
import type { Agent } from '../../api/agent.ts';
import { labels, startedByGateway } from '../../api/names.ts';
import type { Session, SessionSpec } from '../../api/session.ts';
import { isFinished } from '../../api/session-phase.ts';
import type { KubeApi } from '../../kube/api.ts';
import { isNotFound } from '../../kube/errors.ts';
import type { Logger } from '../../kube/logger.ts';
import { secrets } from '../../kube/resources.ts';
import { bodyFrom, bodySecret, ownedBy } from '../../pods/body-secret.ts';
import { Problem } from '../problems.ts';
import { seal, type SealingJwk } from '../../sealing/sealing.ts';
import type { BotHeaders } from '../../supervisor/wire.ts';
import type { SessionChanges } from './session-changes.ts';

/** Up to this many bytes travel inside the Session: no other object is made for them. */
const SEALED_BYTES = 8192;

/** A gateway that was killed is back long before. */
const LEFT_BEHIND_MS = 3_600_000;

/** What the agent is told. */
export interface Told {
  headers: BotHeaders;
  /** Byte for byte; empty is told as `{}`. */
  body: Buffer;
}

/** How a body is on its way. */
export interface Carried {
  /** What of a Session's spec says where it is. */
  spec: Pick<SessionSpec, 'sealedBody' | 'bodyFrom'>;
  /** Brings it there, for the Session that has been made: the controller waits for it. */
  bring?: (session: Session) => Promise<void>;
}

/**
 * How what an agent is told gets to the controller, so that nobody else who may read the Session can read it: sealed inside the Session where
 * it is short, else in a Secret that the Session names and owns, and that is deleted when the agent has been told.
 */
export class BodyCarrier {
  readonly #api: KubeApi;
  readonly #changes: SessionChanges;
  readonly #key: () => SealingJwk | undefined;
  readonly #logger: Logger;

  constructor(deps: {
    api: KubeApi;
    changes: SessionChanges;
    /** The key that seals; undefined while the controller has published none. */
    key: () => SealingJwk | undefined;
    logger: Logger;
  }) {
    this.#api = deps.api;
    this.#changes = deps.changes;
    this.#key = deps.key;
    this.#logger = deps.logger;
  }

  /** What of a Session's spec says where its body is. A body for a Secret is brought there when the Session has been made. */
  async carry({ headers, body }: Told, agent: Agent, session: string): Promise<Carried> {
    if (body.length === 0 && Object.keys(headers).length === 0) return { spec: {} };
    const { namespace = '', name } = agent.metadata;
    // The pod of an agent of protocol Process shows its body, and nobody could open a sealed one there.
    const isShown = agent.spec.protocol === 'Process';
    if (isShown && body.length === 0) return { spec: {} };
    if (isShown || body.length > SEALED_BYTES) {
      const secret = `${session}-${randomUUID().slice(0, 8)}`;
      return {
        spec: bodyFrom(secret),
        bring: async (made) => {
          // The same start at another replica was faster.
          if (made.spec.bodyFrom?.secretKeyRef.name !== secret) return;
          const { metadata, ...content } = bodySecret(secret, body, headers);
          await this.#api.create(secrets, namespace, { metadata: { ...metadata, ...ownedBy(made) }, ...content });
        },
      };
    }
    const key = this.#key();
    if (key === undefined)
      throw new Problem('Unavailable', {
        error: 'The controller has not published its key yet. Please try again.',
        retryAfterSeconds: 2,
      });
    return { spec: { sealedBody: await seal({ headers, body }, { namespace, agent: name, session }, key) } };
  }

  /** Deletes the Secret of a Session when that needs it no more. Nobody waits for this. */
  async dropWhenTold(session: Session, signal: AbortSignal): Promise<void> {
    if (!hasSecret(session)) return;
    try {
      await this.#changes.first(session, (now) => (now === undefined || wasTold(now) ? true : undefined), signal);
    } catch {
      return; // The process ends: whoever comes next looks for what is left.
    }
    const name = session.spec.bodyFrom?.secretKeyRef.name ?? '';
    try {
      await this.#api.delete(secrets, { namespace: session.metadata.namespace ?? '', name });
    } catch (error) {
      if (!isNotFound(error))
        this.#logger.warn({ err: error, secret: name }, 'the Secret of a body could not be deleted');
    }
  }

  /** Takes up what a gateway has left behind that was killed. */
  async resume(sessions: readonly Session[], now: number, signal: AbortSignal): Promise<void> {
    const recent = sessions.filter(
      (session) => hasSecret(session) && now - Date.parse(session.metadata.creationTimestamp) < LEFT_BEHIND_MS,
    );
    for (const session of recent) {
      // One after the other, unless there is something to wait for.
      if (wasTold(session)) await this.dropWhenTold(session, signal);
      else void this.dropWhenTold(session, signal);
    }
  }
}

/** Whether the body of a Session is in a Secret of ours. */
function hasSecret({ metadata, spec }: Session): boolean {
  const isOurs = metadata.labels?.[labels.startedBy] === startedByGateway;
  return isOurs && spec.bodyFrom?.secretKeyRef.name.startsWith(`${metadata.name}-`) === true;
}

function wasTold(session: Session): boolean {
  return session.status?.startedAt !== undefined || isFinished(session);
}
