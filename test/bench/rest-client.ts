import { Agent, request } from 'node:http';

/** What a client of the REST API was told, and after how long. */
export interface Answer {
  /** HTTP status; or, when there was no whole answer in JSON, the code of the error. */
  status: number | string;
  /** From before the request, with its connection if that is new, until the body was read; milliseconds. */
  ms: number;
  body: Readonly<Record<string, unknown>>;
}

/** `new`: a TCP connection for each request, as the official client makes them. `kept`: open ones are used again. */
export type Connections = 'new' | 'kept';

/** A client of the gateway that shares no code with it. */
export class RestClient {
  readonly #origin: string;
  readonly #key: string;
  readonly #kept: Agent | undefined;

  constructor({ origin, key, connections }: { origin: string; key: string; connections: Connections }) {
    this.#origin = origin;
    this.#key = key;
    this.#kept = connections === 'kept' ? new Agent({ keepAlive: true }) : undefined;
  }

  /** Starts a session. Never rejects: what goes wrong is an answer, too. */
  async start(agent: string, body: string): Promise<Answer> {
    // Not `connection: close`: the official client asks to keep the connection, and then closes it.
    const own = this.#kept === undefined ? new Agent({ keepAlive: true }) : undefined;
    const began = performance.now();
    try {
      const { status, text } = await this.#post(`/v1/public/${agent}/start`, body, own ?? this.#kept);
      return { status, body: JSON.parse(text) as Answer['body'], ms: performance.now() - began };
    } catch (error) {
      const { code, name } = error as NodeJS.ErrnoException;
      return { status: code ?? name, body: {}, ms: performance.now() - began };
    } finally {
      own?.destroy();
    }
  }

  close(): void {
    this.#kept?.destroy();
  }

  #post(path: string, body: string, agent: Agent | undefined): Promise<{ status: number; text: string }> {
    const headers = {
      authorization: `Bearer ${this.#key}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    return new Promise((resolve, reject) => {
      const call = request(
        `${this.#origin}${path}`,
        { method: 'POST', headers, ...(agent && { agent }) },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (text += chunk));
          response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
          response.on('error', reject);
        },
      );
      call.on('error', reject);
      call.end(body);
    });
  }
}
