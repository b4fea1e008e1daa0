"""Heads that age: fluid grows into brain, the cortex stays, nothing outside the brain moves."""

from __future__ import annotations

import numpy as np
import pytest

from StrokeSegLib.synth.aging import AgingRanges, aged
from StrokeSegLib.synth.anatomy import PARENCHYMA, Head, Tissue
from StrokeSegLib.synth.procedural import procedural_head

EVEN = (1.0, 1.0)


def slabs(*layers: tuple[Tissue, int]) -> Head:
    """Layers of 1 mm voxels along k, so many voxels thick, 20 x 20 wide."""
    column = np.concatenate([np.full(n, tissue, np.uint8) for tissue, n in layers])
    return Head(np.ascontiguousarray(np.broadcast_to(column[:, None, None], (len(column), 20, 20))), 1.0)


def thickness(head: Head, tissue: Tissue) -> float:
    """Mean, mm."""
    return float((head.tissue == tissue).sum() / 400 * head.spacing_mm)


def test_a_sulcus_widens_by_what_is_drawn_and_the_cortex_keeps_its_thickness() -> None:
    head = slabs((Tissue.BONE, 2), (Tissue.CSF, 3), (Tissue.CORTEX, 4), (Tissue.WHITE_MATTER, 10), (Tissue.BONE, 2))
    ranges = AgingRanges(chance=1.0, sulcus_mm=(1.5, 1.5), ventricle_mm=(0, 0), uneven=EVEN)
    old = aged(np.random.default_rng(1), head, ranges)
    assert thickness(old, Tissue.CSF) == pytest.approx(4.5, abs=0.2)
    assert thickness(old, Tissue.CORTEX) == pytest.approx(4.0, abs=0.3)
    assert thickness(old, Tissue.BONE) == 4
    assert thickness(head, Tissue.CSF) == 3  # the young head is left as it was


def test_a_ventricle_widens_into_white_matter_on_both_of_its_sides() -> None:
    head = slabs((Tissue.CORTEX, 3), (Tissue.WHITE_MATTER, 9), (Tissue.CSF, 4), (Tissue.WHITE_MATTER, 9))
    ranges = AgingRanges(chance=1.0, sulcus_mm=(0, 0), ventricle_mm=(2.5, 2.5), uneven=EVEN)
    old = aged(np.random.default_rng(2), head, ranges)
    assert thickness(old, Tissue.CSF) == pytest.approx(4 + 2 * 2.5, abs=0.4)
    assert thickness(old, Tissue.CORTEX) == 3


def test_the_young_stay_as_they_are() -> None:
    head = slabs((Tissue.CSF, 3), (Tissue.CORTEX, 4))
    assert aged(np.random.default_rng(0), head, AgingRanges(chance=0.0)) is head


def test_in_a_whole_head_fluid_only_grows_and_only_into_brain() -> None:
    head = procedural_head(np.random.default_rng(5))
    old = aged(np.random.default_rng(6), head, AgingRanges(chance=1.0, sulcus_mm=(1.0, 1.4), ventricle_mm=(3.0, 4.0)))
    changed = old.tissue != head.tissue
    assert changed.any()
    assert np.isin(head.tissue[changed], PARENCHYMA).all()
    assert np.isin(old.tissue[changed], (Tissue.CSF, Tissue.CORTEX)).all()
    young_ml, old_ml = ((h.tissue == Tissue.CSF).sum() * h.spacing_mm**3 / 1000 for h in (head, old))
    assert old_ml > 1.1 * young_ml
    assert np.array_equal(
        old.tissue, aged(np.random.default_rng(6), head, AgingRanges(1.0, (1.0, 1.4), (3.0, 4.0))).tissue
    )
