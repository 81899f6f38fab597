import { createServer, type Server } from 'node:http';

/** As Pipecat's own fallback: without servers of their own, bots use Google's public STUN. */
const DEFAULT_ICE_CONFIG = { iceConfig: { iceServers: [{ urls: 'stun:stun.l.google.com:19302' }] } };

/** What `ICE_CONFIG_URL` of Pipecat's base image points at. Loopback only. */
export function createIceServer(config: object = DEFAULT_ICE_CONFIG): Server {
  const text = JSON.stringify(config);
  return createServer((message, response) => {
    message.resume();
    const found = message.method === 'GET' && message.url === '/ice-servers';
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' }).end(found ? text : '{}');
  });
}
