"""One step's data: samples drawn from prepared cases, each from a random generator of its own.

Sample ``n`` of step ``s`` is drawn from ``(seed, s, n)`` and nothing else. So the same step has the same data however
it is divided over processes, and a resumed run goes on as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.io.box import Box, box_of

if TYPE_CHECKING:
    from StrokeSegLib.training.dataset import TrainingCase

#: At most as many voxels of a case are kept as centers to draw from; of larger lesions every n-th.
LESION_POINTS, BRAIN_POINTS = 20_000, 5_000


@dataclass(frozen=True, eq=False)
class CaseIndex:
    """Where in a case to look, found once.

    Attributes:
        lesion: Voxels ``(n, 3)`` as (k, j, i) where any label is more than half, at most ``LESION_POINTS``.
        brain: Voxels of the brain, at most ``BRAIN_POINTS``.
        stroke_slices: For the axes k, j and i: which slices hold a lesion.
        box: The brain's box; the whole case where there is no brain.
        lesion_voxels: Lesion voxels in the box.
    """

    lesion: NDArray[np.int32]
    brain: NDArray[np.int32]
    stroke_slices: tuple[NDArray[np.bool_], ...]
    box: Box
    lesion_voxels: int


class Cases(Protocol):
    """Prepared cases with their indices: a table's, or a pool of generated ones."""

    @property
    def index(self) -> Sequence[CaseIndex]:
        """One a case."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, n: int) -> TrainingCase: ...


#: (cases, rng) -> (x float32 (C, *spatial), y float32 (L, *spatial) in 0..1, name of the case).
Draw = Callable[[Cases, np.random.Generator], tuple[NDArray[np.float32], NDArray[np.float32], str]]


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples of one step.

    Attributes:
        x: float32 ``(B, C, *spatial)``, what the network sees.
        y: float32 ``(B, L, *spatial)`` in 0..1, a plane a label.
        names: Cases that they come from.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    names: tuple[str, ...]


class Source(Protocol):
    """Anything that training data come from."""

    def batch(self, step: int, samples: range) -> Batch:
        """The samples with these numbers of a step."""
        ...


class TableSource:
    """Samples of given cases.

    Args:
        cases: Prepared cases; a sequence that reads them from a disk when asked is fine.
        draw: How a sample is drawn, see ``recipes``.
        seed: Of the run and the network.
    """

    def __init__(self, cases: Cases, draw: Draw, seed: int) -> None:
        self._cases, self._draw, self._seed = cases, draw, seed

    def batch(self, step: int, samples: range) -> Batch:
        """See ``Source``."""
        return draw_batch(self._cases, self._draw, self._seed, step, samples)


class IndexedCases:
    """A sequence of prepared cases and their indices, which are made in one pass."""

    def __init__(self, cases: Sequence[TrainingCase]) -> None:
        if not len(cases):
            raise InputError("there is no case to train on; needed at least one; check the table and its split column")
        self._cases = cases
        self._index = [index_of(case) for case in cases]

    @property
    def index(self) -> Sequence[CaseIndex]:
        """One a case."""
        return self._index

    def __len__(self) -> int:
        return len(self._cases)

    def __getitem__(self, n: int) -> TrainingCase:
        return self._cases[n]


def draw_batch(cases: Cases, draw: Draw, seed: int, step: int, samples: range) -> Batch:
    """Draws samples, each with its own generator."""
    drawn = [draw(cases, np.random.default_rng([seed, step, n])) for n in samples]
    return Batch(np.stack([d[0] for d in drawn]), np.stack([d[1] for d in drawn]), tuple(d[2] for d in drawn))


def index_of(case: TrainingCase) -> CaseIndex:
    """Finds a case's lesion, brain and slices with stroke."""
    lesion = case.target.max(axis=0) > 127
    flat, brain = np.flatnonzero(lesion), np.flatnonzero(case.brain)
    box = box_of(case.brain) or _all_of(case.brain)
    return CaseIndex(
        lesion=_points(flat, lesion.shape, LESION_POINTS),
        brain=_points(brain, lesion.shape, BRAIN_POINTS),
        stroke_slices=tuple(lesion.any(axis=tuple({0, 1, 2} - {axis})) for axis in range(3)),
        box=box,
        lesion_voxels=int(np.count_nonzero(lesion[box])),
    )


def _all_of(brain: NDArray[np.bool_]) -> Box:
    return (slice(0, brain.shape[0]), slice(0, brain.shape[1]), slice(0, brain.shape[2]))


def _points(flat: NDArray[Any], shape: tuple[int, ...], most: int) -> NDArray[np.int32]:
    some = flat[:: max(1, -(-flat.size // most))]
    return np.stack(np.unravel_index(some, shape), axis=1).astype(np.int32)
