"""Why an installation failed, in a line, and what to do about it.

Slicer raises no more than pip's exit code. What pip said stands in the lines that Slicer's functions print: those of
``slicer.packaging`` and of the PyTorch extension alike, with and without a window that shows them.
"""

from __future__ import annotations

import contextlib
import sys
import textwrap
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from subprocess import CalledProcessError
from typing import Any

from slicer.i18n import tr as _

#: Pieces of text that are kept of what pip says, its last ones.
KEPT_PIECES = 4000
REASON_LENGTH = 200
ERROR_LINE = "ERROR: "
DECLINED = "declined"


@dataclass(frozen=True)
class Failure:
    """What is known of an installation that did not succeed: one line, and all words that may tell the cause."""

    reason: str = ""
    said: str = ""


def attempt(install: Callable[[], Any]) -> Failure:
    """Install; whether it worked is found out by who asks, because not every failure raises."""
    heard = _Heard()
    try:
        with contextlib.redirect_stdout(heard):
            install()
    except Exception as error:  # declined, no network, a proxy, a full disk: all end in the same one line
        lines = heard.lines()
        errors = [line.removeprefix(ERROR_LINE) for line in lines if line.startswith(ERROR_LINE)]
        known = isinstance(error, CalledProcessError) and errors  # its own text is only the exit code
        reason = textwrap.shorten(errors[-1] if known else str(error), REASON_LENGTH, placeholder="...")
        troubles = [line for line in lines if "error" in line.lower() or "warning" in line.lower()]
        return Failure(reason, "\n".join([str(error), *troubles]))
    return Failure()


def cure(said: str) -> str:
    """What to do about a failed installation, by what was said about it."""
    return _known(said, _cures()) or _(
        "see the Help section for a check of this computer; without a network, install from a folder there"
    )


def cureOfFolder(said: str, wheels: str) -> str:
    """The same of an installation from a folder; ``wheels`` says what to do about one that holds too little."""
    return _known(said, _curesOfComputer()) or wheels


def _known(said: str, cures: list[tuple[tuple[str, ...], str]]) -> str:
    lowered = said.lower()
    return next((advice for words, advice in cures if any(word in lowered for word in words)), "")


def _cures() -> list[tuple[tuple[str, ...], str]]:
    """Words of an error -> what to do, the more special first: pip says of each that it found no distribution."""
    return [
        ((DECLINED,), _("press the button again to be asked again")),
        *_curesOfComputer(),
        (
            ("certificate", "ssl"),
            _("the network inspects encrypted traffic: ask IT for its certificate, or use 'Install from a folder'"),
        ),
        (
            ("no route", "name resolution", "timed out", "connection", "proxy", "getaddrinfo", "unreachable"),
            _("check the network and the proxy; without a network, use 'Install from a folder' under Help"),
        ),
        (("slicer.packaging",), _("Slicer 5.12 or newer is needed: get it from download.slicer.org")),
        (
            ("no matching distribution", "no compatible", "could not find a version"),
            _("there is no build for this Slicer's Python: use the latest stable Slicer"),
        ),
    ]


def _curesOfComputer() -> list[tuple[tuple[str, ...], str]]:
    """Of what goes wrong wherever the packages come from."""
    return [
        (("no space", "disk full", "errno 28"), _("free some space on the disk that holds Slicer")),
        (
            ("winerror 206", "too long", "errno 36"),
            _("install Slicer in a folder with a short name, such as C:\\Slicer, or allow long paths in Windows"),
        ),
        (
            ("permission", "access is denied", "errno 13", "read-only"),
            _("install Slicer where you may write, or close other Slicer windows and try again"),
        ),
    ]


class _Heard:
    """Stands for the standard output: passes everything on, and keeps the end of it."""

    def __init__(self) -> None:
        self._screen = sys.stdout
        self._pieces: deque[str] = deque(maxlen=KEPT_PIECES)

    def write(self, text: str) -> Any:
        self._pieces.append(text)
        return self._screen.write(text)

    def lines(self) -> list[str]:
        return [line.strip() for line in "".join(self._pieces).splitlines()]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._screen, name)
