"""White-matter disease of generated MRI: along the ventricles, alike on both sides, in white matter alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from StrokeSegLib.synth.anatomy import Tissue
from StrokeSegLib.synth.ct_anatomy import landmarks, sample
from StrokeSegLib.synth.ct_tissues import tissue_at
from StrokeSegLib.synth.mri_white_matter import white_matter_disease
from StrokeSegLib.synth.placement import ScanGrid, place
from StrokeSegLib.synth.procedural import procedural_head

SPACING_MM = (2.0, 2.0, 4.0)


@pytest.fixture(scope="module")
def scan() -> tuple[ScanGrid, np.ndarray, list[np.ndarray]]:
    """A head's grid, its distance to the ventricles in mm, its white matter, and twelve diseases."""
    head = procedural_head(np.random.default_rng(3))
    grid = place(np.random.default_rng(0), head, SPACING_MM, tilt_degrees=0, scale=1, warp_mm=0)
    marks = landmarks(head)
    far = ndimage.distance_transform_edt(
        sample(marks.ventricle, marks.step_mm, grid.head_mm) < 0.5, grid.spacing_mm[::-1]
    )
    white = (tissue_at(head, grid.head_mm) == Tissue.WHITE_MATTER).astype(np.float32)
    return grid, far, [white, *(white_matter_disease(np.random.default_rng(n), white, grid, marks) for n in range(12))]


def test_it_lies_in_white_matter_mostly_by_the_ventricles(scan) -> None:
    _, far, (white, *diseases) = scan
    for each in diseases:
        assert ((each >= 0) & (each <= 1)).all()
        assert not each[white == 0].any()
    together = np.sum(diseases, axis=0)
    assert together[far < 12].mean() > 5 * together[(far > 25) & (white > 0)].mean()


def test_some_have_hardly_any_and_some_have_much(scan) -> None:
    grid, _, (_, *diseases) = scan
    ml = [float((each > 0.5).sum()) * np.prod(grid.spacing_mm) / 1000 for each in diseases]
    assert min(ml) < 3
    assert 8 < max(ml) < 80


def test_it_is_alike_on_both_sides(scan) -> None:
    """More of its place on one side is diseased on the other than chance would have it."""
    _, _, (white, *diseases) = scan
    for each in diseases:
        sick, mirrored = each > 0.3, each[:, :, ::-1] > 0.3
        both = (white > 0) & (white[:, :, ::-1] > 0)
        if sick[both].sum() < 200:
            continue
        assert (sick & mirrored)[both].mean() > 2 * sick[both].mean() * mirrored[both].mean()
