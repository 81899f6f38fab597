import { describe, expect, it } from 'vitest';
import type { Session } from '../../src/api/session.ts';
import { mayLackBeginning } from '../../src/pods/session-log.ts';
import { waitFor } from '../cluster/wait.ts';
import { nodeScript, report, secondsSince, useBullpen } from '../support/bullpen.ts';

/** What the kubelet serves of a session's log, and that it can be seen when that is not all. */
const bullpen = await useBullpen('e2e-session-log', { http: true });
const { kube } = bullpen;

const WRITTEN = 12 * 2 ** 20;
const LINE = 1024;

/** Writes lines of 1 KiB that begin with their place in the log: 12 MiB within 16 seconds, and then a few in every second. */
const writes = `import { createServer } from 'node:http';
  process.once('SIGTERM', () => process.exit(0));
  let place = 0;
  const write = () => {
    for (let left = place < ${WRITTEN} ? 77 : 1; left > 0; left -= 1) {
      console.log(String(place).padEnd(${LINE} - 1, ' .'));
      place += ${LINE};
    }
  };
  createServer((request, response) => {
    if (request.url === '/bot') setInterval(write, 100);
    else response.end();
  }).listen(process.env.PORT);`;

const placeOf = (line: string | undefined): number => Number(line?.split(' ', 1)[0]);

/** Whether the log that is served now is said to lack its beginning. */
async function isSaidToLackBeginning(session: Session): Promise<boolean> {
  const [pod, served] = await Promise.all([
    kube.pod(session.status?.podName ?? ''),
    bullpen.logs(session, '--container=agent', '--timestamps', '--limit-bytes=200'),
  ]);
  return mayLackBeginning({ session, pod, firstLine: served.split('\n', 1)[0] });
}

// Others may have told their kubelet to keep more.
describe.runIf(bullpen.cluster.provider !== 'existing').concurrent('the log of a session', () => {
  it('that writes 12 MiB lacks its beginning, and that is said', async () => {
    await bullpen.echoAgent('writes', nodeScript(writes));
    await kube.createSession('writes', { agent: 'writes' });
    const session = await kube.sessionInPhase('writes', 'Running', 'Ended');
    const since = Date.now();
    const put = { what: 'the kubelet to put the log aside', timeoutMs: 90_000, intervalMs: 500 };
    await waitFor(() => isSaidToLackBeginning(session), put);
    report(`12 MiB: said to lack its beginning ${secondsSince(since)} after the start`);
    const all = { what: 'the agent to have written all', timeoutMs: 90_000, intervalMs: 500 };
    const lines = await waitFor(async () => {
      const served = (await bullpen.logs(session, '--container=agent')).trimEnd().split('\n');
      return placeOf(served.at(-1)) >= WRITTEN && served;
    }, all);
    expect(lines.length * LINE).toBeLessThan(WRITTEN);
    // It begins in the middle, and has everything from there on.
    expect(placeOf(lines[0])).toBeGreaterThan(8 * 2 ** 20);
    expect(lines.map(placeOf)).toEqual(lines.map((_, index) => placeOf(lines[0]) + index * LINE));
    expect((await kube.session('writes')).status).toMatchObject({ phase: 'Running' });
  });

  it.each([
    ['cold', 0],
    ['warm', 1],
  ])('that starts %s and writes as agents do has its beginning, and nothing is said', async (name, minAgents) => {
    await bullpen.echoAgent(name, { scaling: { minAgents, maxAgents: 4 } });
    await bullpen.warmPods(name, minAgents);
    await kube.createSession(name, { agent: name, body: '{"seconds": 1}' });
    const ended = await kube.sessionInPhase(name, 'Ended');
    expect(await bullpen.logs(ended)).toMatch(/^listening on 8080\nsession /);
    expect(await isSaidToLackBeginning(ended)).toBe(false);
  });
});
