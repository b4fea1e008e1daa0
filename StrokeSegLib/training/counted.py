"""Settings of the preparation that are counted on the training images, once a run and before anything is prepared."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.errors import InputError
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.data import Data, training_cases
from StrokeSegLib.training.dataset import TrainingCase, prepare_case, read_case
from StrokeSegLib.training.pool import REFUSED_IN_A_ROW, SynthSource, generated_case, load_heads
from StrokeSegLib.training.recipes import Recipe

#: Where cases are generated, so many are counted on.
GENERATED_CASES = 12


def count_prepare_settings(recipe: Recipe, data: Data, progress: Progress) -> dict[str, Any]:
    """What a recipe wants counted, such as each channel's mean and SD; empty where it wants nothing.

    Cases that are prepared already are taken as they are, and nothing is counted on them.

    Args:
        progress: Called with ("count", cases done, cases in all).

    Returns:
        Prepare settings, plain JSON values.

    Raises:
        InputError: A case cannot be read, or the preparation refuses it.
    """
    if recipe.counted is None or not (isinstance(data, SynthSource) or training_cases(data)):
        return {}
    settings = {**recipe.prepare_settings, **recipe.counted.raw}
    return recipe.counted.count(_cases(recipe, data, settings, progress))


def with_prepare_settings(recipe: Recipe, more: dict[str, Any]) -> Recipe:
    """The recipe with further prepare settings, which its models carry too."""
    return dataclasses.replace(recipe, prepare_settings={**recipe.prepare_settings, **more}) if more else recipe


def _cases(recipe: Recipe, data: Data, settings: dict[str, Any], progress: Progress) -> Iterator[TrainingCase]:
    system = SYSTEMS[recipe.preset.system]
    if isinstance(data, SynthSource):
        yield from _generated(recipe, data, settings, progress)
        return
    cases = training_cases(data)
    for number, case in enumerate(cases):
        progress("count", number, len(cases))
        yield read_case(case, system, settings)
    progress("count", len(cases), len(cases))


def _generated(
    recipe: Recipe, data: SynthSource, settings: dict[str, Any], progress: Progress
) -> Iterator[TrainingCase]:
    name, heads = recipe.preset.system, load_heads(data)
    made = refused = 0
    for attempt in itertools.count():
        progress("count", made, GENERATED_CASES)
        if made == GENERATED_CASES:
            return
        try:
            case = generated_case(heads, name, np.random.default_rng([recipe.preset.seed, attempt]), settings)
            prepared = prepare_case(f"generated-{attempt}", SYSTEMS[name], case.images, case.truth, settings)
        except InputError:
            refused += 1
            if refused == REFUSED_IN_A_ROW:
                raise
            continue
        made, refused = made + 1, 0
        yield prepared
