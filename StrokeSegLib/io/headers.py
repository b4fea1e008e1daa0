"""The headers of the files that are written byte by byte: NIfTI-1, and NRRD with Slicer's fields."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.io.nifti import DTYPES, NIFTI1, layout
from StrokeSegLib.volume import LPS_TO_RAS, Volume

#: Voxels along one axis that a NIfTI-1 header can tell.
MOST_VOXELS = 32767
_CODES = {dtype: code for code, dtype in DTYPES.items()}
_HEADER_BYTES, _VOXELS_AT = 348, 352
_MM, _SCANNER = 2, 1


def fits_nifti(volume: Volume) -> bool:
    """Whether NIfTI-1 has this type of voxels, and room for the size."""
    return f"{volume.array.dtype.kind}{volume.array.dtype.itemsize}" in _CODES and max(volume.size_ijk) <= MOST_VOXELS


def nifti_header(volume: Volume) -> bytes:
    """The 352 bytes before the voxels; qform and sform both say where the grid lies."""
    header = np.zeros((), layout(NIFTI1, _HEADER_BYTES))
    array = volume.array
    axes_ras = LPS_TO_RAS @ volume.direction
    origin_ras = LPS_TO_RAS @ volume.origin
    handed = -1.0 if np.linalg.det(axes_ras) < 0 else 1.0
    header["sizeof_hdr"] = _HEADER_BYTES
    header["dim"] = [3, *volume.size_ijk, 1, 1, 1, 1]
    header["datatype"] = _CODES[f"{array.dtype.kind}{array.dtype.itemsize}"]
    header["bitpix"] = 8 * array.dtype.itemsize
    header["pixdim"] = [handed, *volume.spacing_mm, 0, 0, 0, 0]
    header["vox_offset"] = _VOXELS_AT
    header["scl_slope"] = 1
    header["xyzt_units"] = _MM
    header["qform_code"] = header["sform_code"] = _SCANNER
    header["quatern"] = _quaternion(axes_ras * [1.0, 1.0, handed])
    header["qoffset"] = origin_ras
    header["srow"] = np.column_stack([axes_ras * volume.spacing_mm, origin_ras])
    header["magic"] = b"n+1"
    return header.tobytes().ljust(_VOXELS_AT, b"\0")


def _quaternion(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """(b, c, d) of the rotation nearest to a matrix, with a >= 0 (Bar-Itzhack 2000, doi:10.2514/2.4654)."""
    r = rotation
    diagonal = [r[0, 0] - r[1, 1] - r[2, 2], r[1, 1] - r[0, 0] - r[2, 2], r[2, 2] - r[0, 0] - r[1, 1], np.trace(r)]
    lower = np.zeros((4, 4))
    lower[1, 0], lower[2, 0], lower[2, 1] = r[1, 0] + r[0, 1], r[2, 0] + r[0, 2], r[2, 1] + r[1, 2]
    lower[3, :3] = r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]
    _, vectors = np.linalg.eigh(lower + np.diag(diagonal))  # reads the lower half
    b, c, d, a = vectors[:, -1]
    return np.array([b, c, d]) * (-1.0 if a < 0 else 1.0)


def nrrd_header(volume: Volume, fields: Mapping[str, str]) -> bytes:
    """The header of a gzip-encoded NRRD of uint8 voxels, with key/value pairs."""

    def vector(values: object) -> str:
        return "(" + ",".join(repr(float(value)) for value in np.asarray(values).ravel()) + ")"

    directions = (volume.direction * volume.spacing_mm).T
    lines = [
        "NRRD0004",
        "type: unsigned char",
        "dimension: 3",
        "space: left-posterior-superior",
        "sizes: " + " ".join(map(str, volume.size_ijk)),
        "space directions: " + " ".join(vector(one) for one in directions),
        "kinds: domain domain domain",
        "encoding: gzip",
        "space origin: " + vector(volume.origin),
        *(f"{key}:={_one_line(value)}" for key, value in fields.items()),
    ]
    return ("\n".join(lines) + "\n\n").encode()


def _one_line(value: str) -> str:
    """A line break would end the field; NRRD reads a backslash as the start of an escape."""
    return value.replace("\n", " ").replace("\\", "\\\\")
