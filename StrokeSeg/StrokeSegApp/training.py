"""Training from Slicer: in a worker's process of its own, so that it never keeps a segmentation waiting. No dialogs.

The run folder is the user's own and stays: a training that was cancelled or killed goes on with ``resume=True``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from StrokeSegApp.worker_client import WorkerRun, lookAfter, newWorker, waitFor

#: A training that is cancelled has this long to end its step and keep what it has learned.
CANCEL_GRACE_S = 20.0
SYNTH = "synth"


class TrainingRun(WorkerRun):
    """A training in progress. Call ``poll`` until it says True, then ``finish``; or ``cancel`` at any time."""

    words = "training"

    def __init__(  # noqa: PLR0913 - the words of strokeseg train
        self,
        system: str,
        data: str | Path,
        out: str | Path,
        *,
        preset: str = "bundled",
        settings: Mapping[str, Any] | None = None,
        init: str | Path | None = None,
        resume: bool = False,
        device: str = "auto",
        command: Sequence[str] | None = None,
    ) -> None:
        """Start the process; see ``StrokeSegLogic.train`` for the arguments.

        Raises:
            RunError: The process cannot be started.
        """
        self.out = Path(out).expanduser().absolute()  # the child has another current folder
        super().__init__(newWorker(command, CANCEL_GRACE_S), keepWorker=False)
        request = {
            "system": system,
            "preset": preset,
            "data": SYNTH if data == SYNTH else str(Path(data).expanduser().absolute()),
            "out": str(self.out),
            "set": [f"{key}={_asWord(value)}" for key, value in (settings or {}).items()],
            "resume": resume,
            "device": device,
        }
        if init is not None:  # a checkpoint, a model's folder, or a model's id
            path = Path(init).expanduser()
            isPath = path.is_file() or (path / "model.json").is_file()
            request["init"] = str(path.absolute() if isPath else init)
        self.ask("train", request)

    @property
    def _lines(self) -> list[str]:
        return self._log.splitlines()

    def cancel(self, wait: bool = True) -> None:
        """End the training, after its step if that takes less than ``CANCEL_GRACE_S``; the run folder stays.

        Args:
            wait: Return when the process is gone. Otherwise return at once, and a timer of Qt looks after it.
        """
        call, self._call = self._call, None
        if call is None or call.ended:
            self.release()
        elif wait:
            self._worker.close(CANCEL_GRACE_S)
        else:
            self._worker.cancel(call)
            lookAfter(self._worker, call, self.release)

    def finish(self) -> Path:
        """The run folder.

        Raises:
            InputError: The data, the preset or a setting was wrong.
            RunError: The training failed or was canceled.
        """
        try:
            self.poll()
            self.answer()
            return self.out
        finally:
            self.release()

    def stoppedMessage(self, exitCode: int) -> str:
        return _("The training stopped: exit code {code}").format(code=exitCode)


def train(
    run: TrainingRun,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Wait for a training; an interrupt from the keyboard, or of the callback, ends it."""
    waitFor(run, progress)
    return run.finish()


def _asWord(value: Any) -> str:
    """A setting as the command line takes it: numbers of a list have commas between them."""
    return ",".join(str(each) for each in value) if isinstance(value, (list, tuple)) else str(value)
