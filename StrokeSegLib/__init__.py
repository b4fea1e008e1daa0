"""StrokeSeg's library: stroke lesions on CT and MRI, without Slicer.

    from StrokeSegLib import segment
    result = segment({"dwi": "dwi.nii.gz", "adc": "adc.nii.gz"}, model="mri")
    print(result.measurements["total_volume_ml"])

Importing this is light: ``segment`` and what it needs load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "segment"]

if TYPE_CHECKING:
    from StrokeSegLib.segmentation import segment


def __getattr__(name: str) -> Any:
    if name == "segment":
        from StrokeSegLib.segmentation import segment

        return segment
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
