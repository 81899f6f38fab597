/** The invariants, with the names of the requirement that they come from. */
export const INVARIANTS = {
  I1: 'nothing is admitted at the cap',
  I2: 'a Session has one pod for life, and a pod one Session',
  I3: 'no pod of ours is left behind',
  I5: 'every Session comes to an end with a reason that is true',
  I6: 'no Session outlives its limits',
  I7: 'deleting an Agent touches nothing that runs, and blocks new starts',
  I10: 'an idle system writes nothing, and a session costs no more writes than planned',
  I11: 'a Session only moves forward, and its end is final',
  W1: 'an agent is told of a Session once, whatever happens',
  W2: 'a pod serves one Session',
  W4: 'nobody is told of a Session that is over, and no pod is claimed that is about to go',
  W5: 'in the end as many pods wait as the Agent wants, and no other',
  W6: 'a Session that an agent may have been told of gets no other pod',
  Revisions: 'a revision that the status of an Agent names is on record',
  Usage: 'every session is counted once',
} as const;
export type Invariant = keyof typeof INVARIANTS;

/** An invariant does not hold. */
export class Violation extends Error {
  override name = 'Violation';

  constructor(invariant: Invariant, what: string) {
    super(`${invariant} (${INVARIANTS[invariant]}): ${what}`);
  }
}
