"""The bundled mri model on real scans (marker ``data``): the floors that were set before they were measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from StrokeSegLib.demo import CALM
from StrokeSegLib.io import read_image
from StrokeSegLib.metrics import dice
from StrokeSegLib.segmentation import SegmentationResult, segment
from StrokeSegLib.synth.anatomy import head_from_labels
from StrokeSegLib.synth.diffusion import make_case

pytestmark = pytest.mark.data
ROOT = Path(__file__).resolve().parents[2]


def segmented(folder: Path, suffix: str, backend: str = "openvino") -> SegmentationResult:
    inputs = {role: folder / f"{role}.{suffix}" for role in ("dwi", "adc")}
    return segment(inputs, "mri", device="cpu", backend=backend)


@pytest.mark.parametrize(
    ("name", "floor", "unit"),
    [("dwi-adc-isles22-0003", 0.85, "mm²/s"), ("dwi-adc-isles22-0001", 0.40, "10⁻³ mm²/s")],
)
def test_dice_with_the_experts(data: Path, name: str, floor: float, unit: str) -> None:
    folder = data / "cases" / name
    result = segmented(folder, "nii.gz")
    truth = read_image(folder / "lesion.nii.gz").volume
    assert result.labels.same_grid(truth)
    assert dice(result.labels.array > 0, truth.array > 0) >= floor
    assert result.measurements["adc_unit"] == unit


@pytest.mark.parametrize("name", ["dwi-adc-isles22-0003", "dwi-adc-isles22-0001"])
def test_both_backends_agree_on_real_scans(data: Path, name: str) -> None:
    folder = data / "cases" / name
    truth = read_image(folder / "lesion.nii.gz").volume.array > 0
    a, b = (segmented(folder, "nii.gz", backend) for backend in ("openvino", "torch"))
    assert abs(dice(a.labels.array > 0, truth) - dice(b.labels.array > 0, truth)) <= 0.002
    ml = [r.measurements["total_volume_ml"] for r in (a, b)]
    assert abs(ml[0] - ml[1]) <= max(0.005 * ml[1], 0.05)


@pytest.mark.parametrize("number", [1, 7, 13])
def test_a_healthy_head_of_real_anatomy_gets_at_most_1_ml(data: Path, number: int) -> None:
    """A calm scan, as the demo's; what harder ones give stands in the card."""
    head = head_from_labels(data / "anatomy" / f"seg_{number:02d}.nii.gz")
    healthy = make_case(np.random.default_rng(number), head, ranges=CALM, healthy=True)
    assert segment(healthy.images, "mri", device="cpu").measurements["total_volume_ml"] <= 1.0


def test_the_infarct_of_the_mha_case_is_on_the_right(data: Path) -> None:
    result = segmented(data / "cases" / "dwi-adc-flair-mha", "mha")
    largest = result.measurements["lesions"][0]
    assert largest["side"] == "right"
    assert largest["volume_ml"] > 20
    right = sum(x["volume_ml"] for x in result.measurements["lesions"] if x["side"] == "right")
    assert right > 0.9 * result.measurements["total_volume_ml"]


def test_a_further_sequence_on_another_grid_is_resampled(data: Path) -> None:
    """FLAIR's grid (0.86 mm, 6 mm slices) as the first input's: the ADC stands in for it, moved onto that grid."""
    from StrokeSegLib.preprocess.geometry import grid_of, resample
    from StrokeSegLib.volume import Volume

    folder = data / "cases" / "dwi-adc-flair-mha"
    flair = read_image(folder / "flair.mha").volume
    adc = resample(read_image(folder / "adc.mha").volume, grid_of(flair))
    plain = segmented(folder, "mha")
    mixed = segment({"dwi": folder / "dwi.mha", "adc": adc}, "mri", device="cpu")
    assert isinstance(mixed.labels, Volume)
    assert "another grid" in " ".join(mixed.measurements["warnings"])
    # The detour over 6 mm slices costs detail, not the lesion.
    assert dice(plain.labels.array > 0, mixed.labels.array > 0) > 0.7


@pytest.mark.slow
def test_a_large_thin_slice_scan_stays_under_6_gb(tmp_path: Path) -> None:
    """512 x 512 x 500 voxels of 0.45 x 0.45 x 0.5 mm, as a process of its own whose peak memory is read."""
    script = ROOT / "Testing" / "benchmarks" / "large_scan.py"
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peak_gb, lesion_ml, truth_ml = map(float, done.stdout.split())
    assert peak_gb < 6.0
    assert lesion_ml == pytest.approx(truth_ml, rel=0.5)
    assert np.isfinite(peak_gb)
