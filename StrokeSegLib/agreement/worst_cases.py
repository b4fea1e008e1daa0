"""Pictures of the cases in which raters differ most, over the scan where there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from StrokeSegLib.agreement.ratings import Rating, read_labels
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.preprocess.geometry import grid_of, overlap_fraction, resample
from StrokeSegLib.report.agreement_pictures import draw_disagreement
from StrokeSegLib.volume import Volume

#: Pictures of this many cases, those with the lowest mean Dice between raters.
WORST = 3


def draw_worst(
    folder: Path, by_case: Mapping[str, Sequence[Rating]], together: Sequence[Mapping[str, Any]]
) -> list[tuple[str, bytes]]:
    """Pictures of the cases in which raters differ most.

    Args:
        folder: Where the pictures go, and where the maps of disagreement are.
        by_case: All ratings.
        together: What is known of each case that the raters of the consensus group marked on one grid, as
            agreement.json has it.

    Returns:
        Case and PNG, the worst first; cases in which all agree are not shown.
    """
    worst = sorted(
        (one for one in together if one["disputed_ml"] > 0),
        key=lambda one: (one["mean_pairwise_dice"], -one["disputed_ml"]),
    )[:WORST]
    pictures = []
    for number, one in enumerate(worst, start=1):
        ratings = {rating.rater: rating for rating in by_case[one["case_id"]]}
        masks = {name: read_labels(ratings[name].path) for name in one["raters"]}
        path = folder / f"agreement-{number}.png"
        grid = next(iter(masks.values()))
        where = read_image(folder / one["disagreement"]).volume
        image = _image(next(iter(ratings.values())).image, grid)
        title = f"{one['case_id']}: mean Dice {one['mean_pairwise_dice']:.2f}, {one['disputed_ml']:.1f} mL disputed"
        draw_disagreement(image, masks, where, path, title=title)
        pictures.append((one["case_id"], path.read_bytes()))
    return pictures


def _image(path: Path | None, grid: Volume) -> Volume | None:
    """The case's scan on the grid of its masks; None where there is none, or it lies elsewhere."""
    if path is None:
        return None
    try:
        image = read_image(path).volume
    except InputError:  # the marks can be shown without it
        return None
    if image.same_grid(grid):
        return image
    if overlap_fraction(image, grid) == 0:
        return None
    return resample(image, grid_of(grid), outside=float(np.nanmin(image.array)))
