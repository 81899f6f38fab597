// An agent of protocol Http whose sessions are WebSockets, with nothing but Node. It says back whatever it hears, except for
// "close" and "crash", which it does.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const log = console.log;
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const CLOSE = 0x8;

const server = createServer((request, response) => response.writeHead(request.url === '/readyz' ? 200 : 404).end());

server.on('upgrade', (request, socket) => {
  const url = new URL(request.url, 'http://agent');
  log(`session ${request.headers['x-daily-session-id']} at ${url.pathname}`);
  log(`body ${Buffer.from(url.searchParams.get('body') ?? '', 'base64')}`);
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${GUID}`).digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  let heard = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    heard = Buffer.concat([heard, chunk]);
    for (let frame = read(heard); frame !== undefined; frame = read(heard)) {
      heard = heard.subarray(frame.bytes);
      answer(socket, frame);
    }
  });
  socket.on('error', () => undefined);
  socket.on('end', () => {
    log('the connection ended');
    socket.end();
  });
});

server.listen(Number(process.env.PORT ?? 8080), () => log('listening'));

process.once('SIGTERM', () => {
  log('goodbye');
  process.exit(0);
});

function answer(socket, { opcode, content }) {
  const text = content.length < 100 ? String(content) : '';
  if (text === 'crash') process.exit(3);
  const closes = opcode === CLOSE || text === 'close';
  if (closes) log(opcode === CLOSE ? 'the caller closed' : 'closing');
  socket.write(
    opcode === CLOSE
      ? frameOf(CLOSE, content)
      : closes
        ? frameOf(CLOSE, Buffer.from([3, 232]))
        : frameOf(opcode, content),
  );
  if (closes) socket.end();
}

/** The frame that begins here, without its mask; undefined while it is not complete. */
function read(bytes) {
  if (bytes.length < 2) return undefined;
  const short = bytes[1] & 0x7f;
  const start = 2 + (short === 127 ? 8 : short === 126 ? 2 : 0) + 4;
  if (bytes.length < start) return undefined;
  const length = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short;
  if (bytes.length < start + length) return undefined;
  const mask = bytes.subarray(start - 4, start);
  const content = bytes.subarray(start, start + length).map((byte, index) => byte ^ mask[index % 4]);
  return { bytes: start + length, opcode: bytes[0] & 0x0f, content: Buffer.from(content) };
}

function frameOf(opcode, content) {
  const header = Buffer.alloc(10);
  header[0] = 0x80 | opcode;
  header[1] = content.length < 126 ? content.length : 127;
  if (content.length >= 126) header.writeBigUInt64BE(BigInt(content.length), 2);
  return Buffer.concat([content.length < 126 ? header.subarray(0, 2) : header, content]);
}
