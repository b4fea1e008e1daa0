"""Generated heads made in background processes and kept in a pool that slices are drawn from."""

from __future__ import annotations

import multiprocessing as mp
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.windows import slice_stack
from StrokeSegLib.preprocess.geometry import resample, to_axial
from StrokeSegLib.synth.anatomy import Head, load_heads
from StrokeSegLib.synth.diffusion import SyntheticCase, make_case
from StrokeSegLib.synth.lesions import LesionLibrary, load_lesions, register_to_template
from StrokeSegLib.synth.procedural import procedural_head
from StrokeSegLib.systems.mri import MRI


@dataclass(frozen=True, eq=False)
class PooledCase:
    """A prepared case: channels float16 ``(C, K, J, I)``, target uint8 0-255 ``(K, J, I)`` and its lesion voxels."""

    channels: NDArray[np.float16]
    target: NDArray[np.uint8]
    lesion: NDArray[np.int32]
    brain: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Sources:
    """What heads and lesions are made from."""

    heads: list[Head]
    library: LesionLibrary | None
    procedural_chance: float

    def make(self, rng: np.random.Generator) -> SyntheticCase:
        """One generated case."""
        if not self.heads or rng.random() < self.procedural_chance:
            return make_case(rng, procedural_head(rng), None)
        head = self.heads[int(rng.integers(len(self.heads)))]
        return make_case(rng, _mirrored(head) if rng.random() < 0.5 else head, self.library)


def load_sources(anatomy: Path | None, lesions: Path | None, procedural_chance: float = 0.12) -> Sources:
    """Label maps and lesion masks from folders; procedural heads alone when there is no anatomy folder."""
    if anatomy is None:
        return Sources([], None, 1.0)
    heads = load_heads(anatomy)
    if lesions is None:
        return Sources(heads, None, procedural_chance)
    library = load_lesions(lesions)
    return Sources([register_to_template(head, library) for head in heads], library, procedural_chance)


def pooled(case: SyntheticCase) -> PooledCase:
    """A generated case through the system's own preprocessing.

    Raises:
        InputError: The case shows too little brain (as a scan of the neck would).
    """
    prepared = MRI.prepare(case.images)
    truth = case.truth.with_array(case.truth.array.astype(np.float32))
    soft = resample(to_axial(truth), prepared.grid).array
    lesion = np.argwhere(soft > 0.5).astype(np.int32)
    brain = np.argwhere(prepared.brain).astype(np.int32)
    if len(brain) < 100:
        raise InputError("the generated scan holds no brain")
    some = brain[:: max(1, len(brain) // 5000)]
    target = np.rint(soft * 255).astype(np.uint8)
    return PooledCase(prepared.channels.astype(np.float16), target, lesion[:: max(1, len(lesion) // 20000)], some)


class Pool:
    """A rolling pool of generated cases, filled by ``processes`` background processes.

    Use as a context manager; ``refresh`` takes in what has been made since.
    """

    def __init__(self, sources: Sources, *, size: int, processes: int, seed: int) -> None:
        self.cases: deque[PooledCase] = deque(maxlen=size)
        self.made = 0
        context = mp.get_context("fork")
        self._queue: Any = context.Queue(maxsize=8)
        self._workers = [
            context.Process(target=_fill, args=(self._queue, sources, seed + 1000 * n), daemon=True)
            for n in range(processes)
        ]

    def __enter__(self) -> Pool:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *exc: object) -> None:
        for worker in self._workers:
            worker.terminate()

    def refresh(self, wait_for: int = 0) -> None:
        """Takes in finished cases; waits until at least ``wait_for`` have been made in all."""
        while True:
            try:
                self.cases.append(self._queue.get(timeout=60 if self.made < wait_for else 0.0005))
                self.made += 1
            except Empty:
                if self.made >= wait_for:
                    return

    def batch(
        self, rng: np.random.Generator, count: int, crop: int, lesion_chance: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Crops ``(count, C * 3, crop, crop)`` and soft targets ``(count, crop, crop)`` from random cases."""
        pairs = [self._crop(rng, crop, lesion_chance) for _ in range(count)]
        return np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])

    def _crop(
        self, rng: np.random.Generator, crop: int, lesion_chance: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        case = self.cases[int(rng.integers(len(self.cases)))]
        points = case.lesion if len(case.lesion) and rng.random() < lesion_chance else case.brain
        k, j, i = points[rng.integers(len(points))] + np.array([0, *rng.integers(-crop // 3, crop // 3, 2)])
        channels, target = slice_stack(case.channels, int(k)), case.target[int(k)]
        x = _window(channels, int(j), int(i), crop).astype(np.float32)
        y = _window(target[None], int(j), int(i), crop)[0].astype(np.float32) / 255
        return augment(rng, x, y)


def _window(planes: NDArray[Any], j: int, i: int, crop: int) -> NDArray[Any]:
    """A square window centered at ``(j, i)``; what lies outside repeats as background (the planes' minimum)."""
    out = np.empty((planes.shape[0], crop, crop), planes.dtype)
    out[:] = planes.reshape(planes.shape[0], -1).min(axis=1)[:, None, None]
    low = (j - crop // 2, i - crop // 2)
    source = [slice(max(0, low[a]), max(0, min(planes.shape[a + 1], low[a] + crop))) for a in range(2)]
    target = [slice(s.start - low[a], s.stop - low[a]) for a, s in enumerate(source)]
    if all(s.stop > s.start for s in source):
        out[:, target[0], target[1]] = planes[:, source[0], source[1]]
    return out


def augment(
    rng: np.random.Generator, x: NDArray[np.float32], y: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mirror images, quarter turns now and then, and small errors of the intensity scale."""
    if rng.random() < 0.5:
        x, y = x[:, :, ::-1], y[:, ::-1]
    if rng.random() < 0.1:
        turns = int(rng.integers(1, 4))
        x, y = np.rot90(x, turns, (1, 2)), np.rot90(y, turns)
    if rng.random() < 0.5:  # the neighbors of a slice come in either order
        x = x.reshape(-1, 3, *x.shape[1:])[:, ::-1].reshape(x.shape)
    gain = rng.normal(1, 0.08, 2).astype(np.float32)
    x = x.copy()
    half = x.shape[0] // 2
    # DWI channels are (value - 1) / 1.5, ADC channels value - 1.
    x[:half] = (x[:half] * 1.5 + 1) * gain[0] / 1.5 - 1 / 1.5
    x[half:] = (x[half:] + 1) * gain[1] - 1
    return x, np.ascontiguousarray(y)


def _mirrored(head: Head) -> Head:
    """The head mirrored left to right."""
    width_mm = (head.tissue.shape[2] - 1) * head.spacing_mm
    if head.to_template is None:
        return replace(head, tissue=np.ascontiguousarray(head.tissue[:, :, ::-1]))
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    flip[0, 3] = width_mm
    matrix = np.vstack([head.to_template, [0, 0, 0, 1]]) @ flip
    return replace(head, tissue=np.ascontiguousarray(head.tissue[:, :, ::-1]), to_template=matrix[:3])


def _fill(queue: Any, sources: Sources, seed: int) -> None:
    rng = np.random.default_rng(seed)
    while True:
        try:
            queue.put(pooled(sources.make(rng)))
        except InputError:
            continue  # too little brain in view, as in a scan of the neck
