"""Three planes: which networks look at what, fusion on one grid, labels, classification."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation
from synthetic_ct import ct_head, dice
from test_predict import CARD, quiet

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.planes import members_by_plane
from StrokeSegLib.inference.predict import Prediction, predict
from StrokeSegLib.inference.slices import near_brain
from StrokeSegLib.models import ModelCard
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.volume import Volume

SYSTEM = SYSTEMS["three-projection"]


class DarkAndBright:
    """Ischemia at 10 to 27 HU, hemorrhage above 60 HU, with a probability of ``p``; writes down the shapes it saw."""

    name, device = "dark and bright", "cpu"

    def __init__(self, p: float = 0.99) -> None:
        self.logit = float(np.log(p / (1 - p)))
        self.shapes: list[tuple[int, ...]] = []

    def run(self, batch: np.ndarray) -> np.ndarray:
        self.shapes.append(batch.shape)
        hu = batch[:, 0] * 80
        dark, bright = (hu > 10) & (hu < 27), (hu > 60) & (hu < 79)
        return np.stack([np.where(mask, self.logit, -12.0) for mask in (dark, bright)], axis=1).astype(np.float32)


class Nothing:
    """Finds nothing."""

    name, device = "nothing", "cpu"

    def run(self, batch: np.ndarray) -> np.ndarray:
        return np.full((len(batch), 2, *batch.shape[2:]), -12.0, np.float32)


def card(**inference: object) -> ModelCard:
    return replace(CARD, system="three-projection", settings={"in_channels": 3}, inference_settings=inference)


def run(ct: Volume, backends: object, **kwargs: object) -> Prediction:
    return predict({"ct": ct}, card(), SYSTEM, backends, quiet, **kwargs)  # type: ignore[arg-type]


def all_planes() -> dict[str, DarkAndBright]:
    return {plane: DarkAndBright() for plane in ("axial", "coronal", "sagittal")}


@pytest.mark.parametrize(
    ("spacing_mm", "direction"),
    [
        ((2.0, 2.0, 2.0), np.eye(3)),
        ((2.0, 2.0, 2.0), Rotation.from_euler("xyz", [12, 5, -9], degrees=True).as_matrix()),
        ((2.4, 2.0, 1.8), np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]])),
    ],
)
def test_both_lesions_come_back_on_the_inputs_own_grid(
    spacing_mm: tuple[float, float, float], direction: np.ndarray
) -> None:
    ct, _, truth = ct_head(spacing_mm, direction, blood_hu=70.0)
    found = run(ct, all_planes())
    assert found.labels is not None
    assert found.labels.same_grid(ct)
    assert found.labels.array.dtype == np.uint8
    for value in (1, 2):
        assert dice(found.labels.array == value, truth == value) > 0.9
        assert dice(found.probability[value].array > 0.5, truth == value) > 0.88
    assert found.classification is not None
    assert found.classification.found == (2, 1)


def test_each_plane_sees_its_own_slices_three_times() -> None:
    ct, _, _ = ct_head((1.0, 1.0, 2.0), size_mm=(150.0, 150.0, 60.0))
    networks = all_planes()
    run(ct, networks)
    slices = {plane: sum(shape[0] for shape in network.shapes) for plane, network in networks.items()}
    # 30 slices of 2 mm along k; the brain's 120 mm along j and i on the isotropic grid of 1 mm.
    assert slices["axial"] == 30
    assert slices["coronal"] == pytest.approx(120, abs=6)
    assert slices["sagittal"] == pytest.approx(120, abs=6)
    assert all(shape[1] == 3 and shape[2] % 32 == shape[3] % 32 == 0 for n in networks.values() for shape in n.shapes)


def test_one_plane_alone_is_enough_for_a_lesion() -> None:
    ct, _, truth = ct_head((1.5, 1.5, 1.5))
    networks = {"axial": Nothing(), "coronal": Nothing(), "sagittal": DarkAndBright()}
    labels = run(ct, networks).labels
    assert labels is not None
    assert dice(labels.array == 1, truth == 1) > 0.9


def test_thick_slices_are_read_in_the_axial_plane_only_and_it_is_said() -> None:
    ct, _, truth = ct_head((1.0, 1.0, 5.0), blood_hu=70.0)
    networks = all_planes()
    found = run(ct, networks)
    assert networks["coronal"].shapes == networks["sagittal"].shapes == []
    assert "axial plane only" in " ".join(found.warnings)
    assert found.labels is not None
    assert dice(found.labels.array == 2, truth == 2) > 0.9
    # Vpred of one plane stands for all three: 0.99 * (1 / 0.47 + 2 / 0.56), by hand.
    assert found.classification is not None
    assert found.classification.m[2] == pytest.approx(0.99 * (1 / 0.47 + 2 / 0.56), rel=0.02)


def test_no_lesion_is_no_pathology() -> None:
    ct, _, _ = ct_head((1.5, 1.5, 5.0))
    found = run(ct, {"axial": Nothing()})
    assert found.labels is not None
    assert found.labels.array.max() == 0
    assert found.classification is not None
    assert found.classification.label == 0


def test_the_threshold_stands_for_each_planes_k() -> None:
    ct, _, truth = ct_head((1.0, 1.0, 5.0))
    weak = {"axial": DarkAndBright(0.3)}
    by_k, by_threshold = run(ct, weak).labels, run(ct, weak, threshold=0.25).labels
    assert by_k is not None
    assert by_threshold is not None
    assert not by_k.array.any()
    assert dice(by_threshold.array == 1, truth == 1) > 0.9


def test_members_of_a_plane_are_averaged() -> None:
    ct, _, _ = ct_head((1.0, 1.0, 5.0))
    # 0.6 and 0 give 0.3, below k = 0.47; 0.6 alone is above.
    assert run(ct, {"axial-1": DarkAndBright(0.6)}).labels.array.any()  # type: ignore[union-attr]
    both = {"axial-1": DarkAndBright(0.6), "axial-2": Nothing()}
    assert not run(ct, both).labels.array.any()  # type: ignore[union-attr]


def test_names_tell_the_planes() -> None:
    assert members_by_plane(["axial-1", "axial-2", "coronal"]) == {
        "axial": ["axial-1", "axial-2"],
        "coronal": ["coronal"],
    }
    assert members_by_plane(["network"]) == {plane: ["network"] for plane in ("axial", "coronal", "sagittal")}


def test_a_model_without_an_axial_network_is_refused() -> None:
    ct, _, _ = ct_head((1.5, 1.5, 5.0))
    with pytest.raises(InputError, match="no axial network"):
        run(ct, {"coronal": Nothing()})


def test_constants_of_a_card_replace_the_published_ones() -> None:
    ct, _, _ = ct_head((1.0, 1.0, 5.0))
    strict = card(projections={"k_axial": 0.9, "closing_radius_mm": 0.0})
    found = predict({"ct": ct}, strict, SYSTEM, {"axial": DarkAndBright(0.8)}, quiet)
    assert found.labels is not None
    assert not found.labels.array.any()


def test_a_class_that_the_classifier_denies_is_not_marked_and_that_is_said() -> None:
    ct, _, _ = ct_head((1.0, 1.0, 5.0), blood_hu=70.0)
    limits = {"hemorrhagic_m": 9.0, "closing_radius_mm": 0.0}
    marked = predict({"ct": ct}, card(projections=limits), SYSTEM, {"axial": DarkAndBright(0.8)}, quiet)
    assert marked.labels is not None
    assert set(np.unique(marked.labels.array)) == {0, 1, 2}
    strict = card(projections={**limits, "remove_denied": 1.0})
    found = predict({"ct": ct}, strict, SYSTEM, {"axial": DarkAndBright(0.8)}, quiet)
    assert found.labels is not None
    np.testing.assert_array_equal(found.labels.array, np.where(marked.labels.array == 2, 0, marked.labels.array))
    assert sum("look a little like hemorrhage" in text for text in found.warnings) == 1
    assert found.probability[2].array.max() > 0.5  # the probability stays, to be looked at


def test_whole_slices_are_seen_where_the_card_says_so() -> None:
    ct, _, _ = ct_head((2.0, 2.0, 8.0))
    whole = replace(
        card(crop_to_brain=False), prepare_settings={"slice_pixels": 128, "in_plane_mm": None, "min_slice_mm": 0}
    )
    network = DarkAndBright()
    predict({"ct": ct}, whole, SYSTEM, {"axial": network}, quiet)
    assert {shape[1:] for shape in network.shapes} == {(3, 128, 128)}


def test_what_lies_near_the_brain_is_found_in_the_box_around_it() -> None:
    rng = np.random.default_rng(5)
    for part in (0.0, 0.02, 0.4):
        brain = rng.random((6, 20, 25)) < part
        brain[:2] = brain[:, 12:] = False
        cross = ndimage.generate_binary_structure(2, 1)[None]
        np.testing.assert_array_equal(near_brain(brain), ndimage.binary_dilation(brain, cross, iterations=2))
