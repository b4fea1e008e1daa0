"""What every reader of image files gives back, and the reading frame around SimpleITK."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import SimpleITK as sitk

from StrokeSegLib.volume import Volume


@dataclass(frozen=True)
class Reading:
    """An image as it was read.

    Attributes:
        volume: The image; integer voxels stay integers, doubles become float32, no voxel is NaN or infinite.
        warnings: Sentences for the user about what had to be changed or guessed; none holds a patient's name.
        modality: DICOM's word, such as ``CT`` or ``MR``; None for files that do not say.
    """

    volume: Volume
    warnings: tuple[str, ...] = ()
    modality: str | None = None


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Keeps ITK's C++ warnings off stderr inside the block: what matters in them becomes our own warnings."""
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def several_volumes_error(path: str, size: tuple[int, ...], means: list[float], index: str) -> str:
    """The message for a 4D image: how many volumes it holds, which is which where that can be told, and the cure.

    Args:
        path: The file, as the user gave it.
        size: Size along i, j, k and further axes, as a header gives it.
        means: Mean intensity of each volume. b-weighting darkens, so in a diffusion series the lowest is the highest b.
        index: How SimpleITK selects volume ``{n}`` of this file, such as ``[:, :, :, {n}]``.
    """
    brightest, darkest = means.index(max(means)), means.index(min(means))
    command = f"s.WriteImage(s.ReadImage('{path}'){index.format(n=darkest)}, 'volume{darkest}.nii.gz')"
    return (
        f"{path} holds {len(means)} volumes (size {' x '.join(map(str, size))}), one 3D volume is needed; "
        f"if it is a diffusion series, volume {brightest} (highest mean, {means[brightest]:.4g}) is likely the b0 and "
        f"volume {darkest} (lowest mean, {means[darkest]:.4g}) the high b-value (b1000): extract the one you need, "
        f'for volume {darkest}: python -c "import SimpleITK as s; {command}"'
    )
