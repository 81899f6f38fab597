import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { freePorts, isFreeOnLoopback } from './ports.ts';

test('chooses different ports, none in use, below those for outgoing connections', async () => {
  const values = [0, 0, 0.5, 0.999999];
  let calls = 0;
  const random = (): number => values[calls++ % values.length] ?? 0;
  const ports = await freePorts(2, { random, isFree: (port) => Promise.resolve(port !== 26_000) });
  expect(ports).toEqual([20_000, 31_999]);
});

test('gives up with a sentence when everything is taken', async () => {
  const choice = { random: Math.random, isFree: () => Promise.resolve(false) };
  await expect(freePorts(1, choice)).rejects.toThrow('no 1 free ports between 20000 and 32000');
});

test('sees that a port is taken', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(await isFreeOnLoopback(port)).toBe(false);
  server.close();
  await once(server, 'close');
  expect(await isFreeOnLoopback(port)).toBe(true);
});
