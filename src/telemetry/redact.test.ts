import { expect, test } from 'vitest';
import { redact } from './redact.ts';

test('what holds nothing secret is not copied', () => {
  const fields = { status: 200, agent: { name: 'echo', tags: ['a'] }, none: null };
  expect(redact(fields)).toBe(fields);
});

test('only the way to a secret is copied', () => {
  const agent = { name: 'echo' };
  const fields = { agent, list: [{ token: 'SECRET', id: 1 }, agent] };
  const shown = redact(fields);
  expect(shown).toEqual({ agent, list: [{ token: '[Redacted]', id: 1 }, agent] });
  expect(shown.agent).toBe(agent);
  expect(fields.list[0]).toEqual({ token: 'SECRET', id: 1 });
});

test('a secret field is replaced whatever its value is', () => {
  expect(redact({ body: { a: 1 }, cookie: undefined, apiKey: 7 })).toEqual({
    body: '[Redacted]',
    cookie: '[Redacted]',
    apiKey: '[Redacted]',
  });
});

test('an error within an error is told, without its secrets', () => {
  const inner = Object.assign(new Error('refused'), { body: 'SECRET' });
  const outer = Object.assign(new Error('failed'), { reply: inner });
  expect(redact({ err: outer })).toMatchObject({
    err: { message: 'failed', reply: { message: 'refused', body: '[Redacted]' } },
  });
});

test('what goes round in circles ends', () => {
  const loop: Record<string, unknown> = { token: 'SECRET' };
  loop['self'] = loop;
  expect(redact({ loop })).toMatchObject({ loop: { token: '[Redacted]', self: { token: '[Redacted]' } } });
});

test('what says itself how it is written stays so', () => {
  const at = new Date(0);
  expect(redact({ at, from: new URL('http://a.example/') })).toEqual({ at, from: new URL('http://a.example/') });
});
