"""Generated cases made in background processes and kept in a pool that samples are drawn from."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full
from typing import Any

import numpy as np

from StrokeSegLib.errors import InputError
from StrokeSegLib.synth.compute import computing_on
from StrokeSegLib.synth.diffusion import SyntheticCase
from StrokeSegLib.synth.examinations import EXAMINATIONS, WITHOUT_PAIR, draw_taken, make_examination
from StrokeSegLib.synth.sources import Sources as Heads
from StrokeSegLib.synth.sources import find_maker, load_sources
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.dataset import TrainingCase, prepare_case
from StrokeSegLib.training.source import Batch, CaseIndex, Draw, draw_batch, index_of

#: What is generated for a system; for mri, where more than diffusion is read, all sequences are (``modality_for``).
MODALITY = {"ct-perfusion": "ctp", "mri": "dwi", "noncontrast-ct": "ct", "three-projection": "ct"}
#: Cases that training waits for before its first step, or all of a smaller pool.
FIRST_CASES = 24
#: A scan of the neck, say, shows less brain than this and is not kept, voxels.
SMALLEST_BRAIN = 100
#: So many cases refused one after the other are no bad luck but images that the system cannot read.
REFUSED_IN_A_ROW = 50


@dataclass(frozen=True)
class SynthSource:
    """Generated images as training data.

    Attributes:
        anatomy: Folder of head label maps; procedural heads alone without.
        lesions: Folder of lesion masks; procedural lesions without.
        processes: Background processes that generate.
    """

    anatomy: Path | None = None
    lesions: Path | None = None
    processes: int = 1


@dataclass(frozen=True)
class _Failure:
    """Why a background process ended: each case was refused, or an error of the program."""

    reason: str
    refused: bool


class Pool:
    """A rolling pool of generated cases of one system: the oldest leave as new ones come.

    Use as a context manager, which starts and ends the processes that fill it. What is drawn depends on when cases were
    ready: unlike a table's, a run on generated images is not the same twice.

    Args:
        heads: What cases are made from.
        system: Name of the system.
        prepare_settings: For its ``prepare``.
        size: Cases kept.
        processes: Background processes.
        seed: Of what is generated.
        device: Where training computes; the processes compute there too if it is a CUDA device, else with numpy.
    """

    def __init__(
        self,
        heads: Heads,
        system: str,
        prepare_settings: dict[str, Any],
        *,
        size: int,
        processes: int,
        seed: int,
        device: str = "cpu",
    ) -> None:
        self._index: list[CaseIndex] = []
        self.made = 0
        self._cases: list[TrainingCase] = []
        self._size = size
        gpu = device if device.startswith("cuda") else None
        # Forked processes share the heads' memory; where there is no fork they get a copy each. CUDA that a parent has
        # begun to use is broken in its forks.
        fork = gpu is None and "fork" in mp.get_all_start_methods()
        context: Any = mp.get_context("fork" if fork else "spawn")
        self._queue: Any = context.Queue(maxsize=8)
        self._workers = [
            context.Process(
                target=_fill,
                args=(self._queue, os.getpid(), heads, system, prepare_settings, [seed, n], gpu),
                daemon=True,
            )
            for n in range(processes)
        ]

    def __enter__(self) -> Pool:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *exc: object) -> None:
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.join()
        self._queue.close()
        self._queue.cancel_join_thread()

    @property
    def index(self) -> Sequence[CaseIndex]:
        """One a case."""
        return self._index

    def __len__(self) -> int:
        return len(self._cases)

    def __getitem__(self, n: int) -> TrainingCase:
        return self._cases[n]

    def add(self, case: TrainingCase) -> None:
        """Takes a case in, in place of the oldest one when the pool is full."""
        if len(self._cases) < self._size:
            self._cases.append(case)
            self._index.append(index_of(case))
        else:
            place = self.made % self._size
            self._cases[place], self._index[place] = case, index_of(case)
        self.made += 1

    def refresh(self, wait_for: int = 0) -> None:
        """Takes in what is ready; waits until at least ``wait_for`` cases have been made in all.

        Raises:
            InputError: A process had so many cases refused in a row that no other can be hoped for.
            RuntimeError: A background process died.
        """
        while True:
            try:
                made = self._queue.get(timeout=1 if self.made < wait_for else 0.0005)
            except Empty:
                if self.made >= wait_for:
                    return
                if not any(worker.is_alive() for worker in self._workers):
                    raise RuntimeError("the processes that generate cases have ended") from None
                continue
            if isinstance(made, _Failure):
                if made.refused:
                    raise InputError(
                        f"{REFUSED_IN_A_ROW} generated cases in a row could not be prepared (the last one: "
                        f"{made.reason}); give other heads or other settings"
                    )
                raise RuntimeError(f"a process that generates cases failed: {made.reason}")
            self.add(made)


class PoolSource:
    """Samples of a pool; see ``source.Source``."""

    def __init__(self, pool: Pool, draw: Draw, seed: int) -> None:
        self._pool, self._draw, self._seed = pool, draw, seed

    def batch(self, step: int, samples: range) -> Batch:
        """The samples with these numbers of a step, from what is in the pool now."""
        self._pool.refresh()
        return draw_batch(self._pool, self._draw, self._seed, step, samples)


def modality_for(system: str, prepare_settings: Mapping[str, Any]) -> str:
    """What is to be generated, so that all that a preparation with these settings reads is there."""
    read = {role for roles in SYSTEMS[system].inputs_for(prepare_settings) for role in roles}
    return "mri" if system == "mri" and read - {"dwi", "adc"} else MODALITY[system]


def generated_case(
    heads: Heads, system: str, rng: np.random.Generator, prepare_settings: Mapping[str, Any] | None = None
) -> SyntheticCase:
    """One generated case for a system and the settings of its preparation; true is what its images show."""
    settings = prepare_settings or {}
    head, library, _ = heads.draw(rng)
    modality = modality_for(system, settings)
    if modality != "mri":
        return find_maker(modality)(rng, head, library, None)
    required, optional = SYSTEMS[system].inputs_for(settings)
    examinations = WITHOUT_PAIR if settings.get("mode") == "rest" else EXAMINATIONS
    return make_examination(rng, head, library, (*required, *draw_taken(rng, optional, examinations)))


@contextmanager
def _computing(device: str | None) -> Iterator[None]:
    """The generators' work on a torch device; None leaves it to numpy."""
    if device is None:
        yield
        return
    from StrokeSegLib.training.torch_compute import TorchCompute

    with computing_on(TorchCompute(device)):
        yield


