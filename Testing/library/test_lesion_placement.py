"""Where real lesion shapes lie in a head: the same in each run."""

from __future__ import annotations

import numpy as np
import pytest

from StrokeSegLib.synth.lesions import BRAIN, LesionLibrary, register_to_template
from StrokeSegLib.synth.procedural import procedural_head


@pytest.fixture(scope="module")
def template() -> LesionLibrary:
    """The brain of a head on a grid of 1 mm, as a folder's masks add up to one."""
    head = procedural_head(np.random.default_rng(1))
    inside = np.isin(head.tissue, BRAIN)
    step = round(head.spacing_mm)
    grown = inside.repeat(step, 0).repeat(step, 1).repeat(step, 2) if step > 1 else inside
    return LesionLibrary((), grown.astype(np.float32))


def test_a_registration_gives_the_same_each_time(template: LesionLibrary) -> None:
    head = procedural_head(np.random.default_rng(2))
    found = [register_to_template(head, template).to_template for _ in range(3)]
    assert found[0] is not None
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
