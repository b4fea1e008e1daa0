"""Where a CT's slice may hold a part of bone: right below or above bone, nobody can tell that part from fresh blood.

A tenth of bone's 300 HU and more brings brain to the HU of blood. That happens where the skull lies aslant to thick
slices, at the vertex and the base, and wherever slices were blended from thicker ones on their way here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.preprocess.ct_brain import BONE_HU, bone_hu


def beside_bone(hu: NDArray[Any]) -> NDArray[np.bool_]:
    """Voxels with bone right below or above them, in the next slice.

    Args:
        hu: Axial, ``(K, J, I)``, Hounsfield units. One that was clipped to a window shows no difference between blood
            and bone: none is beside bone then.
    """
    beside = np.zeros(hu.shape, bool)
    if bone_hu(hu) < BONE_HU:
        return beside
    bone = hu > BONE_HU
    beside[1:] |= bone[:-1]
    beside[:-1] |= bone[1:]
    return beside
