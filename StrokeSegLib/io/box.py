"""The part of an image that is not 0, had without room for the rest.

A map of a thin-slice scan has 50 million voxels, most of them 0. The first use of memory costs a program more than the
reading: of an uncompressed NIfTI file the slices are looked at one after the other in one small buffer, and only the
box around what is not 0 is then read to where it is to stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.io.nifti import plain_voxels
from StrokeSegLib.volume import Volume

#: Along k, j, i.
Box: TypeAlias = tuple[slice, slice, slice]
#: The box of an image that is all 0: a box must have voxels.
NOTHING: Box = (slice(0, 1), slice(0, 1), slice(0, 1))
_THREADS = 2


@dataclass(frozen=True, eq=False)
class BoxedImage:
    """An image, of which only the box around what is not 0 is ever had.

    Attributes:
        grid: Of the whole image; its array has the type of the voxels and says nothing else.
        box: Slices along k, j, i; the first voxel where all is 0.
    """

    grid: Volume
    box: Box
    _fill: Callable[[NDArray[Any]], None]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the box, ``(k, j, i)``."""
        k, j, i = (each.stop - each.start for each in self.box)
        return (k, j, i)

    @property
    def first(self) -> tuple[int, int, int]:
        """The box's first voxel in the whole image, ``(k, j, i)``."""
        k, j, i = (each.start for each in self.box)
        return (k, j, i)

    def fill(self, target: NDArray[Any]) -> None:
        """Puts the voxels of the box into an array of its shape and type.

        Raises:
            InputError: The file became shorter meanwhile.
            OSError: It can not be read any more.
        """
        self._fill(target)

    def part(self) -> NDArray[Any]:
        """The voxels of the box, a new array."""
        result: NDArray[Any] = np.empty(self.shape, self.grid.array.dtype)
        self.fill(result)
        return result


def box_of(image: NDArray[Any]) -> Box | None:
    """Slices along k, j, i around all that is not 0; None where there is nothing."""
    part, box = image, []
    for axis in range(3):
        where = np.flatnonzero(part.any(axis=tuple(a for a in range(3) if a != axis)))
        if len(where) == 0:
            return None
        box.append(slice(int(where[0]), int(where[-1]) + 1))
        part = part[tuple(box[axis] if a == axis else slice(None) for a in range(3))]
    return box[0], box[1], box[2]


def box_above(image: NDArray[Any], least: float) -> Box | None:
    """Slices along k, j, i around all that is larger than ``least``; None where nothing is.

    Slice by slice and in threads: no mask of a whole volume is made.
    """
    shown = [np.zeros(n, np.bool_) for n in image.shape]

    def look(first: int) -> list[NDArray[np.bool_]]:
        own = [np.zeros(n, np.bool_) for n in image.shape]
        for k in range(first, image.shape[0], _THREADS):
            above = image[k] > least
            rows = above.any(axis=1)
            if rows.any():
                own[0][k] = True
                own[1] |= rows
                own[2] |= above.any(axis=0)
        return own

    with ThreadPoolExecutor(_THREADS) as pool:
        for own in pool.map(look, range(_THREADS)):
            for axis in range(3):
                shown[axis] |= own[axis]
    if not shown[0].any():
        return None
    return _range(shown[0]), _range(shown[1]), _range(shown[2])


def boxed(volume: Volume) -> BoxedImage:
    """The box of an image that is in memory."""
    box = box_of(volume.array) or NOTHING

    def fill(target: NDArray[Any]) -> None:
        target[...] = volume.array[box]

    return BoxedImage(volume, box, fill)


def boxed_file(path: Path) -> BoxedImage | None:
    """The box of an uncompressed NIfTI file; None for a file that must be read as a whole (see ``plain_voxels``).

    Raises:
        InputError: Not NIfTI, not scalar, or its geometry is not that of a regular grid.
        OSError: The file can not be read.
    """
    plain = plain_voxels(path) if path.name.lower().endswith(".nii") else None
    if plain is None:
        return None
    grid, start = plain
    count_k, count_j, count_i = grid.array.shape
    kept = [np.zeros(n, np.bool_) for n in (count_k, count_j, count_i)]
    for k, plane in _planes(path, grid, start, slice(0, count_k)):
        if not _all_finite(plane):
            return None  # read_image replaces what is no number
        bits = plane.view(f"u{plane.dtype.itemsize}")  # a minus zero would count: a box may be larger
        rows = np.bitwise_or.reduce(bits, axis=1) != 0
        if rows.any():
            kept[0][k] = True
            kept[1] |= rows
            kept[2] |= np.bitwise_or.reduce(bits, axis=0) != 0
    box: Box = (_range(kept[0]), _range(kept[1]), _range(kept[2]))

    def fill(target: NDArray[Any]) -> None:
        for k, plane in _planes(path, grid, start, box[0]):
            target[k - box[0].start] = plane[box[1:]]

    return BoxedImage(grid, box, fill)


def _range(kept: NDArray[np.bool_]) -> slice:
    """From the first to the last that is kept; the first of all where none is."""
    where = np.flatnonzero(kept)
    return slice(int(where[0]), int(where[-1]) + 1) if len(where) else slice(0, 1)


def _all_finite(plane: NDArray[Any]) -> bool:
    with np.errstate(all="ignore"):
        return plane.dtype.kind != "f" or bool(np.isfinite(plane.sum()))


def _planes(path: Path, grid: Volume, start: int, chosen: slice) -> Iterator[tuple[int, NDArray[Any]]]:
    """The number and the voxels of slices of a file, all in the same buffer."""
    plane: NDArray[Any] = np.empty(grid.array.shape[1:], grid.array.dtype)
    room = plane.data.cast("B")
    with path.open("rb", buffering=0) as file:
        file.seek(start + chosen.start * plane.nbytes)
        for k in range(chosen.start, chosen.stop):
            done = 0
            while done < len(room):
                got = file.readinto(room[done:])
                if not got:
                    raise InputError(f"{path} is cut short in slice {k}: copy it again")
                done += got
            yield k, plane
