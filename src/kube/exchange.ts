import type { IncomingHttpHeaders } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import type { Dispatcher } from 'undici';
import { abortReason, type Clock } from './clock.ts';
import { clientError, type ClientReason } from './errors.ts';

/** How much of an error's body is read. A Status is far smaller; what is larger comes from something else. */
const maxErrorBytes = 64 * 1024;

export interface HttpRequest {
  /** Says in errors which call it was. */
  what: string;
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  headers: Record<string, string>;
  body?: string | undefined;
  /** Milliseconds until the whole answer must be there. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** Called when a connection is free and the request is about to be written; a throw keeps it from being sent. */
  beforeSend?: (() => void) | undefined;
  maxAnswerBytes: number;
}

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  /** Cut off at 64 KiB when the status is an error. */
  body: string;
}

/**
 * One request and its whole answer. Rejects with a `KubeError` that knows whether the request had left:
 * one that was still waiting for a connection when its time was up is `refused`, for it is never sent later.
 */
export function exchange(dispatcher: Dispatcher, request: HttpRequest, clock: Clock): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    if (request.signal?.aborted) {
      reject(clientError(request.what, 'Aborted', 'refused', abortReason(request.signal)));
      return;
    }
    const handler = new AnswerCollector(request, clock, resolve, reject);
    const { method, path, headers, body = null } = request;
    // Unless told otherwise, undici closes a connection after a DELETE with a body, which other servers may not read.
    const options = { method, path, headers, body, headersTimeout: 0, bodyTimeout: 0, reset: false };
    dispatcher.dispatch(options, handler);
  });
}

/** undici's view of one request; settles the promise of {@link exchange} exactly once. */
class AnswerCollector implements Dispatcher.DispatchHandler {
  readonly #request: HttpRequest;
  readonly #resolve: (answer: HttpAnswer) => void;
  readonly #reject: (error: Error) => void;
  readonly #stopWaiting: () => void;
  #controller: Dispatcher.DispatchController | undefined;
  #settled = false;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  /**
   * Decoded as it comes: the bytes of a long list, kept until its end, would cost as much memory as the list itself.
   */
  readonly #decoder = new StringDecoder('utf8');
  #body = '';
  #bytes = 0;

  constructor(
    request: HttpRequest,
    clock: Clock,
    resolve: (answer: HttpAnswer) => void,
    reject: (error: Error) => void,
  ) {
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    const { signal, timeoutMs } = request;
    const timer = clock.setTimeout(() => this.#giveUp('DeadlineExceeded', `no answer in ${timeoutMs} ms`), timeoutMs);
    const onAbort = (): void => this.#giveUp('Aborted', signal && abortReason(signal));
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#stopWaiting = () => {
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
    };
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // A throw here makes undici drop the request before its first byte and keep the connection.
    if (this.#settled) throw new Error('given up before it was sent');
    try {
      this.#request.beforeSend?.();
    } catch (error) {
      this.#fail('Guarded', error);
      throw error;
    }
    this.#controller = controller;
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return;
    const wanted = this.#status >= 300 ? chunk.subarray(0, maxErrorBytes - this.#bytes) : chunk;
    this.#body += this.#decoder.write(wanted);
    this.#bytes += chunk.length;
    if (this.#status >= 300) {
      if (this.#bytes < maxErrorBytes) return;
      this.#succeed();
      controller.abort(new Error('the rest of the error is not read'));
    } else if (this.#bytes > this.#request.maxAnswerBytes) {
      this.#giveUp('InvalidAnswer', `larger than ${this.#request.maxAnswerBytes} bytes`);
    }
  }

  onResponseEnd(): void {
    this.#succeed();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(this.#controller === undefined ? 'ConnectFailed' : 'ConnectionLost', error);
  }

  #succeed(): void {
    if (!this.#settle()) return;
    const body = this.#body + this.#decoder.end();
    this.#resolve({ status: this.#status, headers: this.#headers, body });
  }

  #fail(reason: ClientReason, cause: unknown): void {
    if (!this.#settle()) return;
    this.#reject(clientError(this.#request.what, reason, this.#controller ? 'unknown' : 'refused', cause));
  }

  #giveUp(reason: ClientReason, cause: unknown): void {
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.#fail(reason, error);
    this.#controller?.abort(error); // closes the connection, so that the server stops working for nobody
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#stopWaiting();
    return true;
  }
}
