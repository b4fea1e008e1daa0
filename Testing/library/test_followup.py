"""Follow-up: a head moved by a known transform, lesions of known size, and the limits of hematoma expansion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from StrokeSegLib.cli import main
from StrokeSegLib.errors import InputError
from StrokeSegLib.followup.expansion import hematoma_expansion
from StrokeSegLib.followup.matching import match_lesions
from StrokeSegLib.io import write_image
from StrokeSegLib.preprocess.register import RigidRegistration, register_rigid
from StrokeSegLib.volume import Volume

IN_PLACE = RigidRegistration(np.eye(3), np.zeros(3), 0.0, 1.0, 1.0)
#: Of the moved head: degrees about x, y, z, and mm.
TURNS_DEG, SHIFT_MM = (4.0, -6.0, 9.0), (8.0, -5.0, 6.0)
GRID = Volume(np.zeros((34, 96, 80)), (2.4, 2.4, 5.0), (-95.0, -114.0, -80.0))
OTHER_GRID = Volume(np.zeros((38, 84, 100)), (2.5, 2.5, 4.5), (-120.0, -100.0, -85.0))


def moved() -> sitk.Euler3DTransform:
    """From places on the later scan to places on the earlier one."""
    return sitk.Euler3DTransform((0.0, 0.0, 0.0), *np.radians(TURNS_DEG).tolist(), SHIFT_MM)


def places(grid: Volume, transform: sitk.Euler3DTransform | None) -> np.ndarray:
    """The head's own coordinates of all voxels, mm."""
    points = grid.ijk_to_lps(np.moveaxis(np.indices(grid.array.shape)[::-1], 0, -1))
    if transform is None:
        return points
    rotation = np.array(transform.GetMatrix()).reshape(3, 3)
    return points @ rotation.T + np.array(transform.GetTranslation())


