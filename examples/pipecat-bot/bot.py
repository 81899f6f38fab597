"""A bot of text: what the caller says comes with the session, and what the bot answers goes to its log.

It is a Pipecat pipeline like any other. With a transport, speech-to-text, a language model and text-to-speech in the places
of the two processors here it would be a voice bot; nothing about Bullpen would change.

The body of a session (all of it optional):

    {"say": ["hello", "how are you?"],    what the caller says; when it is all answered, the session is over.
                                          Without it the session runs until it is told to end.
     "pause": 0.5}                        seconds between two of them
"""

import asyncio
import json
import signal
from collections.abc import Callable
from contextlib import contextmanager

from loguru import logger
from pipecat.frames.frames import EndFrame, Frame, TextFrame, TranscriptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.types import RunnerArguments
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner


class Answerer(FrameProcessor):
    """In the place of a language model: answers what the caller says."""

    async def process_frame(self, frame: Frame, direction: FrameDirection):
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            logger.info(f"heard: {frame.text}")
            frame = TextFrame(f"you said {frame.text}")
        await self.push_frame(frame, direction)


class Speaker(FrameProcessor):
    """In the place of text-to-speech and a transport: says it to the log."""

    async def process_frame(self, frame: Frame, direction: FrameDirection):
        await super().process_frame(frame, direction)
        if isinstance(frame, TextFrame):
            logger.info(f"said: {frame.text}")
        await self.push_frame(frame, direction)


async def bot(args: RunnerArguments):
    """One session. It is over when this returns."""
    body = args.body or {}
    # What a bot is told may be nobody else's business: one of your own had better not log it.
    logger.info(f"session {args.session_id} is told {json.dumps(body, ensure_ascii=False)}")
    texts = [str(text) for text in body["say"]] if "say" in body else None
    pause = float(body.get("pause", 0))

    # Pipecat would end a pipeline in which nobody has spoken for 300 seconds. Here the Agent's limit does that.
    worker = PipelineWorker(Pipeline([Answerer(), Speaker()]), enable_rtvi=False, idle_timeout_secs=None)
    runner = WorkerRunner(handle_sigint=False)  # The server handles signals.
    await runner.add_workers(worker)
    caller = asyncio.create_task(call(worker, texts, pause))

    def say_goodbye():
        caller.cancel()
        asyncio.ensure_future(worker.queue_frames([TextFrame("goodbye"), EndFrame()]))

    with on_sigterm(say_goodbye):
        await runner.run()
    caller.cancel()


async def call(worker: PipelineWorker, texts: list[str] | None, pause: float):
    """In the place of a caller: says one text after the other, and hangs up. Without texts it says nothing, for ever."""
    if texts is None:
        return
    for text in texts:
        await worker.queue_frame(TranscriptionFrame(text, user_id="caller", timestamp=time_now_iso8601()))
        await asyncio.sleep(pause)
    await worker.queue_frame(EndFrame())


@contextmanager
def on_sigterm(action: Callable[[], None]):
    """Within it, `action` is called when the session is told to end, before its pod is killed. The server hears of it, too."""
    loop = asyncio.get_running_loop()
    of_server = signal.getsignal(signal.SIGTERM)

    def handle(number, frame):
        loop.call_soon_threadsafe(action)
        if callable(of_server):
            of_server(number, frame)

    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, of_server)
