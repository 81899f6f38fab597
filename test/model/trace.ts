import { labels } from '../../src/api/names.ts';
import type { Session } from '../../src/api/session.ts';
import { agentTerminated, isReady } from '../../src/pods/pod-facts.ts';
import { sessionRecord } from '../../src/pods/session-record.ts';
import { isPodCommit, type Commit } from './api-server.ts';
import type { World } from './world.ts';

/** Writes a diary of a world, a line for each thing that matters. */
export function trace(world: World) {
  const lines: string[] = [];
  const start = world.clock.now();
  const time = (): string => `+${((world.clock.now() - start) / 1000).toFixed(3)}s`;
  const diary = {
    count: 0,
    time,
    push: (line: string) => void lines.push(line),
    tail: (count: number) => lines.slice(-count).join('\n'),
  };
  world.happenings.onMoment((moment, what) => {
    if (moment === 'bindSent' || moment === 'bound' || moment === 'told' || moment === 'stopSent')
      lines.push(`${time()} ${moment} ${what}`);
  });
  world.server.subscribe((commit) => {
    diary.count += 1;
    lines.push(`${time()} ${commit.version} ${commit.by} ${commit.type} ${describe(commit)}`);
  });
  return diary;
}

function describe(commit: Commit): string {
  const { name, uid, deletionTimestamp, deletionGracePeriodSeconds, finalizers } = commit.object.metadata;
  const deletion =
    deletionTimestamp === undefined
      ? ''
      : ` deleting(${deletionGracePeriodSeconds ?? ''}s${finalizers ? ', held' : ''})`;
  if (isPodCommit(commit)) {
    const { spec, status } = commit.object;
    const exit = agentTerminated(commit.object);
    const state = [
      commit.object.metadata.labels?.[labels.state],
      status.phase,
      isReady(commit.object) && 'ready',
      status.reason,
      spec.nodeName,
      `deadline ${spec.activeDeadlineSeconds ?? '-'}`,
      exit && `exit ${exit.exitCode}`,
      sessionRecord(commit.object)?.outcome,
      finalizers?.length ? 'finalizer' : 'free',
    ];
    const session = commit.object.metadata.labels?.[labels.sessionUid] ?? '';
    return `pod ${name} (${uid}) of ${session}${deletion}: ${state.filter(Boolean).join(' ')}`;
  }
  const { status, spec } = commit.object as Session;
  if (commit.resource.plural === 'sessions')
    return `session ${name} (${uid})${deletion}: ${status?.phase ?? '-'} ${status?.reason ?? ''}${status?.attempt === undefined ? '' : ` try ${status.attempt}`}${spec.stop ? ' stop' : ''}`;
  return `${commit.resource.plural} ${name}${deletion} ${JSON.stringify((commit.object as { spec?: object }).spec ?? {}).slice(0, 100)}`;
}