def inside(p: np.ndarray, center: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    return (((p - np.array(center)) / np.array(radii)) ** 2).sum(axis=-1) < 1


def head(grid: Volume, transform: sitk.Euler3DTransform | None = None) -> Volume:
    """CT of a head that has no symmetry but the usual one, evaluated at each voxel: moving it blurs nothing."""
    p = places(grid, transform)
    hu = np.full(grid.array.shape, -1000.0)
    for center, radii, value in (
        ((0, 0, 0), (72, 92, 64), 40), ((0, 0, 0), (67, 87, 59), 1000), ((0, -92, -30), (9, 14, 14), 40),
        ((0, 0, 0), (62, 82, 54), 33), ((8, -10, 8), (7, 26, 9), 6), ((-8, -10, 8), (7, 26, 9), 6),
        ((30, -75, -35), (13, 13, 13), 12), ((-30, -75, -35), (13, 13, 13), 12), ((0, 55, -35), (20, 14, 9), 45),
        ((0, -78, -25), (14, 9, 12), -900), ((38, 10, -38), (18, 9, 9), 900), ((-38, 10, -38), (18, 9, 9), 900),
        ((0, 30, 45), (4, 40, 6), 80),
    ):  # fmt: skip
        hu[inside(p, center, radii)] = value
    rng = np.random.default_rng(0 if transform is None else 1)
    return grid.with_array((hu + rng.normal(0, 4, hu.shape)).astype(np.float32))


def balls(grid: Volume, parts: list[tuple[tuple[float, float, float], float, int]], transform: Any = None) -> Volume:
    """Label map of balls: center (mm, of the head), radius (mm), label."""
    p = places(grid, transform)
    labels = np.zeros(grid.array.shape, np.uint8)
    for center, radius, value in parts:
        labels[inside(p, center, (radius,) * 3)] = value
    return grid.with_array(labels)


def result(folder: Path, image: Volume, labels: Volume, role: str = "ct") -> Path:
    """A result folder as `strokeseg segment` writes it, as far as follow-up reads it."""
    folder.mkdir()
    write_image(image, folder.parent / f"{folder.name}.nii.gz")
    write_image(labels, folder / "lesion.nii.gz")
    said = {"model": "m", "version": "1", "inputs": {role: {"path": str(folder.parent / f"{folder.name}.nii.gz")}}}
    (folder / "measurements.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def volume_ml(labels: Volume, value: int) -> float:
    return float(np.count_nonzero(labels.array == value) * np.prod(labels.spacing_mm) / 1000)


def test_a_known_motion_is_found() -> None:
    found = register_rigid(head(OTHER_GRID, moved()), head(GRID))
    points = np.array([[x, y, z] for x in (-60.0, 60.0) for y in (-80.0, 80.0) for z in (-50.0, 60.0)])
    truth = np.array([moved().TransformPoint(p.tolist()) for p in points])
    assert np.linalg.norm(found.to_moving(points) - truth, axis=1).max() < 1.0
    assert found.to_fixed(found.to_moving(points)) == pytest.approx(points)
    rotation = np.array(moved().GetMatrix()).reshape(3, 3)
    off_deg = np.degrees(np.arccos((np.trace(rotation.T @ found.rotation) - 1) / 2))
    assert off_deg < 1.0
    assert found.quality == "good"
    assert found.inverse_error_mm < 1.0


def small_object(radii: tuple[float, float, float]) -> Volume:
    """Large enough to pass for a head, and quick to register."""
    grid = Volume(np.zeros((40, 48, 40)), (4.0, 4.0, 4.0), (-78.0, -94.0, -78.0))
    p = places(grid, None)
    hu = np.where(inside(p, (0, 0, 0), radii), 40.0, -1000.0)
    hu[inside(p, (8, 10, 5), (8, 12, 9))] = 400
    return grid.with_array(hu.astype(np.float32))


def test_the_same_scan_registers_the_same_way_each_time() -> None:
    one, other = (register_rigid(small_object((36, 40, 30)), small_object((36, 40, 30))) for _ in range(2))
    assert other.rotation == pytest.approx(one.rotation, abs=1e-6)
    assert other.offset_mm == pytest.approx(one.offset_mm, abs=1e-5)


def test_no_head_is_refused() -> None:
    with pytest.raises(InputError, match="shows no head"):
        register_rigid(Volume(np.full((8, 40, 40), -1000.0), (4.0, 4.0, 5.0)), head(GRID))


@pytest.mark.parametrize(
    ("inverse_mm", "overlap", "coverage", "quality"),
    [(0.2, 0.98, 1.0, "good"), (3.0, 0.98, 1.0, "doubtful"), (0.2, 0.85, 1.0, "doubtful"),
     (6.0, 0.98, 1.0, "failed"), (0.2, 0.75, 1.0, "failed"), (0.2, 0.98, 0.3, "failed")],
)  # fmt: skip
def test_quality_needs_both_ways_and_both_heads(
    inverse_mm: float, overlap: float, coverage: float, quality: str
) -> None:
    assert RigidRegistration(np.eye(3), np.zeros(3), inverse_mm, overlap, coverage).quality == quality


@pytest.mark.parametrize(
    ("before_ml", "after_ml", "by_volume", "by_part", "expanded"),
    [
        (30.0, 35.9, False, False, False),  # 5.9 mL, 20%
        (30.0, 36.1, True, False, True),  # 6.1 mL
        (30.0, 36.0, True, False, True),  # exactly 6 mL
        (10.0, 13.2, False, False, False),  # 32%
        (10.0, 13.4, False, True, True),  # 34%
        (10.0, 13.3, False, True, True),  # exactly 33%
        (10.0, 17.0, True, True, True),
        (10.0, 4.0, False, False, False),
        (0.0, 20.0, False, False, None),  # new, not expanded
    ],
)
def test_hematoma_expansion(
    before_ml: float, after_ml: float, by_volume: bool, by_part: bool, expanded: bool | None
) -> None:
    found = hematoma_expansion(before_ml, after_ml)
    assert (found.by_volume, found.by_part, found.expanded) == (by_volume, by_part, expanded)
    assert found.change_ml == pytest.approx(after_ml - before_ml)


def test_what_became_of_each_lesion() -> None:
    # Along j, far apart: grows, shrinks, stays, vanishes, appears; splits; merges. One voxel is 0.001 mL.
    before, after = np.zeros((5, 120, 40), np.uint8), np.zeros((5, 120, 40), np.uint8)
    before[2, 5:9, 5:9], after[2, 5:9, 5:13] = 1, 1  # 16 to 32
    before[2, 20:24, 5:13], after[2, 20:24, 5:9] = 1, 1  # 32 to 16
    before[2, 35:39, 5:15], after[2, 35:39, 7:15] = 1, 1  # 40 to 32: 20% less
    before[2, 50:54, 5:10] = 1
    after[2, 65:69, 5:9] = 1
    before[2, 80:84, 5:20], after[2, 80:84, 5:9], after[2, 80:84, 14:20] = 1, 1, 1
    before[2, 95:99, 5:9], before[2, 95:99, 14:20], after[2, 95:99, 5:20] = 1, 1, 1
    before[2, 110:114, 5:25], after[2, 110:114, 6:25] = 1, 1  # 80 to 76: 5% less
    before[2, 5:9, 30:34] = 1
    after[2, 5:9, 30:34] = 2  # another label is another lesion
    found = match_lesions(Volume(before), Volume(after), IN_PLACE)
    states = {(one.state, one.label): one for one in found}
    counts = {key: sum((one.state, one.label) == key for one in found) for key in states}
    assert counts == {
        ("grown", 1): 1, ("shrunk", 1): 2, ("unchanged", 1): 1, ("vanished", 1): 2, ("new", 1): 1, ("split", 1): 1,
        ("merged", 1): 1, ("new", 2): 1,
    }  # fmt: skip
    grown = states["grown", 1]
    assert (grown.before_ml, grown.after_ml, grown.change_percent) == pytest.approx((0.016, 0.032, 100))
    assert len(states["split", 1].after) == len(states["merged", 1].before) == 2
    assert states["new", 2].change_percent is None
    assert sum(one.before_ml for one in found) == pytest.approx(np.count_nonzero(before) / 1000)
    assert sum(one.after_ml for one in found) == pytest.approx(np.count_nonzero(after) / 1000)
    # RAS: x and y of the grid's LPS turned.
    assert states["new", 1].centroid_ras_mm == pytest.approx((-6.5, -66.5, 2))


def test_a_whole_follow_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    early = balls(GRID, [((35.0, 20.0, 15.0), 16.0, 2), ((-40.0, -20.0, 20.0), 10.0, 1)])
    late = balls(OTHER_GRID, [((35.0, 20.0, 15.0), 20.0, 2), ((-35.0, 40.0, 0.0), 9.0, 2)], moved())
    before, after = result(tmp_path / "a", head(GRID), early), result(tmp_path / "b", head(OTHER_GRID, moved()), late)
    words = ["followup", "--before", str(before), "--after", str(after), "--out", str(tmp_path / "out"), "--json"]
    assert main(words) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary == json.loads((tmp_path / "out" / "followup.json").read_text(encoding="utf-8"))
    assert summary["registration"]["quality"] == "good"
    assert summary["warnings"] == []
    # Volumes are those of each scan's own voxels.
    blood = {one["value"]: one for one in summary["labels"]}[2]
    assert blood["before_ml"] == pytest.approx(volume_ml(early, 2))
    assert blood["after_ml"] == pytest.approx(volume_ml(late, 2))
    states = {(one["label"], one["state"]): one for one in summary["lesions"]}
    assert set(states) == {(2, "grown"), (2, "new"), (1, "vanished")}
    # A ball of 16 mm has 17.2 mL, one of 20 mm 33.5 mL.
    assert states[2, "grown"]["change_ml"] == pytest.approx(33.5 - 17.2, rel=0.1)
    assert states[2, "grown"]["centroid_ras_mm"] == pytest.approx((-35, -20, 15), abs=1)
    assert summary["hematoma_expansion"]["expanded"] is True
    page = (tmp_path / "out" / "followup.html").read_text(encoding="utf-8")
    assert "growth by 6 mL or more and by 33% or more" in page
    with Image.open(tmp_path / "out" / "followup.png") as picture:
        assert picture.width > 900
    assert str(tmp_path) not in page + json.dumps(summary)
    assert main(words) == 2
    assert "--force" in capsys.readouterr().err


def test_scans_that_do_not_fit_are_not_matched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan, other = small_object((36, 40, 30)), small_object((14, 80, 26))
    write_image(scan, tmp_path / "a.nii.gz")
    write_image(other, tmp_path / "b.nii.gz")
    write_image(balls(scan, [((0.0, 20.0, 0.0), 12.0, 2)]), tmp_path / "la.nii.gz")
    words = ["followup", "--before", str(tmp_path / "la.nii.gz"), "--before-image", str(tmp_path / "a.nii.gz")]
    words += ["--after", str(tmp_path / "la.nii.gz"), "--after-image", str(tmp_path / "b.nii.gz")]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert "could not be registered" in capsys.readouterr().err
    summary = json.loads((tmp_path / "out" / "followup.json").read_text(encoding="utf-8"))
    assert summary["registration"]["quality"] == "failed"
    assert summary["lesions"] is None
    assert summary["labels"][0]["change_ml"] == 0
    assert not (tmp_path / "out" / "followup.png").exists()
    assert "Not matched" in (tmp_path / "out" / "followup.html").read_text(encoding="utf-8")


def test_bad_input_is_told_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    empty = tmp_path / "empty"
    empty.mkdir()
    write_image(balls(GRID, []), tmp_path / "bare.nii.gz")
    gone = result(tmp_path / "gone", head(GRID), balls(GRID, []))
    (tmp_path / "gone.nii.gz").unlink()
    for source, words in ((empty, "no result folder"), (tmp_path / "bare.nii.gz", "--before-image"),
                          (gone, "--before-image")):  # fmt: skip
        assert main(["followup", "--before", str(source), "--after", str(source), "--out", str(out)]) == 2
        assert words in capsys.readouterr().err
    assert not out.exists()
