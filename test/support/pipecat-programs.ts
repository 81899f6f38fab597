/** What a session is started with; `data` is JSON as text, which may hold numbers that JavaScript has not. */
export interface StartRequest {
  agent: string;
  key: string;
  data: string;
}

/** As in Pipecat's documentation. Reads a {@link StartRequest}, and prints what the library returned or raised. */
export const START_PROGRAM = `
import asyncio, json, sys
from pipecatcloud.exception import AgentStartError
from pipecatcloud.session import Session, SessionParams

async def main():
    told = json.load(sys.stdin)
    try:
        session = Session(
            agent_name=told["agent"],
            api_key=told["key"],
            params=SessionParams(data=json.loads(told["data"])),
        )
        print(json.dumps(await session.start()))
    except AgentStartError as error:
        print(json.dumps({"error": error.error_code, "text": str(error)}))

asyncio.run(main())
`;

/** What somebody at a terminal waits for, and then types. */
export interface Keystrokes {
  asked: string;
  typed: string;
}

export const ENTER = '\r';
export const DOWN = '\u001b[B';

/** Runs a command on a terminal of its own. Reads the command and the {@link Keystrokes}, prints all that is on the screen. */
export const TERMINAL_PROGRAM = `
import fcntl, json, os, pty, struct, sys, termios

told = json.load(sys.stdin)
child, screen = pty.fork()
if child == 0:
    os.execv(told["command"][0], told["command"])
fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 250, 0, 0))
seen, waiting = b"", list(told["keystrokes"])
while True:
    try:
        text = os.read(screen, 65536)
    except OSError:  # Its end, on Linux.
        break
    if not text:
        break
    seen += text
    sys.stdout.buffer.write(text)
    # Where the cursor is: a terminal is asked that, and answers.
    if b"\\x1b[6n" in text:
        os.write(screen, b"\\x1b[1;1R")
    if waiting and waiting[0]["asked"].encode() in seen:
        seen = b""
        os.write(screen, waiting.pop(0)["typed"].encode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
`;
