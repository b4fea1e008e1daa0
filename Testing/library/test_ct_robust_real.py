"""The tilted head CT as other sites would send it (marker ``data``): its brain stays what it is in the whole scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from synthetic_ct import dice

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.preprocess.ct_brain import brain_doubts, ct_brain_mask
from StrokeSegLib.preprocess.ct_level import leveled, median_tissue_hu
from StrokeSegLib.preprocess.geometry import resample, to_axial, working_grid
from StrokeSegLib.preprocess.intensity import check_modality
from StrokeSegLib.volume import Volume

pytestmark = pytest.mark.data
#: Voxels of 2 mm; 149 rows of 125.
CUTS = {
    "left half": np.s_[:, :, 62:],
    "140 mm": np.s_[:, 39:109, 27:97],
    "100 mm without base and vertex": np.s_[8:30, 49:99, 37:87],
    "upper half": np.s_[18:],
    "one slice": np.s_[18:19],
}
VALUES = {
    "padded": lambda hu: np.where(hu < -900, -3024, hu),
    "brain window": lambda hu: hu.clip(0, 80),
    "wider window": lambda hu: hu.clip(-10, 100),
    "no negative values": lambda hu: hu.clip(0),
    "30 HU too high": lambda hu: hu + 30,
    "30 HU too low": lambda hu: hu - 30,
}


@pytest.fixture(scope="module")
def head(data: Path) -> tuple[Volume, np.ndarray]:
    axial = to_axial(read_image(data / "cases" / "ct-dicom-tilted").volume)
    ct = resample(axial, working_grid(axial, 2.0, 3.0), outside=-1000.0)
    return ct, ct_brain_mask(ct.array, ct.spacing_mm)


@pytest.mark.parametrize("name", CUTS)
def test_a_part_shows_its_part_of_the_brain(name: str, head: tuple[Volume, np.ndarray]) -> None:
    ct, brain = head
    check_modality(ct.array[CUTS[name]], None, "ct")
    assert dice(ct_brain_mask(ct.array[CUTS[name]], ct.spacing_mm), brain[CUTS[name]]) > 0.97


@pytest.mark.parametrize("name", VALUES)
def test_other_values_show_the_same_brain_at_the_same_level(name: str, head: tuple[Volume, np.ndarray]) -> None:
    ct, brain = head
    hu = VALUES[name](ct.array).astype(np.float32)
    check_modality(hu, None, "ct")
    mask = ct_brain_mask(hu, ct.spacing_mm)
    assert dice(mask, brain) > 0.94
    assert median_tissue_hu(leveled(hu, mask, ct.spacing_mm, 31.0)[brain]) == pytest.approx(31, abs=1.0)


@pytest.mark.parametrize("around", [0.0, -1024.0])
def test_a_sloppy_stripping_keeps_the_brain(around: float, head: tuple[Volume, np.ndarray]) -> None:
    ct, brain = head
    away = ndimage.distance_transform_edt(~brain, ct.spacing_mm[::-1])
    rests = 2.5 + 2.5 * np.sin(np.arange(brain.shape[2]) / 5)[None, None, :]
    hu = np.where(away <= rests, ct.array, around).astype(np.float32)
    check_modality(hu, None, "ct")
    assert dice(ct_brain_mask(hu, ct.spacing_mm), brain) > 0.93


@pytest.mark.parametrize("full", [2000, 4000])
def test_an_8_bit_export_of_all_values_does_not_pass_in_silence(full: int, head: tuple[Volume, np.ndarray]) -> None:
    """With 4000 HU in 255 steps brain lies at 54, where a stripped brain's values may be, too."""
    ct, _ = head
    hu = ((ct.array.clip(-1024, full) + 1024) * (255 / (full + 1024))).astype(np.uint8)
    if full == 2000:
        with pytest.raises(InputError, match="8 bits"):
            check_modality(hu, None, "ct")
    assert brain_doubts(hu, ct_brain_mask(hu, ct.spacing_mm), ct.spacing_mm)


def test_the_scan_itself_is_not_doubted(head: tuple[Volume, np.ndarray]) -> None:
    ct, brain = head
    assert brain_doubts(ct.array, brain, ct.spacing_mm) == ()
