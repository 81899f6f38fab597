import { expect, test } from 'vitest';
import { createLogger, type LogLevel } from './logger.ts';

function capture(level: LogLevel = 'info') {
  const lines: string[] = [];
  const logger = createLogger({ level, program: 'controller', destination: { write: (line) => lines.push(line) } });
  const last = () => JSON.parse(lines.at(-1) ?? 'null') as Record<string, unknown>;
  return { logger, lines, last };
}

test('a line is JSON with level, time, program, the fields of its children and the message', () => {
  const { logger, last } = capture();
  logger.child({ session: 'calls/a' }).warn({ pod: 'a-1' }, 'pod is gone');
  expect(last()).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
    program: 'controller',
    session: 'calls/a',
    pod: 'a-1',
    msg: 'pod is gone',
  });
});

test('lines under the level are dropped', () => {
  const { logger, lines } = capture('warn');
  logger.info('not this');
  logger.error('this');
  expect(lines).toHaveLength(1);
});

test('an error keeps its stack and the messages of its causes', () => {
  const { logger, last } = capture();
  logger.error({ err: new Error('cannot create pod', { cause: new Error('quota exceeded') }) }, 'failed');
  const { message, stack } = last()['err'] as { message: string; stack: string };
  expect(message).toBe('cannot create pod: quota exceeded');
  expect(stack).toContain('logger.test.ts');
});

test('credentials and bodies are redacted wherever they hide, and the logged object stays as it was', () => {
  const { logger, lines } = capture();
  const session = { spec: { body: 'SECRET', sealedBody: 'SECRET', agent: 'a' } };
  const err = Object.assign(new Error('refused'), {
    body: 'SECRET',
    response: { headers: { authorization: 'SECRET' } },
  });
  const pod = { metadata: { annotations: { 'bullpen.dev/body': 'SECRET', 'bullpen.dev/agent': 'a' } } };
  logger.info({ session, err, pod, token: 'SECRET', list: [{ password: 'SECRET' }] }, 'all of it');
  logger.child({ token: 'SECRET', nested: { cookie: 'SECRET' } }).info({ 'bullpen.dev/body': 'SECRET' }, 'child');
  expect(lines.join('')).not.toContain('SECRET');
  expect(lines[0]).toContain('"bullpen.dev/agent":"a"');
  expect(session.spec.body).toBe('SECRET');
});
