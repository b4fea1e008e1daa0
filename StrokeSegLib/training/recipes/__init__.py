"""Recipes: a preset becomes networks, loss, optimizer, learning rate and samples; one file a system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from StrokeSegLib.errors import InputError
from StrokeSegLib.training.presets import Preset
from StrokeSegLib.training.presets.ct_perfusion import BundledCtPerfusion, PaperCtPerfusion
from StrokeSegLib.training.presets.mri import BundledMri, PaperMri
from StrokeSegLib.training.presets.noncontrast_ct import BundledNoncontrastCt, PaperNoncontrastCt
from StrokeSegLib.training.presets.three_projection import BundledThreeProjection, PaperThreeProjection
from StrokeSegLib.training.recipes import ct_perfusion, mri, noncontrast_ct, three_projection
from StrokeSegLib.training.recipes.base import Plan, Recipe

__all__ = ["Plan", "Recipe", "recipe_for"]

_RECIPES: dict[type[Preset], Callable[[Any], Recipe]] = {
    BundledCtPerfusion: ct_perfusion.bundled,
    BundledMri: mri.bundled,
    BundledNoncontrastCt: noncontrast_ct.bundled,
    BundledThreeProjection: three_projection.bundled,
    PaperCtPerfusion: ct_perfusion.paper,
    PaperMri: mri.paper,
    PaperNoncontrastCt: noncontrast_ct.paper,
    PaperThreeProjection: three_projection.paper,
}


def recipe_for(preset: Preset) -> Recipe:
    """The recipe of a preset.

    Raises:
        InputError: No system's preset.
    """
    if type(preset) not in _RECIPES:
        raise InputError(f"no recipe for a preset of type {type(preset).__name__}; take one from find_preset")
    return _RECIPES[type(preset)](preset)
