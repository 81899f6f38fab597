import type { IncomingMessage } from 'node:http';
import { Problem } from '../problems.ts';
import type { ByteShare } from './byte-budget.ts';

/** A body of JSON: the text as it was sent, and what it says. */
export interface JsonBody {
  text: string;
  value: unknown;
}

/**
 * Reads the body of a request, of at most `maxBytes`. What is larger is refused as soon as that is known, and the rest is not read.
 *
 * Whatever its type is called, it is taken for JSON: there is nothing else that it could be.
 *
 * @param share what the request may hold of the memory for bodies
 * @throws Problem TooLarge, UnsupportedMediaType for a compressed body, Unavailable, or BadRequest when it is no JSON
 */
export async function readJson(request: IncomingMessage, maxBytes: number, share: ByteShare): Promise<JsonBody> {
  const { 'content-encoding': encoding = 'identity' } = request.headers;
  if (encoding !== 'identity') throw new Problem('UnsupportedMediaType');
  const text = (await readBytes(request, maxBytes, share)).toString('utf8');
  if (text.trim() === '') return { text: '{}', value: {} };
  try {
    return { text, value: JSON.parse(text) };
  } catch {
    // What the parser says quotes the body.
    throw new Problem('BadRequest', { error: 'The body is not valid JSON' });
  }
}

async function readBytes(request: IncomingMessage, maxBytes: number, share: ByteShare): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw new Problem('TooLarge');
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Whoever stops reading here still wants to answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Problem('TooLarge');
    share.take(chunk.length);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}
