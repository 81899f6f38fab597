import type { Agent } from '../../api/agent.ts';
import type { Told } from './body-carrier.ts';
import type { Deadline } from './deadline.ts';
import type { Retry } from './idempotency.ts';

/** A session that somebody asks for. */
export interface StartOrder {
  agent: Agent;
  /** Name of the Session where it is no retry, and what callers know it by: a UUID. */
  name: string;
  /** Throws where the Agent takes no sessions now; one that there is already is answered all the same. */
  checkReady: () => void;
  /** What the agent is told; asked for once it is clear that the Session of this name is made. */
  tell: (session: string) => Promise<Told>;
  /** Undoes what was done for that: the start was refused. */
  undo?: (() => Promise<void>) | undefined;
  /** How long whoever asked waits. */
  deadline: Deadline;
  /** When the same request may come again. */
  retry?: Retry | undefined;
}

export interface Started {
  sessionId: string;
  start: 'warm' | 'cold';
  expiresAt: string;
}
