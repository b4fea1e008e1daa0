"""Generated cases are the same whoever computes: numpy, or torch on a device."""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from synth_phantoms import ball_head

from StrokeSegLib.cli import DONE, main
from StrokeSegLib.synth.anatomy import Head
from StrokeSegLib.synth.compute import Axis, NumpyCompute, compute, computing_on
from StrokeSegLib.synth.ct import make_ct_case
from StrokeSegLib.synth.ctp import make_ctp_case
from StrokeSegLib.synth.diffusion import SyntheticCase, make_case
from StrokeSegLib.synth.mri import make_mri_case
from StrokeSegLib.synth.procedural import procedural_head
from StrokeSegLib.synth.sources import Sources
from StrokeSegLib.training.pool import Pool, _fill

torch = pytest.importorskip("torch")
from StrokeSegLib.training.torch_compute import TorchCompute  # noqa: E402

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")),
]
Make = Callable[[np.random.Generator, Head], SyntheticCase]
MAKERS: dict[str, Make] = {
    "ct": lambda rng, head: make_ct_case(rng, head, kind="both", spacing_mm=(3.0, 3.0, 6.0)),
    "mri": lambda rng, head: make_mri_case(rng, head, healthy=False, spacing_mm=(4.0, 4.0, 8.0)),
    "dwi": lambda rng, head: make_case(rng, head, healthy=False, spacing_mm=(3.0, 3.0, 5.0)),
    "ctp": lambda rng, head: make_ctp_case(rng, head, healthy=False, spacing_mm=(3.0, 3.0, 6.0)),
}


class Counted(TorchCompute):
    """Counts what goes to the device."""

    sent = 0

    def _put(self, array: NDArray[Any]) -> Any:
        self.sent += 1
        return super()._put(array)


@pytest.fixture(scope="module")
def head() -> Head:
    return procedural_head(np.random.default_rng(3))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("modality", MAKERS)
def test_a_device_makes_the_same_case(head: Head, modality: str, device: str) -> None:
    make, on_device = MAKERS[modality], Counted(device)
    for seed in (1, 2):
        expected = make(np.random.default_rng(seed), head)
        with computing_on(on_device):
            made = make(np.random.default_rng(seed), head)
        assert on_device.sent > 0
        assert made.parameters == expected.parameters
        assert made.truth.same_grid(expected.truth)
        assert np.array_equal(made.truth.array, expected.truth.array)
        assert expected.truth.array.any()
        for role, image in expected.images.items():
            width = float(image.array.max() - image.array.min())
            assert np.abs(made.images[role].array - image.array).max() <= 1e-3 * width, role


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mode", ["nearest", "reflect"])
@pytest.mark.parametrize("shape", [(7, 20, 15), (2, 3, 4), (2, 6, 9, 8)])
def test_a_device_blurs_as_scipy_does(device: str, mode: str, shape: tuple[int, ...]) -> None:
    """Borders wider than the image too."""
    image = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    sigma = (0.0, 2.5, 0.6, 1.1)[-len(shape) :]
    blurred = TorchCompute(device).gaussian(image, sigma, mode, 3.0)
    assert blurred.dtype == np.float32
    assert np.allclose(blurred, ndimage.gaussian_filter(image, sigma, mode=mode, truncate=3.0), rtol=0, atol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_looks_up_and_interpolates_as_numpy_does(device: str) -> None:
    rng = np.random.default_rng(0)
    numpy, torch_ = NumpyCompute(), TorchCompute(device)
    labels = rng.integers(0, 17, (9, 8, 7)).astype(np.uint8)
    labels.flags.writeable = False
    # Half-way points among them, outside ones too.
    positions = [np.round(rng.uniform(-4, 14, (3, 5, 6, 4)) * 4).astype(np.float32) / 4 for _ in range(3)]
    tables = rng.standard_normal((4, 17)).astype(np.float32)
    assert np.array_equal(torch_.lookup(labels, positions[0], 1.5), numpy.lookup(labels, positions[0], 1.5))
    sums = torch_.table_sums(labels, positions, 1.5, tables)
    assert np.array_equal(sums, numpy.table_sums(labels, positions, 1.5, tables))
    image = rng.standard_normal((5, 6, 4), dtype=np.float32)
    at = np.array([0.25, 1.75, 2.5], np.float32)
    axes: list[Axis] = [(np.array([1, 4]), None), (at.astype(np.intp), at % 1), (at.astype(np.intp), at % 1)]
    for dtype in (np.float32, np.float16):
        expected = numpy.linear(image, axes, dtype)
        assert expected.dtype == dtype
        assert np.array_equal(torch_.linear(image, axes, dtype), expected)


def test_the_chosen_device_holds_within_its_block_and_thread() -> None:
    usual, chosen, other = compute(), TorchCompute("cpu"), TorchCompute("cpu")
    seen: list[object] = []
    with computing_on(chosen):
        with computing_on(other):
            assert compute() is other
        assert compute() is chosen
        thread = threading.Thread(target=lambda: seen.append(compute()))
        thread.start()
        thread.join()
    assert compute() is usual
    assert seen == [usual]


def _first_case(start_method: str, device: str | None) -> Any:
    """What a process that fills a pool makes first."""
    context = mp.get_context(start_method)
    queue = context.Queue(maxsize=1)
    heads = Sources((ball_head(),), None, procedural_chance=0.0)
    arguments = (queue, os.getpid(), heads, "ct-perfusion", {}, [5, 0], device)
    process = context.Process(target=_fill, args=arguments, daemon=True)  # type: ignore[attr-defined]
    process.start()
    try:
        return queue.get(timeout=240)
    finally:
        process.kill()
        process.join()


@pytest.mark.slow
def test_training_gets_the_same_images_from_a_device() -> None:
    """In a process of its own that was not forked, as CUDA needs it."""
    expected = _first_case("fork" if "fork" in mp.get_all_start_methods() else "spawn", None)
    made = _first_case("spawn", "cpu")
    assert np.array_equal(made.channels, expected.channels)
    assert np.array_equal(made.target, expected.target)


@pytest.mark.skipif("fork" not in mp.get_all_start_methods(), reason="the bad device is set up before a fork")
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no memory left"), RuntimeError("all devices are busy")])
def test_a_device_that_cannot_be_used_hands_over_to_numpy(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(*_: object) -> Any:
        raise error

    monkeypatch.setattr(TorchCompute, "_put", bad)
    made = _first_case("fork", "cpu")
    assert made.channels.any()


@pytest.mark.parametrize(
    ("device", "method"), [("cpu", "fork" if "fork" in mp.get_all_start_methods() else "spawn"), ("cuda:1", "spawn")]
)
def test_processes_that_compute_on_a_gpu_are_not_forked(device: str, method: str) -> None:
    """The parent has begun to use it."""
    heads = Sources((ball_head(),), None, procedural_chance=0.0)
    pool = Pool(heads, "ct-perfusion", {}, size=1, processes=1, seed=0, device=device)
    assert {worker._start_method for worker in pool._workers} == {method}


def test_the_benchmark_measures_torch_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "synth", "--modality", "ctp", "--count", "1", "--torch", "--json"]) == DONE
    measured = json.loads(capsys.readouterr().out)
    assert measured["synth-ctp-torch-cpu"]["volumes_per_second"] > 0
    assert measured["synth-ctp-torch-cpu"]["volumes_per_case"] == measured["synth-ctp"]["volumes_per_case"]
