/** The opcode of a frame that closes a WebSocket (RFC 6455, section 5.5.1). */
const CLOSE = 0x8;

/**
 * Tells whether one side of a WebSocket has closed it in good order, from the bytes of that side as they pass. A server that crashes
 * closes its connection, too, but says nothing.
 */
export class CloseFrames {
  /** The header of the frame that is on its way, as far as it is there. */
  #header = Buffer.alloc(0);
  /** Bytes of a frame's content that are still to come. */
  #left = 0;
  #seen = false;

  /** Whether a closing frame has passed. */
  get seen(): boolean {
    return this.#seen;
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.#seen;) {
      const skipped = Math.min(this.#left, chunk.length - at);
      this.#left -= skipped;
      at += skipped;
      if (at < chunk.length) at += this.#readHeader(chunk.subarray(at));
    }
  }

  /** Reads the header that begins here or has begun before; returns how many bytes of it are here. */
  #readHeader(rest: Buffer): number {
    const before = this.#header.length;
    const header = before === 0 ? rest : Buffer.concat([this.#header, rest.subarray(0, MAX_HEADER_BYTES - before)]);
    const length = headerLength(header);
    if (length === undefined) {
      this.#header = Buffer.from(header); // Not a view of the chunk, which others may use again.
      return rest.length;
    }
    this.#seen = ((header[0] ?? 0) & 0x0f) === CLOSE;
    this.#left = contentLength(header);
    this.#header = Buffer.alloc(0);
    return length - before;
  }
}

/** Two bytes, eight for a long length, four for a mask. */
const MAX_HEADER_BYTES = 14;

/** How long the header is that begins here; undefined while that, or all of it, is not there yet. */
function headerLength(header: Buffer): number | undefined {
  const second = header[1];
  if (second === undefined) return undefined;
  const short = second & 0x7f;
  const length = 2 + (short === 127 ? 8 : short === 126 ? 2 : 0) + (second & 0x80 ? 4 : 0);
  return header.length < length ? undefined : length;
}

function contentLength(header: Buffer): number {
  const short = (header[1] ?? 0) & 0x7f;
  if (short === 127) return Number(header.readBigUInt64BE(2));
  return short === 126 ? header.readUInt16BE(2) : short;
}
