"""From inputs to probability, with a network whose answer is known: it finds exactly the bright DWI voxels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.predict import predict
from StrokeSegLib.models import ModelCard, ModelInput, ModelLabel
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.volume import Volume

CARD = ModelCard(
    id="bright",
    title="",
    version="0.0.0",
    licence="",
    system="mri",
    inputs=(ModelInput("dwi", True), ModelInput("adc", True)),
    minimum_inputs=2,
    labels=(ModelLabel(1, "ischemic lesion"),),
    networks=(),
    network="",
    settings={},
    temperature=1.0,
    threshold=0.5,
    min_lesion_ml=0.0,
    folder=None,  # type: ignore[arg-type]
)


class BrightBackend:
    """Lesion where the middle DWI slice is above twice the brain's median; writes down the shapes it saw."""

    name, device = "bright", "cpu"

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, batch: np.ndarray) -> np.ndarray:
        self.shapes.append(batch.shape)
        dwi = batch[:, 1] * 1.5 + 1  # channels 0..2 are DWI below, at and above the slice
        lesion = np.where(dwi > 2, 20.0, -20.0)
        return np.stack([-lesion, lesion], axis=1).astype(np.float32) / 2


def head(spacing_mm: tuple[float, float, float], direction: np.ndarray, radius_mm: float = 70) -> dict[str, Volume]:
    """A ball of brain with a bright ball (radius 15 mm) 30 mm to the patient's left, in any grid."""
    size = [int(np.ceil(2.4 * radius_mm / s)) for s in spacing_mm]
    center = (np.array(size) - 1) / 2 * np.array(spacing_mm)
    blank = Volume(np.zeros(size[::-1], np.float32), spacing_mm, tuple(-direction @ center), direction)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in size], indexing="ij"), axis=-1)
    position = blank.ijk_to_lps(index).transpose(2, 1, 0, 3)
    brain = np.linalg.norm(position, axis=-1) < radius_mm
    lesion = np.linalg.norm(position - [30, 0, 0], axis=-1) < 15
    dwi = np.where(lesion, 400, np.where(brain, 100, 0)).astype(np.float32)
    adc = np.where(brain, np.where(lesion, 0.45, 0.85), 0).astype(np.float32)
    return {"dwi": blank.with_array(dwi), "adc": blank.with_array(adc)}


def quiet(stage: str, done: int, total: int) -> None:
    """No progress."""


def run(inputs: dict[str, Volume]) -> tuple[Volume, BrightBackend]:
    backend = BrightBackend()
    return predict(inputs, CARD, SYSTEMS["mri"], backend, quiet).probability[1], backend


GRIDS = {
    "2 mm cubes": ((2.0, 2.0, 2.0), np.eye(3)),
    "5 mm slices": ((1.2, 1.2, 5.0), np.eye(3)),
    "thin slices": ((1.0, 1.0, 0.7), np.eye(3)),
    "left-handed": ((2.0, 2.0, 3.0), np.diag([-1.0, 1.0, 1.0])),
    "rotated axes": ((2.0, 3.0, 2.5), np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]])),
    "oblique": ((2.0, 2.0, 2.5), Rotation.from_euler("xyz", [20, 5, -9], degrees=True).as_matrix()),
}


@pytest.mark.parametrize("name", GRIDS)
def test_the_lesion_comes_back_where_it_was_on_the_inputs_own_grid(name: str) -> None:
    inputs = head(*GRIDS[name])
    probability, _ = run(inputs)
    assert probability.same_grid(inputs["dwi"])
    truth = inputs["dwi"].array == 400
    found = probability.array > 0.5
    overlap = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    # The way to 1.25 mm and back costs at most a thin shell, thicker for the coarse slices.
    assert overlap > 0.93


def test_a_single_slice_works() -> None:
    inputs = head((2.0, 2.0, 2.0), np.eye(3))
    middle = inputs["dwi"].array.shape[0] // 2
    one = {
        role: Volume(v.array[middle : middle + 1], (2.0, 2.0, 5.0), v.origin, v.direction) for role, v in inputs.items()
    }
    probability, _ = run(one)
    assert probability.array.shape[0] == 1
    truth = one["dwi"].array == 400
    found = probability.array > 0.5
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9


def test_the_network_sees_only_slices_with_brain_in_multiples_of_32() -> None:
    inputs = head((2.0, 2.0, 2.0), np.eye(3))
    _, backend = run(inputs)
    slices = sum(shape[0] for shape in backend.shapes)
    assert slices <= 72  # 140 mm of brain at 2 mm, not the 84 slices of the image
    assert all(shape[1] == 6 and shape[2] % 32 == 0 and shape[3] % 32 == 0 for shape in backend.shapes)


def test_temperature_softens_the_probability() -> None:
    inputs = head((3.0, 3.0, 3.0), np.eye(3))
    soft = replace(CARD, temperature=10.0)
    probability = predict(inputs, soft, SYSTEMS["mri"], BrightBackend(), quiet).probability[1].array
    # Logits are +-10, their difference 20: at temperature 10 the sigmoid of 2.
    assert probability.max() == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-3)


def test_an_image_without_brain_is_refused() -> None:
    flat = Volume(np.zeros((8, 32, 32), np.float32), (2.0, 2.0, 2.0))
    with pytest.raises(InputError):
        run({"dwi": flat, "adc": flat})


def test_progress_counts_every_slice() -> None:
    seen: list[tuple[str, int, int]] = []
    predict(head((3.0, 3.0, 3.0), np.eye(3)), CARD, SYSTEMS["mri"], BrightBackend(), lambda *step: seen.append(step))
    network = [(done, total) for stage, done, total in seen if stage == "network"]
    assert network[0][0] == 0
    assert network[-1][0] == network[-1][1] > 30
