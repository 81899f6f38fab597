import { STATUS_CODES, type IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';

/** A client says nothing before it has its answer (RFC 6455, section 4.1). What one says all the same is kept up to here. */
const MAX_EARLY_BYTES = 64 * 1024;

/**
 * Somebody who wants a WebSocket: the connection from which a request for one has been read, and which has had no answer. That may take
 * long. Meanwhile it is read, because nothing else tells that whoever is there has hung up.
 */
export class Caller {
  readonly headers: IncomingHttpHeaders;
  readonly #socket: Duplex;
  readonly #left = new AbortController();
  #early: Buffer[];
  #answered = false;

  /** @param head what came right behind the request */
  constructor(headers: IncomingHttpHeaders, socket: Duplex, head: Buffer) {
    this.headers = headers;
    this.#socket = socket;
    this.#early = [head];
    socket.on('data', this.#keep).on('end', this.#leave).on('error', this.#leave).on('close', this.#leave);
    if (socket.destroyed || socket.readableEnded) this.#leave();
  }

  /** Aborted when the caller hangs up before it has an answer. */
  get left(): AbortSignal {
    return this.#left.signal;
  }

  /**
   * Gives it its WebSocket.
   *
   * @param answer the head of the answer, in Latin-1 as HTTP has it
   * @returns the connection, which is the taker's from now on: paused, with all in it that has come so far
   */
  accept(answer: string): Duplex {
    const socket = this.#socket;
    this.#answered = true;
    socket.off('data', this.#keep).off('end', this.#leave).off('close', this.#leave);
    socket.pause();
    const early = Buffer.concat(this.#early);
    this.#early = [];
    if (early.length > 0) socket.unshift(early);
    socket.write(answer, 'latin1');
    return socket;
  }

  /** Answers that it does not get one, and hangs up; again does nothing. */
  refuse(status: number, code: string, error: string): void {
    if (this.#answered) return;
    this.#answered = true;
    this.#early = [];
    this.#socket.off('data', this.#keep);
    refuseUpgrade(this.#socket, status, code, error);
  }

  readonly #keep = (chunk: Buffer): void => {
    this.#early.push(chunk);
    if (this.#early.reduce((bytes, { length }) => bytes + length, 0) > MAX_EARLY_BYTES) this.#socket.destroy();
  };

  readonly #leave = (): void => {
    this.#early = [];
    if (!this.#answered) this.#socket.destroy(); // It may have closed its own half only.
    this.#left.abort();
  };
}

/** Answers a request for a WebSocket with a status, and hangs up: whoever does not go then must not hold the connection. */
export function refuseUpgrade(socket: Duplex, status: number, code: string, error: string): void {
  const body = JSON.stringify({ error, code });
  socket.resume();
  socket.once('finish', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
