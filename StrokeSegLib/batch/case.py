"""One case of a batch, from its files to its result folder and its row; what goes wrong is a row too."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.batch.summary import Row, result_mark, row_of_result
from StrokeSegLib.callbacks import Progress
from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.around import AroundBackend
from StrokeSegLib.inference.backends import Backend, Choice
from StrokeSegLib.inference.engine import Engine
from StrokeSegLib.models import ModelCard
from StrokeSegLib.segmentation import segment


@dataclass(frozen=True)
class CaseJob:
    """What has to be done; plain values, so that it can travel to another machine.

    Attributes:
        case_id: As in the case table.
        inputs: Role -> absolute path, in the model's order.
        out: The case's result folder, absolute.
        model: A bundled model's id, or the absolute path of a model folder.
        sha256: Of the weights that the batch was started with.
        device, backend: As for ``segment``.
        replaces: Whether results that lie there may be replaced.
        replaced: The mark of the result that lies there and is to be replaced, None where there is none.
    """

    case_id: str
    inputs: Mapping[str, str]
    out: str
    model: str
    sha256: str
    device: str
    backend: str
    replaces: bool = False
    replaced: str | None = None


class SharedEngine(Engine):
    """An engine whose networks several cases use at a time: their batches take turns.

    One batch keeps all cores (or the GPU) busy; what other cases do meanwhile is reading, preparing and writing.
    """

    def __init__(self) -> None:
        """Starts empty."""
        super().__init__(keep=1)
        self._turn = threading.Lock()

    def backends(self, card: ModelCard, choice: Choice) -> dict[str, Backend]:
        """See ``Engine``."""
        return {name: _TakingTurns(backend, self._turn) for name, backend in super().backends(card, choice).items()}


class _TakingTurns(AroundBackend):
    """A network that runs one batch at a time."""

    def __init__(self, backend: Backend, turn: threading.Lock) -> None:
        super().__init__(backend)
        self._turn = turn

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See ``Backend``."""
        with self._turn:
            return self._backend.run(batch)


def run_case(job: CaseJob, engine: Engine, progress: Progress) -> Row:
    """Segments one case and writes its result folder, whole or not at all.

    A case that was done since the batch began is not done again. What the progress callback raises ends the case.

    Returns:
        The row: done, or failed with the error in one line.
    """
    folder = Path(job.out)
    if result_mark(folder) not in (None, job.replaced) and (row := row_of_result(job.case_id, folder)) is not None:
        return row
    try:
        result = segment(job.inputs, job.model, job.device, progress, backend=job.backend, engine=engine)
        if result.card.sha256 != job.sha256:
            raise InputError(
                f"model {result.card.id} has other weights here ({result.card.sha256[:12]}…) than where the batch was "
                f"started ({job.sha256[:12]}…); install the same StrokeSeg everywhere"
            )
        progress("write", 0, 1)
        result.write(folder, force=job.replaces)
    except InputError as error:
        return failed(job, str(error))
    except MemoryError:
        return failed(job, "out of memory; run fewer programs beside it or use a machine with more")
    except Exception as error:  # the other cases go on
        return failed(job, f"a fault of StrokeSeg, {type(error).__name__}: {error}")
    return row_of_result(job.case_id, folder) or failed(job, "its measurements.json went away while it was written")


def failed(job: CaseJob, error: str) -> Row:
    """The row of a case that could not be done."""
    return Row(job.case_id, "failed", error=" ".join(error.split()))
