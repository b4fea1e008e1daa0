"""DICOM files for tests: slices whose values tell their place, and series of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.volume import Volume

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
#: Rows along x, columns leaning 18 degrees out of the axial plane.
TILT = np.radians(18.0)
LEANING = (1.0, 0.0, 0.0, 0.0, float(np.cos(TILT)), -float(np.sin(TILT)))
#: Values of a ramp grow by this much a mm along (x, y, z), so that a value tells its place.
RAMP = np.array([3.0, 5.0, 11.0])


def dicom_slice(
    path: Path,
    pixels: np.ndarray,
    position: tuple[float, float, float],
    *,
    series: str = "1.2.3",
    axes: tuple[float, ...] = AXIAL,
    slope: float = 1.0,
    intercept: float = 0.0,
    **fields: object,
) -> Path:
    """Writes one CT slice with pixels (j, i) of 2 mm along j and 0.5 mm along i."""
    item = Dataset()
    item.file_meta = FileMetaDataset()
    item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    item.file_meta.MediaStorageSOPClassUID = item.SOPClassUID = CTImageStorage
    item.file_meta.MediaStorageSOPInstanceUID = item.SOPInstanceUID = generate_uid()
    item.PatientName = "Doe^Jane"
    item.SeriesInstanceUID, item.StudyInstanceUID, item.FrameOfReferenceUID = series, "1.2", "1.4"
    item.Modality, item.SeriesDescription = "CT", "head"
    item.ImagePositionPatient, item.ImageOrientationPatient = [f"{v:.7f}" for v in position], [f"{v:.7f}" for v in axes]
    item.PixelSpacing, item.SliceThickness = [2.0, 0.5], 5.0
    item.Rows, item.Columns = pixels.shape[-2:]
    item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
    item.BitsAllocated = item.BitsStored = 8 * pixels.dtype.itemsize
    item.HighBit, item.PixelRepresentation = item.BitsStored - 1, int(pixels.dtype.kind == "i")
    item.RescaleSlope, item.RescaleIntercept = slope, intercept
    item.PixelData = pixels.tobytes()
    for key, value in fields.items():
        setattr(item, key, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    item.save_as(path, enforce_file_format=True)
    return path


def ramp(position: tuple[float, ...], axes: tuple[float, ...], shape: tuple[int, int]) -> np.ndarray:
    """Pixels (j, i) of a slice whose value is RAMP . place in mm."""
    j, i = np.indices(shape)
    places = np.array(position) + 0.5 * i[..., None] * np.array(axes[:3]) + 2.0 * j[..., None] * np.array(axes[3:])
    return np.rint(places @ RAMP).astype(np.int16)


def ramp_series(folder: Path, heights: list[float], axes: tuple[float, ...] = AXIAL, **fields: object) -> None:
    """Slices at (10, -20, height): above each other in the patient, as a table moves, whatever the slices' lean."""
    for index, z in enumerate(heights):
        position = (10.0, -20.0, z)
        name = f"{(index * 7) % len(heights):03d}-{index}.dcm"  # names in another order than places
        dicom_slice(folder / name, ramp(position, axes, (12, 16)), position, axes=axes, **fields)


def worst_place_mm(volume: Volume, margin: int = 0) -> float:
    """How far a voxel's place is from the one its value tells, mm; voxels of the outside (the minimum) are left out."""
    k, j, i = np.nonzero(volume.array > volume.array.min())
    told = volume.array[k, j, i]
    return float(np.abs(volume.ijk_to_lps(np.stack([i, j, k], axis=1)) @ RAMP - told).max() / np.linalg.norm(RAMP))


def one_line(source: Path | str, *words: str) -> str:
    with pytest.raises(InputError) as caught:
        read_image(source)
    message = str(caught.value)
    assert "\n" not in message
    assert "Doe" not in message
    for word in words:
        assert word in message, message
    return message


def two_b_values(folder: Path, **fields: object) -> None:
    """The slices of a b0 are 0 and those of a b1000 are 1 above the ramp."""
    for more, b in enumerate((0.0, 1000.0)):
        tags = {name: value(b) for name, value in fields.items()} or {"DiffusionBValue": b}
        for z in (0.0, 5.0, 10.0):
            position = (10.0, -20.0, z)
            pixels = ramp(position, AXIAL, (12, 16)) + np.int16(more)
            item = pydicom.dcmread(dicom_slice(folder / f"{b:g}-{z:g}.dcm", pixels, position, Modality="MR"))
            for name, value in tags.items():
                put(item, name, value)
            item.save_as(folder / f"{b:g}-{z:g}.dcm")


def put(item: Dataset, name: str, value: object) -> None:
    """A field by its keyword, or a private one by ``group creator element VR``."""
    if "|" not in name:
        setattr(item, name, value)
        return
    group, creator, element, vr = name.split("|")
    item.private_block(int(group, 16), creator, create=True).add_new(int(element, 16), vr, value)
