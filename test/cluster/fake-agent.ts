import type { AgentClient, BotResult, Readiness } from '../../src/supervisor/agent-client.ts';
import type { Caller } from '../../src/supervisor/caller.ts';
import type { WebSocketOptions } from '../../src/supervisor/websocket.ts';
import type { BotScript, Exit } from './fake-pod.ts';

export interface FakeAgentDeps {
  /** What a probe finds now. */
  readiness: () => Readiness;
  script: () => BotScript | undefined;
  /** It has got `POST /bot`. */
  onCall: (headers: Record<string, string>, body: string) => void;
  /** Its container ends now, because the script says so. */
  onCrash: (exit: Exit) => void;
}

interface Call {
  startedAt: number;
  settle: (result: BotResult) => void;
  timer?: NodeJS.Timeout | undefined;
}

/** The agent of a fake pod as its supervisor meets it: does with `POST /bot` what the pod's script says. */
export class FakeAgent implements Pick<AgentClient, 'ready' | 'bot' | 'webSocket'> {
  readonly #deps: FakeAgentDeps;
  #call: Call | undefined;

  constructor(deps: FakeAgentDeps) {
    this.#deps = deps;
  }

  ready(): Promise<Readiness> {
    return Promise.resolve(this.#deps.readiness());
  }

  bot(headers: Record<string, string>, body: Buffer, mayGo: () => boolean): Promise<BotResult> {
    const { readiness, onCall } = this.#deps;
    if (readiness() === 'unreachable' || !mayGo()) return Promise.resolve({ kind: 'notSent' });
    onCall(headers, body.toString('utf8'));
    return new Promise((settle) => {
      this.#call = { startedAt: Date.now(), settle };
      this.reconsider();
    });
  }

  /** None is played, so it is refused. */
  webSocket(caller: Pick<Caller, 'refuse'>, { mayGo }: Pick<WebSocketOptions, 'mayGo'>): Promise<BotResult> {
    if (this.#deps.readiness() === 'unreachable' || !mayGo()) return Promise.resolve({ kind: 'notSent' });
    caller.refuse(501, 'NotPlayed', 'no WebSocket is played');
    return Promise.resolve({ kind: 'answered', status: 501 });
  }

  /** The script may have changed: an open call ends as it now says, counted from its beginning. */
  reconsider(): void {
    const call = this.#call;
    const script = this.#deps.script();
    clearTimeout(call?.timer);
    if (call === undefined || script === undefined) return;
    const { afterMs = 0, status = 200, crash } = script;
    call.timer = setTimeout(
      () => {
        if (crash === undefined) {
          this.#settle({ kind: 'answered', status });
          return;
        }
        this.#deps.onCrash(crash);
        this.die();
      },
      Math.max(0, call.startedAt + afterMs - Date.now()),
    );
  }

  /** Its container has ended. */
  die(): void {
    this.#settle({ kind: 'broken', message: 'socket hang up' });
  }

  #settle(result: BotResult): void {
    clearTimeout(this.#call?.timer);
    this.#call?.settle(result);
    this.#call = undefined;
  }
}
