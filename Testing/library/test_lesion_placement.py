"""Where real lesion shapes lie in a head: the same in each run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

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


def test_a_registration_gives_the_same_each_time_and_beside_others(template: LesionLibrary) -> None:
    heads = [procedural_head(np.random.default_rng(seed)) for seed in (2, 3)]
    alone = [register_to_template(head, template).to_template for head in (*heads, *heads)]
    with ThreadPoolExecutor(4) as pool:
        beside = list(pool.map(lambda head: register_to_template(head, template).to_template, [*heads, *heads]))
    for number, found in enumerate((*alone, *beside)):
        expected = alone[number % 2]
        assert expected is not None
        assert np.array_equal(found, expected)
