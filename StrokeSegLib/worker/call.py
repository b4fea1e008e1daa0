"""A request to a worker and what becomes of it: its steps, its answer, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class WorkerError(RuntimeError):
    """A job failed through a fault of ours or of the machine.

    Attributes:
        details: What is known beyond the message, for a report.
        exit_code: Of the process, where it ended in the middle of the job.
    """

    def __init__(self, message: str, details: str = "", exit_code: int | None = None) -> None:
        super().__init__(message)
        self.details = details
        self.exit_code = exit_code


class JobCancelledError(RuntimeError):
    """The job was canceled."""


@dataclass(frozen=True)
class Step:
    """How far a job is: ``done`` of ``total`` of a stage; ``eta_s`` of the stage is None while unknown."""

    stage: str
    done: int
    total: int
    eta_s: float | None


class Call:
    """A request and what has become of it. Made by ``Worker.ask``.

    Attributes:
        progress: The last step that was told; None before the first.
        ended: Whether ``result`` can be asked.
    """

    def __init__(self, method: str, params: Mapping[str, Any]) -> None:
        self.method = method
        self.params = dict(params)
        self.progress: Step | None = None
        self.ended = False
        self.sent = 0
        self.cancelled_at: float | None = None
        self._result: dict[str, Any] = {}
        self._error: Exception | None = None

    def result(self) -> dict[str, Any]:
        """What the worker answered.

        Raises:
            InputError: The input or the request was wrong.
            JobCancelledError: It was canceled.
            WorkerError: It failed.
        """
        if not self.ended:
            raise RuntimeError("the call has not ended yet: poll until it has")
        if self._error is not None:
            raise self._error
        return self._result

    def end(self, result: dict[str, Any] | None = None, error: Exception | None = None) -> None:
        """Notes the answer (the worker's client does)."""
        if not self.ended:
            self.ended, self._result, self._error = True, result or {}, error
