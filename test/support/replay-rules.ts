import type { SessionPhase } from '../../src/api/reasons.ts';
import type { Session } from '../../src/api/session.ts';
import { labels } from '../../src/api/names.ts';
import type { Pod } from '../../src/kube/objects.ts';
import { readBinding } from '../../src/pods/binding.ts';
import type { Change } from './replay.ts';

/** What a phase may follow on: anything of a lower rank. Ended and Rejected are both final. */
const rank: Record<SessionPhase, number> = { Pending: 0, Starting: 1, Running: 2, Stopping: 3, Ended: 4, Rejected: 4 };

export interface Replayed {
  /** What went wrong, each with the revision at which it did; empty when every promise was kept. */
  violations: string[];
  /** The most that there ever was at once, by Agent: live pods, and Sessions that held a place. */
  peaks: Record<string, { pods: number; sessions: number }>;
  /** Revisions looked at. */
  revisions: number;
  /** How many pods were ever created. */
  podsCreated: number;
  /** Every Session that there is at the end, by name. */
  sessions: Map<string, Session>;
  /** Every pod that there is at the end. */
  pods: Pod[];
}

/**
 * Plays a record back and holds what must be true at every revision:
 * at most `maxAgents` live pods and at most as many Sessions with a place, per Agent; phases only ever go forward;
 * a pod waits or has one Session for good, and a Session has one pod for each of its tries; nothing Rejected has a pod.
 */
export function replay(changes: readonly Change[], maxAgents: Record<string, number>): Replayed {
  const pods = new Map<string, Pod>();
  const sessions = new Map<string, Session>();
  const knownSessions = new Set<string>();
  const podOfSession = new Map<string, string>();
  const result: Replayed = {
    violations: [],
    peaks: {},
    revisions: 0,
    podsCreated: 0,
    sessions: new Map(),
    pods: [],
  };

  for (const change of changes) {
    const { object, type, version } = change;
    const { uid, name } = object.metadata;
    const complain = (text: string): void => {
      result.violations.push(`@${version} ${change.kind} ${name}: ${text}`);
    };
    result.revisions += 1;
    if (change.kind === 'Session') {
      judgeSession(sessions.get(uid), change.object, complain);
      knownSessions.add(uid);
      if (type === 'DELETED') sessions.delete(uid);
      else sessions.set(uid, change.object);
    } else {
      const before = pods.get(uid);
      if (before === undefined && type !== 'DELETED') result.podsCreated += 1;
      if (type !== 'DELETED') judgePod(before, change.object, { knownSessions, podOfSession }, complain);
      if (type === 'DELETED') pods.delete(uid);
      else pods.set(uid, change.object);
    }
    for (const [agent, max] of Object.entries(maxAgents)) {
      const livePods = [...pods.values()].filter((pod) => isLive(pod) && pod.metadata.labels?.[labels.agent] === agent);
      const holders = new Set(livePods.filter((pod) => !isWarm(pod)).map(sessionOf));
      for (const session of sessions.values())
        if (session.spec.agent === agent && holdsPlace(session)) holders.add(session.metadata.uid);
      const peak = (result.peaks[agent] ??= { pods: 0, sessions: 0 });
      peak.pods = Math.max(peak.pods, livePods.length);
      peak.sessions = Math.max(peak.sessions, holders.size);
      if (livePods.length > max) complain(`${livePods.length} live pods of ${agent}, which may have ${max}`);
      if (holders.size > max) complain(`${holders.size} sessions of ${agent} hold a place, and there are ${max}`);
    }
  }
  for (const pod of pods.values())
    if (isLive(pod) && !isWarm(pod) && !sessions.has(sessionOf(pod)))
      result.violations.push(`at the end: pod ${pod.metadata.name} lives without a Session`);
  for (const session of sessions.values()) result.sessions.set(session.metadata.name, session);
  result.pods = [...pods.values()];
  return result;
}

function judgeSession(before: Session | undefined, after: Session, complain: (text: string) => void): void {
  const [was, is] = [before?.status, after.status];
  const [from, to] = [was?.phase ?? 'Pending', is?.phase ?? 'Pending'];
  if (rank[to] < rank[from]) complain(`went back from ${from} to ${to}`);
  if (rank[from] === 4 && to !== from) complain(`was ${from}, and then ${to}`);
  const retried = (is?.attempt ?? 0) > (was?.attempt ?? 0);
  if (was?.podUID !== undefined && is?.podUID !== was.podUID && !retried) complain(`moved from pod ${was.podUID}`);
  if (to === 'Rejected' && is?.podUID !== undefined) complain('is Rejected and has a pod');
  if (was?.admittedAt !== undefined && is?.admittedAt !== was.admittedAt) complain('was admitted twice');
}

function judgePod(
  before: Pod | undefined,
  after: Pod,
  { knownSessions, podOfSession }: { knownSessions: ReadonlySet<string>; podOfSession: Map<string, string> },
  complain: (text: string) => void,
): void {
  const [was, session] = [before && sessionOf(before), sessionOf(after)];
  if (was !== undefined && was !== '' && session !== was) complain(`went from Session ${was} to ${session}`);
  if (session === '' || was === session) {
    if (session === '' && !isWarm(after)) complain('neither waits nor has a Session');
    return;
  }
  if (!knownSessions.has(session)) complain(`bound to a Session that was never there (${session})`);
  if (before?.metadata.deletionTimestamp !== undefined) complain('bound while it was being deleted');
  const attempt = `${session}/${readBinding(after)?.attempt ?? 0}`;
  const other = podOfSession.get(attempt);
  if (other !== undefined) complain(`the second pod of Session ${attempt}, which had ${other}`);
  podOfSession.set(attempt, after.metadata.uid);
}

function isWarm(pod: Pod): boolean {
  return pod.metadata.labels?.[labels.state] === 'warm';
}

function sessionOf(pod: Pod): string {
  return pod.metadata.labels?.[labels.sessionUid] ?? '';
}

function isLive(pod: Pod): boolean {
  return pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed';
}

function holdsPlace(session: Session): boolean {
  return ['Starting', 'Running', 'Stopping'].includes(session.status?.phase ?? '');
}
