import { once } from 'node:events';
import { connect } from 'node:net';
import { gunzipSync } from 'node:zlib';

/** An answer as it came: nobody has put it together, followed it or asked again. */
export interface WireAnswer {
  status: number;
  /** By name in lower case. */
  headers: Record<string, string>;
  /** The body, decompressed. */
  text: string;
  /** What came at a time: a client that reads once sees the first of these. */
  reads: Buffer[];
}

export interface WireRequest {
  key?: string | undefined;
  /** Sent as it is, with its length. */
  body?: string | Buffer | undefined;
  headers?: Readonly<Record<string, string>>;
}

/** A request on a connection of its own, whose path and headers leave as they are written here: `fetch` tidies them up. */
export async function wire(
  origin: string,
  method: string,
  path: string,
  { key, body, headers = {} }: WireRequest = {},
): Promise<WireAnswer> {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'host: gateway',
    'connection: close',
    ...(key === undefined ? [] : [`authorization: Bearer ${key}`]),
    ...(body === undefined
      ? []
      : [
          ...('content-type' in headers ? [] : ['content-type: application/json']),
          `content-length: ${String(Buffer.byteLength(body))}`,
        ]),
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return await wireText(origin, Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), Buffer.from(body ?? '')]));
}

/** The same for bytes that need not be a request. Reads until the other side closes the connection. */
export async function wireText(origin: string, sent: string | Buffer): Promise<WireAnswer> {
  const socket = connect(Number(new URL(origin).port), '127.0.0.1');
  const reads: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => reads.push(chunk));
  socket.on('error', () => undefined);
  socket.write(sent);
  await once(socket, 'close');
  return parse(reads);
}

function parse(reads: Buffer[]): WireAnswer {
  const all = Buffer.concat(reads);
  const end = all.indexOf('\r\n\r\n');
  const [first = '', ...lines] = all
    .subarray(0, end < 0 ? all.length : end)
    .toString('latin1')
    .split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const body = end < 0 ? Buffer.alloc(0) : all.subarray(end + 4);
  const text = (headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString('utf8');
  return { status: Number(first.split(' ')[1] ?? 0), headers, text, reads };
}
