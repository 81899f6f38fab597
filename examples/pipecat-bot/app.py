"""The server around bot.py: the container contract of Pipecat Cloud, as much of it as a bot of text needs.

Pipecat's own base image has all of it (and runs the bot.py beside this file as it is). This one is here so that the contract
can be read, and because it starts faster.

    GET  /livez, /readyz    200
    POST /bot               a session: answered when bot() has returned, 200 also if it raised
"""

import signal
import sys

# Before the imports, which take a second: the first process of a container ignores the signals that it does not handle.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

import asyncio
import json
import os

from aiohttp import web
from loguru import logger
from pipecat.runner.types import RunnerArguments

from bot import bot


async def well(_: web.Request) -> web.Response:
    return web.json_response({})


async def session(request: web.Request) -> web.Response:
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return web.json_response({"error": "the body must be a JSON object"}, status=422)

    session_id = request.headers.get("x-daily-session-id")
    limit = request.headers.get("x-pcc-max-session-seconds")
    with logger.contextualize(session_id=session_id):
        logger.info(f"Starting bot session with metadata: {json.dumps({'session_id': session_id})}")
        await run(RunnerArguments(session_id=session_id, body=body), float(limit) if limit else None)
        logger.info(f"Stopping bot session with metadata: {json.dumps({'session_id': session_id})}")
    return web.json_response({})


async def run(args: RunnerArguments, limit: float | None):
    """Runs the bot to its end, or to the limit of the session. Never raises: what goes wrong in a bot is in its log."""
    task = asyncio.create_task(bot(args))
    done, _ = await asyncio.wait([task], timeout=limit)
    if not done:
        logger.warning(f"The session has reached its limit of {limit:g} seconds")
        task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    except Exception:
        logger.exception("The bot raised")


def main():
    logger.remove()
    logger.configure(extra={"session_id": "NONE"})
    logger.add(
        sys.stderr,
        backtrace=False,
        diagnose=False,
        level=os.environ.get("PIPECAT_LOG_LEVEL", "INFO"),
        format="{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <8} | {name}:{function}:{line} | {extra[session_id]} - {message}",
    )
    # No limit of aiohttp's on bodies: Bullpen has one.
    app = web.Application(client_max_size=sys.maxsize)
    app.add_routes([web.get("/livez", well), web.get("/readyz", well), web.post("/bot", session)])
    web.run_app(
        app,
        port=int(os.environ.get("PORT", "8080")),
        # Told to end, it takes no more sessions and waits so many seconds for the one it has. Bullpen sets the variable.
        shutdown_timeout=float(os.environ.get("SHUTDOWN_TIMEOUT", "7200")),
        print=None,
        access_log=None,
    )


if __name__ == "__main__":
    main()
