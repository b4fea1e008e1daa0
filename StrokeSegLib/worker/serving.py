"""A server on this process's stdin and stdout, and what happens when a signal or the client's end comes."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import NoReturn

from StrokeSegLib.worker.process import SCRATCH_MARK
from StrokeSegLib.worker.protocol import Message
from StrokeSegLib.worker.server import Method, Server
from StrokeSegLib.worker.streams import protected_streams

#: When the client dies, a training may end its step and keep what it has learned.
GRACE_S = 20.0


def serve(
    methods: Mapping[str, Method],
    *,
    idle_s: float,
    scratch: Path | None = None,
    models: Callable[[], list[str]] = list,
) -> NoReturn:
    """Serves until the client goes, asks for the end, or for nothing during ``idle_s`` seconds; then ends the process.

    Args:
        methods: The jobs by name.
        idle_s: Seconds without a job.
        scratch: The client's temporary folder, with its mark in it: removed when the client is gone.
        models: Which models are warm, for ``status``.
    """
    lines, send = protected_streams()
    logging.getLogger("StrokeSegLib").addHandler(_Log(send))
    signal.signal(signal.SIGTERM, _interrupt)

    def end_all(number: int) -> None:
        """Also what jobs have started. A client that gives a scratch folder has made a group for us alone."""
        if sys.platform != "win32" and scratch is not None and os.getpgrp() == os.getsid(0):
            os.killpg(0, number)

    def abandon() -> None:
        if sys.platform != "win32":
            end_all(signal.SIGKILL)
        os._exit(1)

    server = Server(
        lines,
        send,
        methods,
        idle_s=idle_s,
        grace_s=GRACE_S,
        models=models,
        at_end=lambda: remove_scratch(scratch),
        abandon=abandon,
    )
    try:
        server.serve()
    except KeyboardInterrupt:
        pass
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_all(signal.SIGTERM)
    sys.stderr.flush()
    os._exit(0)  # results are on the disk: no library may keep this process from ending


def remove_scratch(folder: Path | None) -> None:
    """Removes the client's temporary folder; one without the client's mark is left alone."""
    if folder is not None and (folder / SCRATCH_MARK).is_file():
        shutil.rmtree(folder, ignore_errors=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class _Log(logging.Handler):
    """The library's log as notifications."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        super().__init__(logging.INFO)
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send({"method": "log", "params": {"level": record.levelname.lower(), "text": record.getMessage()}})
