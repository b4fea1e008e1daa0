"""3D windows: known functions of the input come back exactly, whatever the windows; activation, blending, padding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from synthetic_ct import ct_head, dice
from test_predict import CARD, quiet

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.predict import predict
from StrokeSegLib.inference.running import Members, probabilities
from StrokeSegLib.inference.settings import inference_settings
from StrokeSegLib.inference.volumes import run_windows, window_weights
from StrokeSegLib.models import ModelCard
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.volume import Volume

SYSTEM = SYSTEMS["noncontrast-ct"]


class Threshold:
    """Logit +10 where the first channel is below a value, else -10; writes down the shapes it saw."""

    name, device = "threshold", "cpu"

    def __init__(self, below: float) -> None:
        self.below = below
        self.shapes: list[tuple[int, ...]] = []

    def run(self, batch: np.ndarray) -> np.ndarray:
        self.shapes.append(batch.shape)
        return np.where(batch[:, :1] < self.below, 10.0, -10.0).astype(np.float32)


class Identity:
    """The logit is the first channel."""

    name, device = "identity", "cpu"

    def run(self, batch: np.ndarray) -> np.ndarray:
        return batch[:, :1]


def card(**settings: object) -> ModelCard:
    return replace(CARD, system="noncontrast-ct", inference_settings=settings)


@pytest.mark.parametrize("blend", ["constant", "gaussian"])
@pytest.mark.parametrize("shape", [(20, 30, 25), (5, 40, 17), (1, 8, 8)])
def test_a_voxelwise_network_is_not_changed_by_windows(shape: tuple[int, ...], blend: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, *shape)).astype(np.float32)
    brain = np.ones(shape, bool)
    members = Members([Identity()], 1.0, "sigmoid")
    p = run_windows(x, brain, members, (8, 16, 16), 0.5, blend, 1, quiet)  # type: ignore[arg-type]
    assert np.allclose(p, 1 / (1 + np.exp(-x)), atol=1e-6)


def test_windows_without_brain_are_left_out_and_counted_so() -> None:
    brain = np.zeros((8, 16, 64), bool)
    brain[:, :, :8] = brain[:, :, -8:] = True
    seen: list[tuple[int, int]] = []
    network = Threshold(0.0)
    members = Members([network], 1.0, "sigmoid")
    x = np.zeros((1, *brain.shape), np.float32)
    run_windows(x, brain, members, (8, 16, 16), 0.0, "constant", 1, lambda _, done, total: seen.append((done, total)))
    assert len(network.shapes) == 2  # four windows cover the box, the middle two show no brain
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_members_are_averaged() -> None:
    brain = np.ones((2, 8, 8), bool)
    x = np.zeros((1, *brain.shape), np.float32)
    members = Members([Threshold(1.0), Threshold(-1.0)], 1.0, "sigmoid")
    assert np.allclose(run_windows(x, brain, members, (8, 8, 8), 0.0, "constant", 1, quiet), 0.5)


def test_gaussian_weights_peak_in_the_middle_and_never_vanish() -> None:
    w = window_weights((9, 9, 9), "gaussian")
    assert w[4, 4, 4] == w.max() == 1
    assert w.min() > 0
    assert np.allclose(w, w[::-1])
    assert np.allclose(w, w.transpose(2, 1, 0))
    assert (window_weights((3, 4, 5), "constant") == 1).all()


@pytest.mark.parametrize("logit", [-200.0, -1.0, 0.0, 3.0, 200.0])
def test_activations_by_hand(logit: float) -> None:
    z = np.full((1, 1, 2, 2), logit, np.float32)
    expected = 1 / (1 + np.exp(-np.float64(logit) / 2)) if logit > -200 else 0.0
    assert probabilities(z, 2.0, "sigmoid") == pytest.approx(expected, abs=1e-6)
    two = np.concatenate([np.zeros_like(z), z], axis=1)
    assert probabilities(two, 2.0, "softmax") == pytest.approx(expected, abs=1e-6)


GRIDS = {
    "thick": ((1.2, 1.2, 5.0), None),
    "thin": ((1.5, 1.5, 1.5), None),
    "oblique": ((1.5, 1.5, 3.0), Rotation.from_euler("xyz", [12, 5, -9], degrees=True).as_matrix()),
    "left-handed": ((1.5, 1.5, 3.0), np.diag([-1.0, 1.0, 1.0])),
    "sagittal": ((1.5, 1.5, 3.0), np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]])),
}


@pytest.mark.parametrize("name", GRIDS)
def test_the_lesion_comes_back_where_it_was_on_the_inputs_own_grid(name: str) -> None:
    ct, _, labels = ct_head(*GRIDS[name])
    # The brain is 34 HU but for 2% of 20 HU, whose z-score is far below -1.2.
    found = predict({"ct": ct}, card(window=[16, 64, 64]), SYSTEM, Threshold(-1.2), quiet)
    p = found.probability[1]
    assert p.same_grid(ct)
    assert dice(p.array > 0.5, labels == 1) > 0.93
    assert dice(found.brain.array, (ct.array == 34) | (labels == 1)) > 0.93


def test_on_the_images_own_pixels_the_lesion_comes_back_exactly() -> None:
    ct, _, labels = ct_head((2.0, 2.0, 4.0))
    own = replace(card(window=[16, 64, 64]), prepare_settings={"in_plane_mm": None, "min_slice_mm": 0})
    p = predict({"ct": ct}, own, SYSTEM, Threshold(-1.2), quiet).probability[1].array
    assert np.array_equal(p > 0.5, labels == 1)


def test_a_single_slice_works() -> None:
    ct, _, labels = ct_head((1.5, 1.5, 5.0), size_mm=(170.0, 170.0, 5.0))
    p = predict({"ct": ct}, card(window=[8, 64, 64]), SYSTEM, Threshold(-1.2), quiet).probability[1]
    assert p.array.shape[0] == 1
    assert dice(p.array > 0.5, labels == 1) > 0.9


def test_the_window_is_what_the_network_sees() -> None:
    ct, _, _ = ct_head((2.0, 2.0, 4.0))
    network = Threshold(-1.2)
    predict({"ct": ct}, card(window=[16, 48, 64]), SYSTEM, network, quiet)
    assert {shape[1:] for shape in network.shapes} == {(1, 16, 48, 64)}


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"windows": [8, 8, 8]}, "know no windows"),
        ({"window": [8, 8]}, "three sizes"),
        ({"window": [8, 8, 9]}, "multiples of 8"),
        ({"blend": "median"}, "unknown blend"),
        ({"projections": {"k": 0.3}}, "know no k; known: k_axial"),
    ],
)
def test_impossible_settings_of_a_card_are_refused(settings: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        inference_settings(SYSTEM, settings)


def test_a_network_for_other_inputs_is_refused() -> None:
    ct, _, _ = ct_head((2.0, 2.0, 8.0))
    with pytest.raises(InputError, match="takes 5 planes"):
        predict({"ct": ct}, replace(card(), settings={"in_channels": 5}), SYSTEM, Identity(), quiet)


def test_an_image_without_brain_is_refused() -> None:
    air = Volume(np.full((8, 32, 32), -1000, np.float32), (2.0, 2.0, 2.0))
    with pytest.raises(InputError, match="no brain"):
        predict({"ct": air}, card(), SYSTEM, Identity(), quiet)
