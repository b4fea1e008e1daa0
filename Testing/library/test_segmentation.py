"""The whole way with the bundled model: generated heads, both backends, the console's and the shell's results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from safetensors.numpy import load_file, save_file

from StrokeSegLib import segment
from StrokeSegLib.demo import CALM, demo_case
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.metrics import dice
from StrokeSegLib.models import find_model
from StrokeSegLib.segmentation import SegmentationResult
from StrokeSegLib.synth.diffusion import SyntheticCase, make_case
from StrokeSegLib.synth.procedural import procedural_head
from StrokeSegLib.volume import to_sitk


@pytest.fixture(scope="module")
def case() -> SyntheticCase:
    return demo_case()


@pytest.fixture(scope="module")
def result(case: SyntheticCase) -> SegmentationResult:
    return segment(case.images, "mri", device="cpu")


def test_the_lesion_of_a_generated_head_is_found(case: SyntheticCase, result: SegmentationResult) -> None:
    assert dice(result.labels.array > 0, case.truth.array > 0) > 0.6


def test_the_result_lies_on_exactly_the_grid_of_the_first_input(
    case: SyntheticCase, result: SegmentationResult
) -> None:
    first = case.images["dwi"]
    for volume in (result.labels, result.probability[1]):
        assert volume.array.shape == first.array.shape
        assert volume.spacing_mm == first.spacing_mm
        assert volume.origin == first.origin
        assert np.array_equal(volume.direction, first.direction)


def test_both_backends_give_the_same_mask(case: SyntheticCase, result: SegmentationResult) -> None:
    torch_result = segment(case.images, "mri", device="cpu", backend="torch")
    assert torch_result.measurements["backend"] == "torch"
    assert result.measurements["backend"] == "openvino"
    truth = case.truth.array > 0
    ours, theirs = result.labels.array > 0, torch_result.labels.array > 0
    assert abs(dice(ours, truth) - dice(theirs, truth)) <= 0.002
    a, b = result.measurements["total_volume_ml"], torch_result.measurements["total_volume_ml"]
    assert abs(a - b) <= max(0.005 * b, 0.05)


def test_two_runs_are_equal(case: SyntheticCase, result: SegmentationResult) -> None:
    again = segment(case.images, "mri", device="cpu")
    assert np.array_equal(again.labels.array, result.labels.array)


@pytest.mark.parametrize("seed", [101, 102, 103])
def test_a_healthy_procedural_head_gets_at_most_1_ml(seed: int) -> None:
    """On a calm scan; the card has the table of many (Testing/benchmarks/healthy_heads.py)."""
    rng = np.random.default_rng(seed)
    healthy = make_case(rng, procedural_head(rng), ranges=CALM, healthy=True, spacing_mm=(2.0, 2.0, 4.0))
    assert segment(healthy.images, "mri", device="cpu").measurements["total_volume_ml"] <= 1.0


def test_shuffled_weights_destroy_the_result(case: SyntheticCase, tmp_path: Path) -> None:
    """So it is the training that finds lesions, not the steps around it."""
    import hashlib

    folder = Path(shutil.copytree(find_model("mri").folder, tmp_path / "mri"))
    weights = load_file(folder / "weights.safetensors")
    rng = np.random.default_rng(0)
    shuffled = {n: rng.permutation(w.ravel()).reshape(w.shape) if w.ndim > 1 else w for n, w in weights.items()}
    _save_in_place(shuffled, folder / "weights.safetensors")
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    card["networks"][0]["sha256"] = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(card), encoding="utf-8")
    broken = segment(case.images, str(folder), device="cpu")
    assert dice(broken.labels.array > 0, case.truth.array > 0) < 0.1


def _save_in_place(weights: dict[str, np.ndarray], path: Path) -> None:
    """Rewrites a safetensors file of the same layout, so that the graph's offsets still fit."""
    before = path.stat().st_size
    save_file(weights, path)
    assert path.stat().st_size == before


def test_swapped_roles_order_gives_the_other_grid(case: SyntheticCase) -> None:
    cropped = to_sitk(case.images["adc"])[5:, :, :]
    swapped = segment({"adc": cropped, "dwi": case.images["dwi"]}, "mri", device="cpu")
    assert swapped.labels.size_ijk == cropped.GetSize()
    assert "another grid" in " ".join(swapped.measurements["warnings"])