def load_heads(data: SynthSource) -> Heads:
    """The heads and lesions of the folders.

    Raises:
        InputError: A folder holds none.
    """
    return load_sources(data.anatomy, data.lesions)


def _fill(
    queue: Any,
    parent: int,
    heads: Heads,
    system: str,
    prepare_settings: dict[str, Any],
    seed: list[int],
    device: str | None = None,
) -> None:
    """Generates until killed, or until the parent is gone; with numpy, or on a torch device."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    queue.cancel_join_thread()
    rng = np.random.default_rng(seed)
    count = refused = 0
    while os.getppid() == parent:
        try:
            with _computing(device):
                case = generated_case(heads, system, rng, prepare_settings)
            made: Any = prepare_case(
                f"generated-{seed[-1]}-{count}", SYSTEMS[system], case.images, case.truth, prepare_settings
            )
            count += 1
            if np.count_nonzero(made.brain) < SMALLEST_BRAIN:
                raise InputError(f"it shows fewer than {SMALLEST_BRAIN} voxels of brain")
            refused = 0
        except InputError as error:  # too little brain in view, as in a scan of the neck
            refused += 1
            if refused < REFUSED_IN_A_ROW:
                continue
            made = _Failure(str(error), refused=True)
        except Exception as error:
            if device is not None and isinstance(error, RuntimeError):
                # Its memory is training's, or it serves one process alone: numpy makes the same images. What is wrong
                # with anything else comes again.
                device = None
                continue
            made = _Failure(f"{type(error).__name__}: {error}", refused=False)
        while os.getppid() == parent:
            try:
                queue.put(made, timeout=2)
                break
            except Full:
                continue
        while isinstance(made, _Failure) and os.getppid() == parent:
            time.sleep(0.2)  # what is under way in the queue would be lost with the process; the parent ends it
