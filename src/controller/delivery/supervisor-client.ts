import { request } from 'node:http';
import { z } from 'zod';
import { bindReply, SUPERVISOR_PORT, type BindReply } from '../../supervisor/wire.ts';

/** A pod on this network answers in milliseconds, or not at all. */
const CONNECT_TIMEOUT_MS = 2_000;

/** The supervisor itself waits 8 s for its agent before it says that it still waits. */
const ANSWER_TIMEOUT_MS = 15_000;

/** What a supervisor says is small. */
const MAX_ANSWER_BYTES = 64 * 1024;

const refusal = z.object({ error: z.string().max(1000) });

/** How a request to a supervisor went. */
export type SupervisorAnswer =
  | { kind: 'answered'; reply: BindReply }
  /** It said no, and did nothing. */
  | { kind: 'refused'; status: number; message: string }
  /** There was no connection: nothing has left. */
  | { kind: 'unreachable'; message: string }
  /** There was one, and nothing to be said: nothing has left. */
  | { kind: 'withheld'; message: string }
  /** It was sent, and there is no answer: it may have been carried out. */
  | { kind: 'unanswered'; message: string };

export interface SupervisorRequest {
  method: 'PUT' | 'DELETE';
  /** Address of the pod. */
  host: string;
  /** What is to be said. Asked for when the connection stands: a pod that cannot be reached costs nothing else. */
  say: () => Promise<{ token: string; body?: string }>;
  signal: AbortSignal;
  /** Called before the first byte leaves. */
  onSend: () => void;
}

/** Makes one request of a supervisor's `/session`. Never rejects. */
export type CallSupervisor = (request: SupervisorRequest) => Promise<SupervisorAnswer>;

/** Over the network, each on a connection of its own: which requests have left is then certain. */
export const callSupervisor: CallSupervisor = ({ method, host, say, signal, onSend }) =>
  new Promise((resolve) => {
    let sent = false;
    let over = false;
    const call = request({ host, port: SUPERVISOR_PORT, method, path: '/session', agent: false, signal });
    const end = (answer: SupervisorAnswer): void => {
      over = true;
      resolve(answer);
    };
    const failed = (message: string): void => end({ kind: sent ? 'unanswered' : 'unreachable', message });
    const timer = setTimeout(() => call.destroy(new Error('no connection in time')), CONNECT_TIMEOUT_MS);
    const send = ({ token, body = '' }: { token: string; body?: string }): void => {
      // Given up, or closed from there, meanwhile.
      if (signal.aborted || over) {
        call.destroy();
        return;
      }
      call.setHeader('authorization', `Bearer ${token}`);
      call.setHeader('content-type', 'application/json');
      call.setHeader('content-length', Buffer.byteLength(body));
      call.setTimeout(ANSWER_TIMEOUT_MS, () => call.destroy(new Error('no answer in time')));
      sent = true;
      onSend();
      call.end(body);
    };
    call.on('socket', (socket) => {
      socket.setNoDelay(true);
      socket.once('connect', () => {
        clearTimeout(timer);
        say().then(send, (error: unknown) => {
          end({ kind: 'withheld', message: (error as Error).message });
          call.destroy();
        });
      });
    });
    call.on('response', (response) => {
      if (!sent) {
        call.destroy(new Error('an answer without a question'));
        return;
      }
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_ANSWER_BYTES) call.destroy(new Error('the answer is too long'));
        else chunks.push(chunk);
      });
      response.on('error', (error) => failed(error.message));
      response.on('end', () => end(read(response.statusCode ?? 0, Buffer.concat(chunks).toString('utf8'))));
    });
    call.on('error', (error) => failed(error.message));
    call.on('close', () => {
      clearTimeout(timer);
      failed('the connection was closed');
    });
  });

function read(status: number, text: string): SupervisorAnswer {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // Said below: whatever it is, it is no answer of a supervisor.
  }
  const reply = bindReply.safeParse(json);
  if ((status === 200 || status === 202) && reply.success) return { kind: 'answered', reply: reply.data };
  if (status >= 400 && status < 500) {
    const { data } = refusal.safeParse(json);
    return { kind: 'refused', status, message: data?.error ?? `status ${status}` };
  }
  return { kind: 'unanswered', message: `an answer that is none of a supervisor (status ${status})` };
}
