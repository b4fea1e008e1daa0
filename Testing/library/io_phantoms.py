"""Image files as their standards lay them out, and what a bad one has to answer."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.volume import Volume

LPS = np.diag([-1.0, -1.0, 1.0])


def turned(degrees: float = 25.0) -> np.ndarray:
    """An oblique right-handed rotation about (1, 2, 3)."""
    axis = np.array([1.0, 2.0, 3.0]) / np.sqrt(14)
    cross = np.cross(np.eye(3), axis)
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def phantom(dtype: str = "i2", direction: np.ndarray | None = None) -> Volume:
    """4 x 5 x 6 voxels (i, j, k), every value different."""
    array = np.arange(120, dtype=dtype).reshape(6, 5, 4)
    return Volume(array, (0.9, 1.1, 5.0), (-31.25, 17.5, 8.125), turned() if direction is None else direction)


LEFT_HANDED = turned() @ np.diag([1.0, 1.0, -1.0])


def nifti_bytes(
    array: np.ndarray | None = None,
    *,
    dim: tuple[int, ...] | None = None,
    datatype: int = 4,
    pixdim: tuple[float, ...] = (1, 2, 2, 3, 0, 0, 0, 0),
    qform: tuple[float, ...] | None = None,
    sform: np.ndarray | None = None,
    scale: tuple[float, float] = (0.0, 0.0),
    units: int = 2,
    order: str = "<",
) -> bytes:
    """A NIfTI-1 file, field by field as the standard lays it out; array is (k, j, i), qform is (b, c, d, x, y, z)."""
    array = np.arange(24, dtype="i2").reshape(4, 3, 2) if array is None else array
    size = dim or array.shape[::-1]
    header = bytearray(352)
    struct.pack_into(order + "i", header, 0, 348)
    struct.pack_into(order + "8h", header, 40, len(size), *size, *[1] * (7 - len(size)))
    struct.pack_into(order + "hh", header, 70, datatype, 8 * array.dtype.itemsize)
    struct.pack_into(order + "8f", header, 76, *pixdim)
    struct.pack_into(order + "fff", header, 108, 352, *scale)
    header[123] = units
    struct.pack_into(order + "hh", header, 252, int(qform is not None), int(sform is not None))
    struct.pack_into(order + "6f", header, 256, *(qform or (0,) * 6))
    struct.pack_into(order + "12f", header, 280, *(np.zeros(12) if sform is None else np.ravel(sform)))
    header[344:348] = b"n+1\0"
    return bytes(header) + array.astype(array.dtype.newbyteorder(order)).tobytes()


def saved(folder: Path, content: bytes, name: str = "image.nii") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def one_line(path: Path | str, *words: str) -> str:
    """The error for a bad file: one line that names the file and holds the words."""
    with pytest.raises(InputError) as caught:
        read_image(path)
    message = str(caught.value)
    assert "\n" not in message
    assert Path(str(path).split("#")[0]).name in message
    assert "itk" not in message.lower().replace("simpleitk", "").replace(str(path).lower(), "")
    for word in words:
        assert word in message, message
    return message
