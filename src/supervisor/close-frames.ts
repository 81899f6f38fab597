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
  #left = 0n;
  #seen = false;

  /** Whether a closing frame has passed. */
  get seen(): boolean {
    return this.#seen;
  }

  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0 && !this.#seen) {
      const skipped = this.#left < BigInt(rest.length) ? Number(this.#left) : rest.length;
      this.#left -= BigInt(skipped);
      rest = rest.subarray(skipped);
      if (this.#left > 0n || rest.length === 0) return;
      const before = this.#header.length;
      const header = Buffer.concat([this.#header, rest.subarray(0, MAX_HEADER_BYTES - before)]);
      const length = headerLength(header);
      if (length === undefined) {
        this.#header = header;
        return;
      }
      this.#seen = ((header[0] ?? 0) & 0x0f) === CLOSE;
      this.#left = contentLength(header);
      this.#header = Buffer.alloc(0);
      rest = rest.subarray(length - before);
    }
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

function contentLength(header: Buffer): bigint {
  const short = (header[1] ?? 0) & 0x7f;
  if (short === 127) return header.readBigUInt64BE(2);
  return BigInt(short === 126 ? header.readUInt16BE(2) : short);
}
