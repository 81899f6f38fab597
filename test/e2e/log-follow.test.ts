import { describe, expect, it } from 'vitest';
import { nodeScript, report, secondsSince, useBullpen } from '../support/bullpen.ts';
import { useGateway } from '../support/gateway-bed.ts';

/** The log of a session that is followed over REST, from a real node. */
const bullpen = await useBullpen('e2e-log-follow', { http: true });
const { kube, namespace } = bullpen;
const bed = useGateway(bullpen);

/** Writes as long as it lives. */
const TICKS = `import { createServer } from 'node:http';
  let ticks = 0;
  process.once('SIGTERM', () => { console.log('bye'); process.exit(0); });
  createServer((request, response) => {
    if (request.url !== '/bot') return void response.end('{}');
    console.log('told');
    setInterval(() => console.log('tick ' + (ticks += 1)), 200);
  }).listen(process.env.PORT);`;

interface Line {
  log?: string;
  sessionId?: string;
  error?: string;
  code?: string;
}

/** Starts a session that writes; its id. */
async function start(agent: string): Promise<string> {
  await bullpen.echoAgent(agent, nodeScript(TICKS));
  await bed.gateway.answers(
    'GET',
    `/v1/agents/${agent}`,
    { key: bed.privateKey },
    { status: 200, body: { ready: true } },
  );
  const path = `/v1/public/${agent}/start`;
  const { status, body } = await bed.gateway.call('POST', path, { key: bed.publicKey });
  expect(status).toBe(200);
  return String(body['sessionId']);
}

/** The lines of a log as they come. */
async function* follow(agent: string, id: string, key: string): AsyncGenerator<Line> {
  const url = `${bed.gateway.origin}/v1/agents/${agent}/logs?sessionId=${id}&follow=true`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${key}` } });
  expect(response.headers.get('content-type')).toContain('application/x-ndjson');
  let rest = '';
  for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield JSON.parse(line) as Line;
  }
}

describe.concurrent('the log of a session that is followed', () => {
  it('is waited for, comes as it is written, and ends with the session', async () => {
    const id = await start('ends');
    const lines: Line[] = [];
    for await (const line of follow('ends', id, bed.privateKey)) {
      lines.push(line);
      // While it is still being written.
      if (line.log === 'tick 3')
        await bed.gateway.call('DELETE', `/v1/agents/ends/sessions/${id}`, { key: bed.privateKey });
    }
    const texts = lines.map(({ log }) => log);
    expect(texts.slice(0, 4)).toEqual(['told', 'tick 1', 'tick 2', 'tick 3']);
    expect(texts.at(-1)).toBe('bye');
    expect(new Set(lines.map(({ sessionId }) => sessionId))).toEqual(new Set([id]));
    expect((await kube.session(id)).status).toMatchObject({ phase: 'Ended', reason: 'Stopped' });
    // And it is there afterwards.
    const after = [];
    for await (const { log } of follow('ends', id, bed.privateKey)) after.push(log);
    expect(after).toEqual(texts);
  });

  it('ends in the moment in which the key is revoked, and says so', async () => {
    const id = await start('revoked');
    const keys = `/v1/organizations/${namespace}/apiKeys`;
    const made = await bed.gateway.call('POST', keys, { key: bed.token, body: { name: 'short', type: 'private' } });
    const { key, id: keyId } = made.body as { key: string; id: string };
    await bed.gateway.answers('GET', '/v1/agents', { key }, { status: 200 });
    let last: Line | undefined;
    let revokedAt = 0;
    for await (const line of follow('revoked', id, key)) {
      last = line;
      if (line.log !== 'tick 3') continue;
      revokedAt = Date.now();
      expect((await bed.gateway.call('DELETE', `${keys}/${keyId}`, { key: bed.token })).status).toBe(200);
    }
    report(`a log that is followed ended ${secondsSince(revokedAt)} after its key was revoked`);
    expect(last).toEqual({ error: expect.any(String) as string, code: '401' });
    expect((await bed.gateway.call('GET', '/v1/agents', { key })).status).toBe(401);
    await bed.gateway.call('DELETE', `/v1/agents/revoked/sessions/${id}`, { key: bed.privateKey });
  });
});
