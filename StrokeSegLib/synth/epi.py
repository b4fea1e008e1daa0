"""What echo-planar imaging does where the field is off: signal moves along the phase encoding, and piles up.

Bands at the skull base that are as bright as an infarct come of it, on both sides, thin and sharp, with the ADC of what
lies there: b0 and DWI are squeezed alike (Jezzard and Balaban 1995, Magn Reson Med 34:65; Andersson 2003, NeuroImage
20:870). A spin echo is read, so that nothing is lost, only moved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.synth.anatomy import Head
from StrokeSegLib.synth.fields import Float
from StrokeSegLib.synth.mri_ranges import DiffusionRanges
from StrokeSegLib.synth.placement import ScanGrid
from StrokeSegLib.synth.susceptibility import field_hz

#: Acquired pixels are no finer than this, mm; images of finer ones are interpolated.
ACQUIRED_PIXEL_MM = 1.5


def draw_shift(rng: np.random.Generator, head: Head, grid: ScanGrid, ranges: DiffusionRanges) -> Float:
    """Voxels along ``j`` by which each voxel's signal is moved: off-resonance times readout, in acquired pixels.

    The blips go to the front or to the back, as often.
    """
    tesla = ranges.tesla[int(rng.integers(len(ranges.tesla)))]
    readout_s = float(rng.uniform(*ranges.readout_s))
    sign = 1.0 if rng.random() < 0.5 else -1.0
    pixels = max(grid.spacing_mm[1], ACQUIRED_PIXEL_MM) / grid.spacing_mm[1]
    return np.asarray(field_hz(head, grid, tesla) * np.float32(sign * readout_s * pixels), np.float32)


@dataclass(frozen=True, eq=False)
class Movement:
    """How signal moves along ``j``: shares of voxels that go to voxels.

    Attributes:
        shape: ``(K, J, I)``.
        parts: Flat indices from where and to where, and the part of the signal that goes there.
    """

    shape: tuple[int, ...]
    parts: tuple[tuple[NDArray[np.intp], NDArray[np.intp], Float], ...]

    def of(self, image: Float) -> Float:
        """The image with its signal moved: sums of lines stay, but for what leaves the image. float32."""
        signal = image.ravel()
        total = np.zeros(image.size)
        for start, target, share in self.parts:
            total += np.bincount(target, signal[start] * share, minlength=image.size)
        return np.asarray(total.reshape(self.shape), np.float32)

    def of_mask(self, mask: NDArray[np.bool_], weight: Float) -> NDArray[np.bool_]:
        """Where more than half of the moved ``weight`` (a signal, above 0) comes from within the mask."""
        return np.asarray(self.of(weight * mask) > 0.5 * self.of(weight))


def movement(shift: Float, matter: NDArray[np.bool_]) -> Movement:
    """Each voxel is a box of signal whose two ends move each by the shift there: squeezed, stretched or turned over.

    Args:
        shift: Voxels along ``j``, shape ``(K, J, I)``; the ends of two neighbors that meet move alike.
        matter: Where there is signal at all; elsewhere the shift does not count.
    """
    rows, columns = shift.shape[1:]
    still = np.where(matter, shift, 0).astype(np.float32)
    between = (still[:, 1:] + still[:, :-1]) / 2
    start = np.flatnonzero(matter)
    row = (start // columns % rows).astype(np.float32)
    front = np.concatenate([still[:, :1], between], axis=1).ravel()[start] + row
    back = np.concatenate([between, still[:, -1:]], axis=1).ravel()[start] + row + 1
    low, high = np.minimum(front, back), np.maximum(front, back)
    high = np.maximum(high, low + np.float32(1e-3))
    per_voxel = 1 / (high - low)
    first = np.floor(low)
    line = start - row.astype(np.intp) * columns
    parts = []
    while len(start):
        share = (np.minimum(high, first + 1) - np.maximum(low, first)) * per_voxel
        kept = (first >= 0) & (first < rows) & (share > 0)
        parts.append((start[kept], (line + first.astype(np.intp) * columns)[kept], share[kept]))
        first = first + 1
        more = high > first
        start, line, low, high, per_voxel, first = (a[more] for a in (start, line, low, high, per_voxel, first))
    return Movement(shift.shape, tuple(parts))
