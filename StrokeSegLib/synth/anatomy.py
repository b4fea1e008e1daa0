"""Heads as tissue maps: from label maps in a folder, or procedural (``procedural.py``) when there are none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.volume import from_sitk


class Tissue(IntEnum):
    """What a voxel of a head is made of."""

    AIR = 0
    WHITE_MATTER = 1
    CORTEX = 2
    CSF = 3
    DEEP_GRAY = 4
    PALLIDUM = 5
    CEREBELLUM_WHITE = 6
    CEREBELLUM_GRAY = 7
    BRAINSTEM = 8
    CHOROID_PLEXUS = 9
    BONE = 10
    MARROW = 11
    SCALP = 12
    MUSCLE = 13
    EYE = 14
    MUCOSA = 15
    VESSEL = 16


#: Tissues in which a stroke lesion may lie.
PARENCHYMA = (
    Tissue.WHITE_MATTER,
    Tissue.CORTEX,
    Tissue.DEEP_GRAY,
    Tissue.PALLIDUM,
    Tissue.CEREBELLUM_WHITE,
    Tissue.CEREBELLUM_GRAY,
    Tissue.BRAINSTEM,
)
#: Parenchyma and what lies among it: what is left after skull stripping.
BRAIN = (*PARENCHYMA, Tissue.CSF, Tissue.CHOROID_PLEXUS)

#: FreeSurfer numbers of the brain, and the extra-cerebral numbers (502-530) of the SynthSeg training label maps.
LABELS: dict[Tissue, tuple[int, ...]] = {
    Tissue.WHITE_MATTER: (2, 41, 25, 57, 77, 85),
    Tissue.CORTEX: (3, 42),
    Tissue.CSF: (4, 43, 5, 44, 14, 15, 72, 24),
    Tissue.DEEP_GRAY: (10, 49, 11, 50, 12, 51, 17, 53, 18, 54, 26, 58),
    Tissue.PALLIDUM: (13, 52),
    Tissue.CEREBELLUM_WHITE: (7, 46),
    Tissue.CEREBELLUM_GRAY: (8, 47),
    Tissue.BRAINSTEM: (16, 28, 60),
    Tissue.CHOROID_PLEXUS: (31, 63, 136, 137, 163, 164),
    Tissue.BONE: (515,),
    Tissue.MARROW: (516,),
    Tissue.SCALP: (511,),
    Tissue.MUSCLE: (507, 512, 530),
    Tissue.EYE: (506, 508),
    Tissue.MUCOSA: (509,),
    Tissue.VESSEL: (30, 62, 502, 514),
}


@dataclass(frozen=True, eq=False)
class Head:
    """A head to make images of.

    Attributes:
        tissue: ``Tissue`` numbers, uint8, shape ``(K, J, I)``, axes along LPS, cropped to the brain with a margin.
        spacing_mm: Voxel size, the same along all axes.
        to_template: 3x4, from mm in this head (relative to voxel 0, LPS axes) to mm in the space of the lesion masks
            (relative to their voxel 0); None until ``lesions.register_to_template`` finds it.
    """

    tissue: NDArray[np.uint8]
    spacing_mm: float
    to_template: NDArray[np.float64] | None = None


def load_heads(folder: Path) -> list[Head]:
    """All label maps (``*.nii.gz``) of a folder as heads.

    Raises:
        InputError: No label map there, or a map holds a number that is no known tissue.
    """
    files = sorted(folder.glob("*.nii.gz"))
    if not files:
        raise InputError(f"no label maps in {folder}: needed *.nii.gz with FreeSurfer numbers; name another folder")
    return [head_from_labels(file) for file in files]


def head_from_labels(file: Path, margin_mm: float = 18.0) -> Head:
    """A head from one label map of 1 mm voxels or so, cropped to the brain and ``margin_mm`` around it."""
    volume = from_sitk(sitk.DICOMOrient(sitk.ReadImage(str(file)), "LPS"))
    labels = volume.array.astype(np.int32)
    lut = np.full(int(labels.max()) + 1, 255, np.uint8)
    lut[0] = Tissue.AIR
    for tissue, numbers in LABELS.items():
        for number in numbers:
            if number < lut.size:
                lut[number] = tissue
    tissue_map = lut[labels]
    if (tissue_map == 255).any():
        unknown = np.unique(labels[tissue_map == 255])[:5].tolist()
        raise InputError(f"{file.name} holds unknown label numbers {unknown}; known: FreeSurfer and 502-530")
    brain = np.argwhere(np.isin(tissue_map, PARENCHYMA))
    margin = round(margin_mm / volume.spacing_mm[0])
    low = np.maximum(brain.min(axis=0) - margin, 0)
    high = np.minimum(brain.max(axis=0) + 1 + margin, tissue_map.shape)
    crop = tissue_map[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    return Head(np.ascontiguousarray(crop), float(volume.spacing_mm[0]))