def test_units_of_adc_do_not_matter(case: SyntheticCase, result: SegmentationResult) -> None:
    adc = case.images["adc"]
    in_mm2_per_s = adc.with_array((adc.array * 1e-3).astype(np.float32))
    other = segment({"dwi": case.images["dwi"], "adc": in_mm2_per_s}, "mri", device="cpu")
    assert other.measurements["adc_unit"] == "mm²/s"
    assert result.measurements["adc_unit"] == "10⁻³ mm²/s"
    assert dice(other.labels.array, result.labels.array) > 0.999
    for one in (other, result):
        assert one.measurements["lesion_value"]["unit"] == "10⁻⁶ mm²/s"
        inside = adc.array[one.labels.array > 0].mean() * 1000
        lesions = one.measurements["lesions"]
        total = sum(each["mean_value"] * each["volume_ml"] for each in lesions)
        assert total / one.measurements["total_volume_ml"] == pytest.approx(inside, rel=0.01)


def test_files_images_and_volumes_give_the_same(
    case: SyntheticCase, result: SegmentationResult, tmp_path: Path
) -> None:
    for role in ("dwi", "adc"):
        write_image(case.images[role], tmp_path / f"{role}.nii.gz")
    from_files = segment({r: tmp_path / f"{r}.nii.gz" for r in ("dwi", "adc")}, "mri", device="cpu")
    from_images = segment({r: to_sitk(case.images[r]) for r in ("dwi", "adc")}, "mri", device="cpu")
    assert np.array_equal(from_images.labels.array, result.labels.array)
    assert np.array_equal(from_files.labels.array, result.labels.array)


def test_a_lower_threshold_finds_more(case: SyntheticCase, result: SegmentationResult) -> None:
    more = segment(case.images, "mri", device="cpu", threshold=0.05)
    assert more.measurements["total_volume_ml"] > result.measurements["total_volume_ml"]
    assert more.measurements["thresholds"] == {"1": 0.05}


@pytest.mark.parametrize("threshold", [0.0, 1.0, -1.0, 7.0])
def test_an_impossible_threshold_is_refused(case: SyntheticCase, threshold: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        segment(case.images, "mri", threshold=threshold)


def test_the_written_folder_holds_what_the_contract_names(result: SegmentationResult, tmp_path: Path) -> None:
    result.write(tmp_path / "out")
    names = {file.name for file in (tmp_path / "out").iterdir()}
    pictures = {"probability.nii.gz", "uncertainty.nii.gz", "overlay.png"}
    assert names == {"lesion.nii.gz", "lesion.seg.nrrd", "measurements.json", *pictures}
    doubt = read_image(tmp_path / "out" / "uncertainty.nii.gz").volume
    assert doubt.same_grid(result.labels)
    assert 0 < doubt.array.max() <= 1
    labels = read_image(tmp_path / "out" / "lesion.nii.gz").volume
    assert labels.array.dtype == np.uint8
    assert np.array_equal(labels.array, result.labels.array)
    assert labels.same_grid(result.labels)
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "out" / "lesion.seg.nrrd")), labels.array)
    probability = read_image(tmp_path / "out" / "probability.nii.gz").volume.array
    assert np.abs(probability - result.probability[1].array).max() <= 0.00051
    written = json.loads((tmp_path / "out" / "measurements.json").read_text(encoding="utf-8"))
    voxels = np.count_nonzero(labels.array)
    assert written["total_volume_ml"] == pytest.approx(voxels * labels.voxel_volume_ml, abs=0.001)
    assert set(written["seconds"]) >= {"read", "load", "preprocess", "network", "restore", "measure", "write"}


def test_an_uncompressed_folder_holds_the_same_numbers(result: SegmentationResult, tmp_path: Path) -> None:
    result.write(tmp_path / "plain", compress=False)
    result.write(tmp_path / "zipped")
    for name in ("lesion", "probability", "uncertainty"):
        plain = read_image(tmp_path / "plain" / f"{name}.nii").volume
        zipped = read_image(tmp_path / "zipped" / f"{name}.nii.gz").volume
        assert plain.array.dtype == zipped.array.dtype
        assert np.array_equal(plain.array, zipped.array)
        assert plain.same_grid(result.labels)
    result.write(tmp_path / "plain", force=True)  # results are replaced, not added to
    assert list((tmp_path / "plain").glob("*.nii")) == []


def test_progress_ends_each_stage(case: SyntheticCase) -> None:
    last: dict[str, tuple[int, int]] = {}
    segment(case.images, "mri", "cpu", lambda stage, done, total: last.__setitem__(stage, (done, total)))
    assert list(last) == ["read", "load", "prepare", "network", "restore", "measure"]
    assert all(done == total for done, total in last.values())
