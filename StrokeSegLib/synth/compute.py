"""The four operations that hold most of the generators' time, behind a seam: numpy here, a GPU elsewhere.

Whoever has a faster way (``training.torch_compute``) passes it to ``computing_on``. All random numbers are drawn on the
CPU by the callers, and each operation is elementwise arithmetic in a fixed order without sums over the image, so that
another device that keeps IEEE arithmetic gives the same bits: the same parameters, masks and images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Float = NDArray[np.floating[Any]]
#: Along one axis: the sample below each position, and the weight of the one above it; None takes the sample alone.
Axis = tuple[NDArray[np.intp], Float | None]


class Compute(Protocol):
    """Who does the work; arrays come and go as numpy's."""

    def lookup(
        self, array: NDArray[np.uint8], position_mm: NDArray[np.float32], spacing_mm: float
    ) -> NDArray[np.uint8]:
        """See ``placement.lookup``."""
        ...

    def table_sums(
        self, labels: NDArray[np.uint8], positions: Iterable[NDArray[np.float32]], spacing_mm: float, tables: Float
    ) -> Float:
        """Each table's values at the labels found at positions, summed over the positions.

        Args:
            labels: Shape ``(K, J, I)``.
            positions: Each ``(3, ...)``, as of ``placement.lookup``; used one after the other.
            tables: float32, shape ``(tables, labels)``.

        Returns:
            float32, shape ``(tables, ...)``.
        """
        ...

    def linear(self, image: Float, axes: Sequence[Axis], dtype: type[np.floating[Any]]) -> Float:
        """Values between samples, one axis after the other."""
        ...

    def gaussian(self, image: Float, sigma: Sequence[float], mode: str, truncate: float) -> Float:
        """``scipy.ndimage.gaussian_filter`` of a float32 image; mode "nearest" or "reflect"."""
        ...


class NumpyCompute:
    """The CPU, with nothing but what the plain install has."""

    def lookup(
        self, array: NDArray[np.uint8], position_mm: NDArray[np.float32], spacing_mm: float
    ) -> NDArray[np.uint8]:
        index = np.rint(position_mm / np.float32(spacing_mm)).astype(np.int32)
        x, y, z = index[0], index[1], index[2]
        depth, height, width = array.shape
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (z >= 0) & (z < depth)
        flat = (z * height + y) * width + x
        values = array.ravel()[np.where(inside, flat, 0)]
        return np.where(inside, values, np.uint8(0))

    def table_sums(
        self, labels: NDArray[np.uint8], positions: Iterable[NDArray[np.float32]], spacing_mm: float, tables: Float
    ) -> Float:
        sums: Float | None = None
        for position in positions:
            found = self.lookup(labels, position, spacing_mm)
            if sums is None:
                sums = np.zeros((len(tables), *found.shape), np.float32)
            for n, table in enumerate(tables):
                sums[n] += np.take(table, found)
        assert sums is not None, "no positions"
        return sums

    def linear(self, image: Float, axes: Sequence[Axis], dtype: type[np.floating[Any]]) -> Float:
        field = image
        for axis, (low, weight) in enumerate(axes):
            if weight is None:
                field = np.take(field, low, axis)
                continue
            part = weight.reshape([-1 if a == axis else 1 for a in range(field.ndim)])
            field = np.take(field, low, axis) * (1 - part) + np.take(field, low + 1, axis) * part
        return field.astype(dtype, copy=False)

    def gaussian(self, image: Float, sigma: Sequence[float], mode: str, truncate: float) -> Float:
        result: Float = ndimage.gaussian_filter(image, sigma, mode=mode, truncate=truncate)
        return result


_NUMPY = NumpyCompute()
_current: ContextVar[Compute] = ContextVar("compute")


def compute() -> Compute:
    """Who does the work here and now: numpy, unless within ``computing_on``."""
    return _current.get(_NUMPY)


@contextmanager
def computing_on(chosen: Compute) -> Iterator[None]:
    """Within this block (and thread) the generators' work is done by ``chosen``."""
    token = _current.set(chosen)
    try:
        yield
    finally:
        _current.reset(token)
