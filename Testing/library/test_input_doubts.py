"""Inputs that are not what their roles say: one image twice, DWI and ADC swapped, no head at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from StrokeSegLib.demo import demo_case
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.preprocess.doubts import refuse_same_image_twice, swapped_doubts
from StrokeSegLib.segmentation import segment
from StrokeSegLib.systems.mri import MRI
from StrokeSegLib.volume import Volume


@pytest.fixture(scope="module")
def pair() -> dict[str, Volume]:
    return demo_case().images


@pytest.mark.parametrize("factor", [1, 1000, 0.001])
def test_one_image_in_two_roles_is_refused_whatever_its_scale(pair: dict[str, Volume], factor: float) -> None:
    again = pair["adc"].with_array(np.rint(pair["adc"].array * 1000).astype(np.int16) * np.float32(factor))
    with pytest.raises(InputError, match="dwi and adc are the same image; needed one image for each"):
        segment({"dwi": pair["adc"], "adc": again}, "mri", device="cpu")
    refuse_same_image_twice(pair["dwi"].array, pair["adc"].array)


def test_an_empty_map_is_no_copy_of_another() -> None:
    refuse_same_image_twice(np.zeros((2, 3, 4)), np.zeros((2, 3, 4)))


@pytest.mark.parametrize("factor", [0.001, 1.0, 5.0, 1000.0])
def test_a_swapped_pair_is_told_whatever_its_units(pair: dict[str, Volume], factor: float) -> None:
    dwi, adc = pair["dwi"], pair["adc"]
    assert swapped_doubts(dwi.array * np.float32(factor), adc.array) == ()
    assert "look swapped" in swapped_doubts(adc.array, dwi.array * np.float32(factor))[0]


def test_the_system_tells_that_a_pair_is_swapped(pair: dict[str, Volume]) -> None:
    dwi, adc = pair["dwi"], pair["adc"]
    bright = dwi.with_array(dwi.array * np.float32(900 / np.median(dwi.array[dwi.array > dwi.array.mean()])))
    assert MRI.prepare({"dwi": bright, "adc": adc}).warnings == ()
    warnings = MRI.prepare({"dwi": adc, "adc": bright}).warnings
    assert any("look swapped" in warning for warning in warnings)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "suffix"),
    [("dwi-adc-isles22-0001", "nii.gz"), ("dwi-adc-isles22-0003", "nii.gz"), ("dwi-adc-flair-mha", "mha")],
)
def test_real_pairs_are_told_from_swapped_ones(data: Path, name: str, suffix: str) -> None:
    dwi, adc = (read_image(data / "cases" / name / f"{role}.{suffix}").volume.array for role in ("dwi", "adc"))
    assert swapped_doubts(dwi, adc) == ()
    assert "look swapped" in swapped_doubts(adc, dwi)[0]


def test_noise_alone_is_no_head_without_a_word() -> None:
    rng = np.random.default_rng(0)
    shape = (30, 128, 128)
    noise = {"dwi": rng.rayleigh(10, shape), "adc": np.abs(rng.logistic(0, 0.5, shape))}
    volumes = {role: Volume(array.astype(np.float32), (1.8, 1.8, 5.0)) for role, array in noise.items()}
    assert any("more than any brain has" in warning for warning in MRI.prepare(volumes).warnings)


def test_a_scrap_of_brain_in_a_whole_scan_is_told() -> None:
    adc, dwi = np.zeros((40, 64, 64), np.float32), np.zeros((40, 64, 64), np.float32)
    adc[:10, 20:40, 20:40], dwi[:10, 20:40, 20:40] = 0.8, 300  # 80 mL
    dwi[:10, 28:32, 28:32], adc[:10, 28:32, 28:32] = 60, 3.0
    volumes = {"dwi": Volume(dwi, (2.0, 2.0, 5.0)), "adc": Volume(adc, (2.0, 2.0, 5.0))}
    assert any("mL of brain were found in 200 mm" in warning for warning in MRI.prepare(volumes).warnings)
