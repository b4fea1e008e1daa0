"""Calibration on cases built so that hand arithmetic says what is to be chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from head_phantoms import mri_cases
from test_predict import CARD

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.models import ModelInput, ModelLabel
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.calibrate import (
    KnownCase,
    as_card_keys,
    as_sentences,
    best_thresholds,
    calibrate,
    known_cases,
)
from StrokeSegLib.volume import Volume

SHAPE_KJI, SPACING_MM = (24, 32, 32), (3.0, 3.0, 3.0)
#: Cubes of 8 voxels: label -> first voxel, HU, the probability that a network states, and how many voxels are lesion.
CUBES = {1: ((8, 12, 8), 10.0, 0.38, 195), 2: ((8, 12, 18), 60.0, 0.68, 348)}
BRAIN_HU, WINDOW_HU = 35.0, 80.0


class Stated:
    """A network that states a cube's probability by its HU, and one in a million elsewhere."""

    name, device = "stated", "cpu"

    def run(self, batch: np.ndarray) -> np.ndarray:
        hu = batch[:, :1] * WINDOW_HU
        p = np.concatenate([np.where(abs(hu - cube[1]) < 3, cube[2], 1e-6) for cube in CUBES.values()], axis=1)
        return np.log(p / (1 - p)).astype(np.float32)


def cubes() -> tuple[Volume, Volume, dict[int, np.ndarray]]:
    """A head with a cube a label, of which a random part is lesion: the CT, the truth, and the cubes' masks."""
    k, j, i = np.indices(SHAPE_KJI) - (np.array(SHAPE_KJI).reshape(3, 1, 1, 1) - 1) / 2
    radius = np.sqrt((k / 11) ** 2 + (j / 15) ** 2 + (i / 15) ** 2)
    hu = np.where(radius < 1, 1000.0, -1000.0).astype(np.float32)
    hu[radius < 0.88] = BRAIN_HU
    truth = np.zeros(SHAPE_KJI, np.uint8)
    masks = {}
    for label, (first, value, _, lesion_voxels) in CUBES.items():
        mask = np.zeros(SHAPE_KJI, bool)
        mask[tuple(slice(n, n + 8) for n in first)] = True
        assert radius[mask].max() < 0.8
        hu[mask] = value
        chosen = np.random.default_rng(label).permutation(np.flatnonzero(mask))[:lesion_voxels]
        truth.ravel()[chosen] = label
        masks[label] = mask
    return Volume(hu, SPACING_MM), Volume(truth, SPACING_MM), masks


def dice_of_cube(label: int) -> float:
    """Of a whole cube of 512 voxels with the part of it that is lesion."""
    lesion = CUBES[label][3]
    return 2 * lesion / (512 + lesion)


def test_three_planes_have_one_k_for_infarcts_and_one_for_blood() -> None:
    card = replace(
        CARD,
        system="three-projection",
        inputs=(ModelInput("ct", True),),
        labels=(ModelLabel(1, "ischemic lesion"), ModelLabel(2, "hemorrhage")),
        prepare_settings={"in_plane_mm": None, "min_slice_mm": 0.0, "plane_spacing_mm": 3.0},
    )
    ct, truth, _ = cubes()
    told: list[tuple[str, int, int]] = []
    found = calibrate(card, {"network": Stated()}, [KnownCase({"ct": ct}, truth)], lambda *of: told.append(of))
    # Stated as often as true, so no temperature helps, and the error is next to nothing.
    assert found.temperature == pytest.approx(1, abs=0.01)
    assert found.error_before < 1e-3
    assert found.error_after < 1e-3
    # Up to 0.3 the first cube is marked, up to 0.6 the second; of equals the higher counts.
    assert found.thresholds == {1: 0.3, 2: 0.6}
    assert found.dice_post == pytest.approx((dice_of_cube(1) + dice_of_cube(2)) / 2, abs=1e-6)
    assert found.dice_raw == pytest.approx(dice_of_cube(2) / 2, abs=1e-6)  # at 0.5 the first is missed
    assert found.min_lesion_ml == 0.3  # the cubes have 13.8 mL
    k = as_card_keys(found, {"system": "three-projection"})["inference_settings"]["projections"]
    of_planes = {"k_axial": 0.3, "k_coronal": 0.3, "k_sagittal": 0.3, "hemorrhagic_k": 0.6}
    assert {name: k[name] for name in of_planes} == of_planes
    assert set(k) - set(of_planes) == {"vpred_above", "min_volume_ml", "remove_denied", "ischemic_m", "hemorrhagic_m"}
    assert told == [("calibrate", 0, 1), ("calibrate", 1, 1)] * 2  # once more for the classifier
    assert as_sentences(found)[0].startswith("On 1 cases that also chose the values above: mean Dice 0.405")


def test_each_label_of_other_systems_has_a_threshold_of_its_own() -> None:
    _, truth, masks = cubes()
    maps = {label: truth.with_array(np.where(mask, CUBES[label][2], 0.0)) for label, mask in masks.items()}
    speck = np.zeros(SHAPE_KJI)
    speck[2, 2:5, 2:6] = 0.9  # twelve voxels of 0.027 mL, which no smallest lesion takes away
    two_labels = replace(SYSTEMS["three-projection"], way="windows")
    thresholds, smallest_ml, best = best_thresholds([maps], [truth], two_labels)
    assert thresholds == {1: 0.3, 2: 0.6}
    assert (smallest_ml, best) == (0.3, pytest.approx((dice_of_cube(1) + dice_of_cube(2)) / 2))
    maps[1] = truth.with_array(maps[1].array + speck)
    _, _, worse = best_thresholds([maps], [truth], two_labels)
    assert worse == pytest.approx((2 * 195 / (524 + 195) + dice_of_cube(2)) / 2)
    fine = [{label: Volume(m.array, (1.0, 1.0, 1.0)) for label, m in maps.items()}]  # now they have 0.012 mL
    thresholds, smallest_ml, best = best_thresholds(fine, [Volume(truth.array, (1.0, 1.0, 1.0))], two_labels)
    assert (thresholds, smallest_ml) == ({1: 0.3, 2: 0.6}, 0.3)
    assert best == pytest.approx((dice_of_cube(1) + dice_of_cube(2)) / 2)


def test_a_tables_images_come_to_the_grid_of_the_first(tmp_path: Path) -> None:
    (case,) = mri_cases(tmp_path, [1])
    adc = read_image(case.images["adc"]).volume
    write_image(Volume(adc.array[:, ::2, ::2], (12.0, 12.0, 6.0)), case.images["adc"])
    healthy = replace(case, case_id="nobody drew", lesion=None)
    (known,) = known_cases([healthy, case], ("dwi", "adc"))
    assert list(known.images) == ["dwi", "adc"]
    assert known.images["adc"].same_grid(known.images["dwi"])
    assert known.truth.array.any()
    with pytest.raises(InputError, match="case case-0 has none of ct, which the model takes"):
        next(known_cases([case], ("ct",)))
    with pytest.raises(InputError, match="the truth of case case-0 is not on the grid of its first image"):
        next(known_cases([case], ("adc", "dwi")))
    with pytest.raises(InputError, match="none of the 1 cases has a truth"):
        next(known_cases([healthy], ("dwi",)))
