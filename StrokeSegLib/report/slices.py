"""Which slices of a volume a picture shows, and how they are turned: as a radiologist reads them.

Slices are the volume's own, an oblique volume is not cut anew. Axial: the patient's right on the left of the picture,
anterior on top. Coronal: right on the left, superior on top. Sagittal: anterior on the left, superior on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.volume import Volume

#: Slices this much thicker than the finest spacing are shown as they were taken, even where they are not axial.
THICK_SLICES = 2.5
#: Per LPS component along the slice normal: name, directions (LPS) that point right and down in the picture, letters at
#: its left and right edge, letters of a negative and a positive slice position.
READING = (
    ("sagittal", (0.0, 1.0, 0.0), (0.0, 0.0, -1.0), ("A", "P"), ("R", "L")),
    ("coronal", (1.0, 0.0, 0.0), (0.0, 0.0, -1.0), ("R", "L"), ("A", "P")),
    ("axial", (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), ("R", "L"), ("I", "S")),
)


@dataclass(frozen=True)
class View:
    """How the slices of one grid are looked at.

    Attributes:
        name: "axial", "coronal" or "sagittal".
        component: LPS component (0, 1, 2) along which the slices are stacked.
        normal, right, down: Grid axis (0 i, 1 j, 2 k) across the slices, along the picture's rows, down its columns.
        flip_right, flip_down: Whether that grid axis runs against the picture.
        edge_marks: Letters of the patient's side at the left and at the right edge of the picture.
        position_letters: Letters of negative and positive positions along ``component``.
    """

    name: str
    component: int
    normal: int
    right: int
    down: int
    flip_right: bool
    flip_down: bool
    edge_marks: tuple[str, str]
    position_letters: tuple[str, str]


def choose_view(grid: Volume) -> View:
    """Axial, unless the grid has no axial slices worth the name: thick or single ones are shown as they were taken."""
    spacing = np.array(grid.spacing_mm)
    thickness = np.where(np.array(grid.size_ijk) == 1, np.inf, spacing) / spacing.min()
    components = _components_of_axes(grid.direction)
    normal = int(thickness.argmax()) if thickness.max() >= THICK_SLICES else components.index(2)
    name, right_lps, down_lps, edge_marks, letters = READING[components[normal]]
    right = components.index(int(np.abs(right_lps).argmax()))
    down = components.index(int(np.abs(down_lps).argmax()))
    return View(
        name=name,
        component=components[normal],
        normal=normal,
        right=right,
        down=down,
        flip_right=bool(np.dot(right_lps, grid.direction[:, right]) < 0),
        flip_down=bool(np.dot(down_lps, grid.direction[:, down]) < 0),
        edge_marks=edge_marks,
        position_letters=letters,
    )


def _components_of_axes(direction: NDArray[np.float64]) -> list[int]:
    """Per grid axis the LPS component that it runs along; each component once, even for axes at 45 degrees."""
    strength = np.abs(direction).copy()
    components = [0, 0, 0]
    for _ in range(3):
        component, axis = divmod(int(strength.argmax()), 3)
        components[axis] = component
        strength[component, :] = strength[:, axis] = -1.0
    return components


def picture(array: NDArray[Any], view: View, number: int) -> NDArray[Any]:
    """Slice ``number`` of a ``[k, j, i]`` array as a picture, shape ``(rows, columns)``; a view, not a copy."""
    # Array axis a is grid axis 2 - a; the two axes left after taking the slice are in falling grid order.
    plane: NDArray[Any] = np.moveaxis(array, 2 - view.normal, 0)[number]
    plane = plane if view.down > view.right else plane.T
    return plane[:: -1 if view.flip_down else 1, :: -1 if view.flip_right else 1]


def position_mm(grid: Volume, view: View, number: int) -> float:
    """Where the middle of slice ``number`` lies along the view's component, mm, LPS (positive: left, posterior, up)."""
    ijk = (np.array(grid.size_ijk) - 1) / 2
    ijk[view.normal] = number
    return float(grid.ijk_to_lps(ijk)[view.component])


def slices_with_lesion(labels: Volume, view: View) -> dict[int, int]:
    """Lesion voxels by slice number, for the slices that hold any."""
    voxels = [np.count_nonzero(plane) for plane in np.moveaxis(labels.array, 2 - view.normal, 0)]
    return {int(n): int(voxels[n]) for n in np.flatnonzero(voxels)}


def choose_slices(labels: Volume, view: View, most: int) -> list[int]:
    """Numbers of the slices to show: from inferior up, from anterior back, or from right to left.

    The slices that hold a lesion are cut into ``most`` runs of about equal length, and each run shows the slice with
    the most lesion in it. Without a lesion the slices are evenly spread, the outermost tenths left out.
    """
    voxels = slices_with_lesion(labels, view)
    total = labels.size_ijk[view.normal]
    if voxels:
        runs = np.array_split(list(voxels), min(most, len(voxels)))
        numbers = {max(run.tolist(), key=lambda n: voxels[n]) for run in runs}
    else:
        numbers = {int(n) for n in np.linspace(0.1, 0.9, min(most, total)) * (total - 1) + 0.5}
    return sorted(numbers, key=lambda number: position_mm(labels, view, number))
