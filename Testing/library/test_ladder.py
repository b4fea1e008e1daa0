"""Out of memory, walked on a device with a memory of its own size: whatever is free, the answer is the same.

The device is torch on the CPU behind a bookkeeper: a volume or blend that lies on it, each window in flight and the
activations cost memory, and what is over its size raises torch's own error. It starts with a reserve that only emptying
the cache gives back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synthetic_ct import ct_head
from test_segment_systems import ONE, write_model
from test_systems import mr_head

from StrokeSegLib.inference.backends import TorchBackend
from StrokeSegLib.inference.ladder import RUNGS, is_out_of_memory, walk
from StrokeSegLib.inference.torch_backend import TorchArrays
from StrokeSegLib.models import ModelCard, load_card
from StrokeSegLib.networks import build_network
from StrokeSegLib.segmentation import SegmentationResult, segment
from StrokeSegLib.training.export import write_weights
from StrokeSegLib.volume import Volume

#: Costs, in bytes of this device: held in reserve, one window in fp32, anything that lies on the device.
RESERVE, WINDOW, RESIDENT = 100, 40, 30


class SmallDevice(TorchBackend):
    """A GPU with little memory."""

    def __init__(self, card: ModelCard, size: int) -> None:
        super().__init__(card, "cpu")
        self.device, self.on_gpu, self.arrays = "cuda:0", True, ResidentArrays(self)
        self.size, self.reserve, self.resident = size, RESERVE, 0
        self.failures: list[int] = []  # a list, which the copy in half precision shares

    def charge(self, cost: int) -> None:
        """Raises torch's error where it does not fit."""
        if self.reserve + self.resident + cost > self.size:
            self.failures.append(cost)
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {cost} bytes")

    def empty_cache(self) -> None:
        self.reserve = self.resident = 0

    def run(self, batch: np.ndarray) -> np.ndarray:
        self.resident = 0  # stitched on the CPU: nothing lies here but what is in flight
        return self.run_on_device(torch.from_numpy(batch)).numpy()

    def run_on_device(self, batch: Any) -> Any:
        self.charge(len(batch) * WINDOW // (1 if self.precision == "fp32" else 2))
        device, self.device = self.device, "cpu"  # where torch really is
        try:
            return super().run_on_device(batch)
        finally:
            self.device = device


class ResidentArrays(TorchArrays):
    """Arrays that lie on the small device."""

    def __init__(self, owner: SmallDevice) -> None:
        super().__init__("cpu")
        self.owner = owner

    def zeros(self, shape: Sequence[int]) -> Any:
        self.owner.charge(RESIDENT)
        self.owner.resident = RESIDENT
        return super().zeros(shape)


@pytest.fixture(scope="module")
def ct() -> Volume:
    return ct_head((3.0, 3.0, 5.0), size_mm=(170.0, 170.0, 60.0))[0]


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    inference = {"window": [8, 32, 32], "overlap": 0.25, "precision": ["fp32", "bf16"]}
    prepare = {"in_plane_mm": 3.0}
    folder = tmp_path_factory.mktemp("ct")
    write_model(folder, "noncontrast-ct", 1, 1, ONE, prepare_settings=prepare, inference_settings=inference)
    card = load_card(folder)
    torch.manual_seed(0)  # weights in the last layer too, so that the answer depends on the image
    digest = write_weights(build_network(card.network, card.settings).eval(), folder)
    content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    content["networks"][0]["sha256"] = digest
    (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")
    return load_card(folder)


def run(ct: Volume, card: ModelCard, size: int) -> tuple[SegmentationResult, SmallDevice]:
    device = SmallDevice(card, size)
    # The CPU at the ladder's foot needs graph.onnx for OpenVINO: torch's own CPU stands in for it here.
    device._moved_to_cpu = lambda: TorchBackend(card, "cpu")  # type: ignore[method-assign]
    return segment({"ct": ct}, str(card.folder), networks={"network": device}), device


@pytest.fixture(scope="module")
def plain(ct: Volume, card: ModelCard) -> SegmentationResult:
    return segment({"ct": ct}, str(card.folder), device="cpu", backend="torch")


#: The least memory that each rung needs, from the costs above: four windows at once, or one.
SIZES = {
    "full": RESERVE + RESIDENT + 4 * WINDOW,
    "empty cache": RESIDENT + 4 * WINDOW,
    "smaller batch": RESIDENT + WINDOW,
    "stitch on the CPU": WINDOW,
    "half precision": WINDOW // 2,
    "CPU": 0,
}


@pytest.mark.parametrize("rung", SIZES)
def test_every_rung_is_stood_on_where_there_is_just_enough_for_it(
    ct: Volume, card: ModelCard, plain: SegmentationResult, rung: str
) -> None:
    result, device = run(ct, card, SIZES[rung])
    assert result.measurements["memory_rung"] == rung
    assert len(device.failures) == [each.name for each in RUNGS].index(rung)  # one failure a rung above
    tolerance = 0.01 if rung == "half precision" else 1e-5
    assert np.abs(result.probability[1].array - plain.probability[1].array).max() < tolerance
    assert np.ptp(plain.probability[1].array[plain.probability[1].array > 0]) > 0.05
    said = [warning for warning in result.measurements["warnings"] if "out of memory" in warning]
    assert len(said) == (rung != "full")
    assert result.measurements["device"] == ("cpu" if rung == "CPU" else "cuda:0")
    assert result.measurements["precision"] == ("bf16" if rung == "half precision" else "fp32")


@pytest.mark.parametrize(("rung", "lower"), pairwise(SIZES))
def test_a_byte_less_is_a_rung_lower(ct: Volume, card: ModelCard, rung: str, lower: str) -> None:
    assert run(ct, card, SIZES[rung] - 1)[0].measurements["memory_rung"] == lower


def test_without_permission_for_half_precision_that_rung_is_skipped(tmp_path: Path, ct: Volume) -> None:
    settings = {"window": [8, 32, 32], "overlap": 0.25}
    folder = write_model(
        tmp_path, "noncontrast-ct", 1, 1, ONE, prepare_settings={"in_plane_mm": 3.0}, inference_settings=settings
    )
    result, _ = run(ct, load_card(folder), SIZES["half precision"])
    assert result.measurements["memory_rung"] == "CPU"


def test_the_machine_is_no_reason_to_review_a_case(ct: Volume, card: ModelCard) -> None:
    result, _ = run(ct, card, SIZES["smaller batch"])
    assert not any("out of memory" in reason for reason in result.measurements["needs_review"]["reasons"])


def test_slices_walk_it_too(tmp_path: Path) -> None:
    images, _ = mr_head(skull=False)
    card = load_card(write_model(tmp_path, "mri", 6, 2, ONE))
    inputs = {role: images[role] for role in ("dwi", "adc")}
    plain = segment(inputs, str(tmp_path), device="cpu", backend="torch")
    for size, rung in ((RESERVE + RESIDENT + 8 * WINDOW, "full"), (RESIDENT + WINDOW, "smaller batch")):
        found = segment(inputs, str(tmp_path), networks={"network": SmallDevice(card, size)})
        assert found.measurements["memory_rung"] == rung
        assert np.allclose(found.probability[1].array, plain.probability[1].array, atol=1e-5)


class SmallComputer:
    """A network on the CPU that has room for one window at once."""

    name, device = "small", "cpu"

    def run(self, batch: np.ndarray) -> np.ndarray:
        if len(batch) > 1:
            raise MemoryError
        return np.zeros((1, 2, *batch.shape[2:]), np.float32)


def test_a_computer_without_gpu_makes_its_batches_smaller(tmp_path: Path) -> None:
    images, _ = mr_head(skull=False)
    write_model(tmp_path, "mri", 6, 2, ONE)
    inputs = {role: images[role] for role in ("dwi", "adc")}
    found = segment(inputs, str(tmp_path), networks={"network": SmallComputer()})
    assert found.measurements["memory_rung"] == "smaller batch"


def test_no_room_at_all_is_said_as_such() -> None:
    def attempt(backends: Any, rung: Any) -> None:
        raise MemoryError("nothing left")

    with pytest.raises(MemoryError, match="nothing left"):
        walk({"network": SmallComputer()}, attempt)


def test_other_errors_are_not_taken_for_it() -> None:
    calls = []

    def attempt(backends: Any, rung: Any) -> None:
        calls.append(rung)
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        walk({"network": SmallComputer()}, attempt)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("size mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_how_libraries_say_it(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
