"""The generators' heavy operations on a torch device, the same bits as on the CPU; see ``synth.compute``.

What keeps them the same: each multiplication, addition and rounding is one operation on tensors in numpy's and scipy's
order and precision, so that nothing is contracted into a fused multiply-add; divisors are tensors, as torch multiplies
by the reciprocal of a number; and what has few elements (weights, kernels) is computed by numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from StrokeSegLib.synth.compute import Axis, Float

#: How numpy's ``pad`` calls the borders of scipy's filters.
_PAD = {"nearest": "edge", "reflect": "symmetric"}


class TorchCompute:
    """A torch device with 64-bit floats: ``cuda``, ``cuda:N`` or, to compare, ``cpu``."""

    def __init__(self, device: str | torch.device) -> None:
        self.device = torch.device(device)

    def lookup(
        self, array: NDArray[np.uint8], position_mm: NDArray[np.float32], spacing_mm: float
    ) -> NDArray[np.uint8]:
        """See ``synth.placement.lookup``."""
        found: NDArray[np.uint8] = self._lookup(self._put(array), position_mm, spacing_mm).cpu().numpy()
        return found

    def table_sums(
        self, labels: NDArray[np.uint8], positions: Iterable[NDArray[np.float32]], spacing_mm: float, tables: Float
    ) -> Float:
        """See ``synth.compute.Compute``."""
        on_device, rows = self._put(labels), self._put(tables)
        sums: Tensor | None = None
        for position in positions:
            found = self._lookup(on_device, position, spacing_mm).int()
            if sums is None:
                sums = torch.zeros((len(rows), *found.shape), dtype=torch.float32, device=self.device)
            for total, row in zip(sums, rows, strict=True):
                total.add_(row[found])
        assert sums is not None, "no positions"
        return _fetched(sums)

    def linear(self, image: Float, axes: Sequence[Axis], dtype: type[np.floating[Any]]) -> Float:
        """See ``synth.compute.Compute``."""
        field = self._put(image)
        for axis, (low, weight) in enumerate(axes):
            index = self._put(low)
            if weight is None:
                field = field.index_select(axis, index)
                continue
            part = self._put(weight).reshape([-1 if a == axis else 1 for a in range(field.ndim)])
            above = field.index_select(axis, index + 1) * part
            field = field.index_select(axis, index) * (1 - part) + above
        # Only numpy rounds 64 bits to 16 in one step.
        return _fetched(field.float() if dtype is np.float32 else field).astype(dtype, copy=False)

    def gaussian(self, image: Float, sigma: Sequence[float], mode: str, truncate: float) -> Float:
        """See ``synth.compute.Compute``."""
        field = self._put(image)
        for axis, sd in enumerate(sigma):
            if sd <= 1e-15:
                continue
            radius, size = int(truncate * float(sd) + 0.5), field.shape[axis]
            around = np.pad(np.arange(size), radius, mode=_PAD[mode])  # type: ignore[call-overload]
            line = field.double().index_select(axis, self._put(around))
            kernel = _kernel(float(sd), radius)
            total = line.narrow(axis, radius, size) * kernel[radius]
            for far in range(radius, 0, -1):
                pair = line.narrow(axis, radius - far, size) + line.narrow(axis, radius + far, size)
                total += pair.mul_(kernel[radius - far])
            field = total.to(field.dtype)  # scipy keeps the image's own precision between the axes
        return _fetched(field)

    def _put(self, array: NDArray[Any]) -> Tensor:
        whole = np.ascontiguousarray(array)
        return torch.from_numpy(whole if whole.flags.writeable else whole.copy()).to(self.device)

    def _lookup(self, array: Tensor, position_mm: NDArray[np.float32], spacing_mm: float) -> Tensor:
        step = torch.tensor(spacing_mm, dtype=torch.float32, device=self.device)
        x, y, z = (self._put(position_mm) / step).round_().int()
        depth, height, width = array.shape
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (z >= 0) & (z < depth)
        flat = ((z * height + y) * width + x).mul_(inside)
        return array.ravel()[flat].mul_(inside)


def _kernel(sigma: float, radius: int) -> list[float]:
    """Weights of a Gaussian from its left end to its right one, as scipy computes them."""
    x = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 / (sigma * sigma) * x**2)
    return [float(weight) for weight in weights / weights.sum()]


def _fetched(tensor: Tensor) -> Float:
    array: Float = tensor.cpu().numpy()
    return array
