"""What speaks against the inputs: one image given twice, DWI and ADC swapped, a brain of an impossible size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.preprocess.brain import foreground
from StrokeSegLib.preprocess.padding import evenly

#: Images that correlate more than this are one image, whatever its scale; no DWI and ADC of a head do.
SAME_CORRELATION = 0.9999
#: In ADC, fluid lies far above the tissue's median and nothing as far below; in DWI it lies below. How far is compared
#: from the median to these percentiles, and DWI has to be so much more one-sided than ADC to look like one.
ASIDE_PERCENTILES, SWAPPED_RATIO = (5.0, 50.0, 90.0), 3.0
#: A brain less than this in a scan higher than this is worth a word, mL and mm.
SMALL_BRAIN_ML, WHOLE_HEAD_MM = 400.0, 120.0
#: No brain with its fluid, and what of a neck may pass for it, is larger, mL.
LARGEST_BRAIN_ML = 3000.0


def refuse_same_image_twice(dwi: NDArray[Any], adc: NDArray[Any]) -> None:
    """Refuses one image as DWI and ADC: a network finds lesions in such a pair that nobody has.

    Args:
        dwi, adc: ``(K, J, I)`` on one grid.

    Raises:
        InputError: They are one image, up to its scale.
    """
    a, b = (evenly(image).astype(np.float64) for image in (dwi, adc))
    covariance = np.mean((a - a.mean()) * (b - b.mean()))
    if covariance > SAME_CORRELATION * a.std() * b.std() > 0:
        raise InputError("dwi and adc are the same image; needed one image for each; check the paths")


def swapped_doubts(dwi: NDArray[np.float32], adc: NDArray[np.float32]) -> tuple[str, ...]:
    """A sentence where each of the pair looks like the other, whatever their scales; nothing where they are in doubt.

    Args:
        dwi, adc: ``(K, J, I)`` on one grid.
    """
    head = foreground(dwi) & foreground(adc)
    if not head.any() or _one_sided(dwi[head]) <= SWAPPED_RATIO * _one_sided(adc[head]):
        return ()
    return ("dwi and adc look swapped (fluid is bright in dwi and dark in adc): check which file is which",)


def _one_sided(values: NDArray[np.float32]) -> float:
    """How much further the bright side of a distribution reaches than the dark one."""
    low, middle, high = np.percentile(evenly(values, 100_000), ASIDE_PERCENTILES)
    return float((high - middle) / max(middle - low, 1e-6 * abs(middle) + 1e-12))


def size_doubts(brain: NDArray[Any], spacing_mm: tuple[float, float, float], needed: str) -> tuple[str, ...]:
    """What is odd in the volume of a brain mask: sentences for the user.

    Args:
        brain: Axial, ``(K, J, I)``.
        spacing_mm: Along ``(i, j, k)``.
        needed: What the image should be, such as "a scan of the head".
    """
    ml, scan_mm = float(brain.sum()) * float(np.prod(spacing_mm)) / 1000, len(brain) * spacing_mm[2]
    if ml > LARGEST_BRAIN_ML:
        return (f"{ml:.0f} mL were taken for brain, more than any brain has: check that this is {needed}",)
    if ml < SMALL_BRAIN_ML and scan_mm > WHOLE_HEAD_MM:
        return (
            f"only {ml:.0f} mL of brain were found in {scan_mm:.0f} mm of scan: "
            "check that it shows the whole head, and look for lesions outside of what was searched",
        )
    return ()
