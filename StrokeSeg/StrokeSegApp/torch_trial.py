"""Whether PyTorch works with this computer's graphics card: tried in the worker's Python, never in Slicer's process."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from StrokeSegApp.child_process import ChildProcess
from StrokeSegApp.computer import Driver
from StrokeSegApp.failures import cureOf
from StrokeSegApp.preflight import Line, State
from StrokeSegApp.worker_client import childCommand, environment

#: Says one line of JSON on standard error. A product of two matrices needs a build that fits both driver and card.
SCRIPT = """
import json, sys
facts = {}
try:
    import torch
    facts.update(version=torch.__version__, cuda=torch.version.cuda)
    if torch.cuda.is_available():
        kind, facts["device"] = "cuda", torch.cuda.get_device_name(0)
    elif torch.backends.mps.is_available():
        kind, facts["device"] = "mps", "Apple GPU"
    if "device" in facts:
        (torch.ones(64, 64, device=kind) @ torch.ones(64, 64, device=kind)).sum().item()
except Exception as error:
    facts["error"] = f"{type(error).__name__}: {error}"
print(json.dumps(facts), file=sys.stderr)
"""


class TorchTrial:
    """A trial in progress; importing torch takes up to a minute on a slow disk, so nobody waits for it."""

    def __init__(self, python: Sequence[str] | None = None) -> None:
        """Start it; ``python`` stands for PythonSlicer (tests).

        Raises:
            OSError: Python cannot be started.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="StrokeSeg-"))
        self._said: list[str] = []
        try:
            self._child = ChildProcess([*(python or childCommand()[:1]), "-c", SCRIPT], self._folder, environment())
        except OSError:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def poll(self) -> bool:
        """True once it has ended."""
        ended = self._child.exitCode() is not None
        self._said += self._child.newLines()
        return ended

    def line(self, version: str, driver: Driver | None) -> Line:
        """The fact for the report, after the end."""
        return judged(self._facts(), self._child.exitCode(), version, driver)

    def close(self) -> None:
        """End it, if it has not, and remove what it wrote."""
        self._child.kill(0)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _facts(self) -> dict[str, Any]:
        for line in reversed(self._said):
            try:
                facts = json.loads(line)
            except ValueError:
                continue
            if isinstance(facts, dict):
                return facts
        return {"error": self._said[-1] if self._said else ""}


def judged(facts: Mapping[str, Any], exitCode: int | None, version: str, driver: Driver | None) -> Line:
    """What a trial found.

    Args:
        facts: As ``SCRIPT`` says them; without a line of it, ``error`` alone.
        exitCode: Of its process, which may have crashed.
        version: Of the installed PyTorch, for one that could not say it.
        driver: Of an NVIDIA GPU; None where there is none.
    """
    title, version, cuda = "PyTorch", facts.get("version", version), facts.get("cuda")
    build = _("{version} for CUDA {cuda}").format(version=version, cuda=cuda) if cuda else version
    again = _("install it again with the extension PyTorch, which chooses the build for the GPU's driver")
    if "error" in facts:
        value = _("{build}, does not work here ({reason})").format(
            build=build, reason=facts["error"] or _("exit code {code}").format(code=exitCode)
        )
        return Line(State.PROBLEM, title, value, cureOf(facts["error"], exitCode) or again)
    if "device" in facts:
        return Line(State.OK, title, _("{build}, works with {device}").format(build=build, device=facts["device"]))
    if driver is None:
        return Line(State.OK, title, build)
    if not cuda:
        return Line(State.WARNING, title, _("{version}, a build without GPU").format(version=version), again)
    cure = _("update the graphics driver (it is {driver}), or {again}").format(driver=driver.version, again=again)
    return Line(State.WARNING, title, _("{build}, does not find the graphics card").format(build=build), cure)
