"""The worker's stdin and stdout, kept for the protocol alone."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable, Iterator

from StrokeSegLib.worker.protocol import Message, encode

_CHUNK_BYTES = 1 << 16


def protected_streams() -> tuple[Iterator[bytes], Callable[[Message], None]]:
    """Takes stdin and stdout away from everybody else in this process.

    What a library prints, and what programs that it starts print, goes to stderr from now on; who reads stdin finds it
    empty. That also keeps libraries on Windows from waiting for a stdin that another thread is reading.

    Returns:
        The lines that come in, until the other side closes; and a function that sends a message, for any thread.
    """
    sys.stdout.flush()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what is printed is there even if the process is killed
    incoming, outgoing = os.dup(0), os.dup(1)  # not inherited by children
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    lock = threading.Lock()

    def send(message: Message) -> None:
        rest = memoryview(encode(message))
        with lock:
            try:
                while rest:
                    rest = rest[os.write(outgoing, rest) :]
            except OSError:  # nobody listens any more, which the end of stdin will say as well
                pass

    return _lines(incoming), send


def _lines(handle: int) -> Iterator[bytes]:
    """Lines without their ends. Reads the handle itself: a buffered file would be locked when Python ends."""
    rest = b""
    while chunk := os.read(handle, _CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest
