import { describe, expect, it } from 'vitest';
import type { Session, SessionStatus } from '../api/session.ts';
import { followLog } from './follow-log.ts';

class NoLog extends Error {}

const startedAt = '2026-01-01T00:00:00Z';

/**
 * What is read of a session that goes through these states, one each time that nothing more can be decided.
 *
 * @param logs by pod, one for each time that it is read; undefined where there is none
 */
async function follow(states: SessionStatus[], logs: Record<string, (string | undefined)[]>): Promise<string[]> {
  const waiting = [...states];
  const sessionNow = (): Session => ({ spec: { agent: 'echo' }, metadata: {}, status: waiting[0] }) as Session;
  const followed = followLog({
    when: (holds) => {
      while (!holds(sessionNow())) waiting.shift();
      return Promise.resolve(sessionNow());
    },
    // eslint-disable-next-line @typescript-eslint/require-await -- logs are read from a node
    read: async function* ({ status: { podName = 'none' } = {} }) {
      const text = logs[podName]?.shift();
      if (text === undefined) throw new NoLog(podName);
      yield text;
    },
    hasNoLog: (error) => error instanceof NoLog,
  });
  const lines: string[] = [];
  for await (const line of followed) lines.push(line);
  return lines;
}

const pending: SessionStatus = { phase: 'Pending' };
const starting = (podName: string): SessionStatus => ({ phase: 'Starting', podName });
const running = (podName: string): SessionStatus => ({ phase: 'Running', podName, startedAt });
const ended = (podName: string): SessionStatus => ({ ...running(podName), phase: 'Ended' });

describe('following the log of a session', () => {
  it('reads each of its pods once, also where it has none in between', async () => {
    const states = [pending, starting('a'), pending, starting('b'), running('b'), ended('b')];
    expect(await follow(states, { a: ['1'], b: ['2'] })).toEqual(['1', '2']);
  });

  it('reads again what had not begun, once it has', async () => {
    expect(await follow([starting('a'), running('a'), ended('a')], { a: [undefined, '1', '2'] })).toEqual(['1']);
  });

  it('goes on with the next pod where one went before it began', async () => {
    expect(await follow([starting('a'), running('b'), ended('b')], { b: ['2'] })).toEqual(['2']);
    expect(await follow([starting('a'), running('a'), running('b'), ended('b')], { b: ['2'] })).toEqual(['2']);
  });

  it('says that there is no log where there is none of its last pod', async () => {
    await expect(follow([starting('a'), ended('a')], {})).rejects.toThrow(new NoLog('a'));
    await expect(follow([ended('a')], {})).rejects.toThrow(new NoLog('a'));
    await expect(follow([pending, { phase: 'Rejected' }], {})).rejects.toThrow(new NoLog('none'));
  });
});
