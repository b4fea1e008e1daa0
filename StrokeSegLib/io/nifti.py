"""Reads NIfTI-1 and NIfTI-2 files (.nii, .nii.gz) byte by byte.

SimpleITK reads a truncated .nii.gz as if it were whole, quietly replaces a singular sform, and drops the third axis of
some single slices. A scan that is wrong must not pass for a scan, so this file reads the header and the stream itself.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from StrokeSegLib.errors import InputError
from StrokeSegLib.io.reading import Reading, several_volumes_error
from StrokeSegLib.volume import LPS_TO_RAS, ORTHONORMAL_TOLERANCE, Volume

#: Where each field lies in the two headers: name, numpy format, byte offset (nifti1.h and nifti2.h of the standard).
NIFTI1 = {
    "sizeof_hdr": ("i4", 0), "dim": ("8i2", 40), "datatype": ("i2", 70), "bitpix": ("i2", 72),
    "pixdim": ("8f4", 76), "vox_offset": ("f4", 108),
    "scl_slope": ("f4", 112), "scl_inter": ("f4", 116), "xyzt_units": ("u1", 123), "qform_code": ("i2", 252),
    "sform_code": ("i2", 254), "quatern": ("3f4", 256), "qoffset": ("3f4", 268), "srow": ("(3,4)f4", 280),
    "magic": ("S4", 344),
}  # fmt: skip
_NIFTI2 = {
    "magic": ("S4", 4), "datatype": ("i2", 12), "dim": ("8i8", 16), "pixdim": ("8f8", 104), "vox_offset": ("i8", 168),
    "scl_slope": ("f8", 176), "scl_inter": ("f8", 184), "qform_code": ("i4", 344), "sform_code": ("i4", 348),
    "quatern": ("3f8", 352), "qoffset": ("3f8", 376), "srow": ("(3,4)f8", 400), "xyzt_units": ("i4", 500),
}  # fmt: skip
_HEADERS = {348: NIFTI1, 540: _NIFTI2}
#: NIfTI's code of each type of voxel that is read.
DTYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_NOT_SCALAR = {32: "complex", 128: "RGB color", 1792: "complex", 2304: "RGBA color"}
#: Spatial unit code (low three bits of xyzt_units) -> mm; unknown is taken for mm, as everyone does.
_UNIT_MM = {1: 1000.0, 3: 0.001}
#: sform and qform that place a corner further apart than this are worth a warning.
_FORMS_AGREE_MM = 0.1
#: deflate can not shrink more than this: bounds what a small file can promise.
_DEFLATE_LIMIT = 1100
_CHUNK_BYTES = 1 << 24

Header = NDArray[np.void]


def read_nifti(path: Path) -> Reading:
    """The image of a NIfTI file; a trailing fourth size of 1 is dropped.

    Raises:
        InputError: Not NIfTI, not whole, not scalar, several volumes, or its geometry is not that of a regular grid.
        OSError: The file can not be opened.
    """
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            return _read(path, cast(IO[bytes], gzip.GzipFile(fileobj=raw) if zipped else raw), zipped)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"{path} is not a whole gzip file ({error}): it was cut short or damaged, copy it again"
            ) from error


def _read(path: Path, stream: IO[bytes], zipped: bool) -> Reading:
    header, dtype, end = _read_header(path, stream)
    size = _size(path, header)
    volumes = math.prod(size[3:])
    needed = math.prod(size) * dtype.itemsize
    if path.stat().st_size * (_DEFLATE_LIMIT if zipped else 1) < needed:
        raise InputError(
            f"{path} is cut short: its header promises {needed} bytes of voxels (size {size}), "
            f"the file has {path.stat().st_size} bytes; copy it again"
        )
    _skip(stream, int(header["vox_offset"]) - end)
    array = np.empty(size[2::-1], dtype)  # (k, j, i)
    means = []
    for _ in range(volumes):
        _fill(path, stream, array)
        if volumes > 1:
            means.append(float(array.mean(dtype=np.float64)))
    while zipped and stream.read(_CHUNK_BYTES):  # to the end, where gzip checks its sum
        pass
    if volumes > 1:
        raise InputError(several_volumes_error(str(path), size, means, "[:, :, :, {n}]"))
    return _on_grid(path, header, size, _scaled(array, float(header["scl_slope"]), float(header["scl_inter"])))


def plain_voxels(path: Path) -> tuple[Volume, int] | None:
    """Where the voxels of a NIfTI file lie, so that they can be read part by part.

    Returns:
        The image's grid, with an array of the voxels' type that is all 0 and takes no memory, and the position of the
        first voxel in the file. None for what ``read_nifti`` must read as a whole, or refuse: a file that is zipped,
        cut short or scaled, holds doubles, numbers of another byte order or several volumes.

    Raises:
        InputError: Not NIfTI, not scalar, or its geometry is not that of a regular grid.
        OSError: The file can not be opened.
    """
    with path.open("rb") as raw:
        if raw.read(2) == b"\x1f\x8b":
            return None
        raw.seek(0)
        header, dtype, end = _read_header(path, raw)
    size, start = _size(path, header), max(end, int(header["vox_offset"]))
    whole = path.stat().st_size >= start + math.prod(size) * dtype.itemsize
    scaled = _asks_for_scale(float(header["scl_slope"]), float(header["scl_inter"]))
    if len(size) > 3 or not whole or not dtype.isnative or dtype == np.float64 or scaled:
        return None
    return _on_grid(path, header, size, np.broadcast_to(np.zeros((), dtype), size[::-1])).volume, start


def _on_grid(path: Path, header: Header, size: tuple[int, ...], array: NDArray[Any]) -> Reading:
    affine, warnings = _affine_ras(path, header, size)
    spacing = np.linalg.norm(affine[:, :3], axis=0)
    volume = Volume(
        array,
        (spacing[0], spacing[1], spacing[2]),
        tuple(LPS_TO_RAS @ affine[:, 3]),
        LPS_TO_RAS @ affine[:, :3] / spacing,
    )
    return Reading(volume, warnings)


def _read_header(path: Path, stream: IO[bytes]) -> tuple[Header, np.dtype[Any], int]:
    """Header, dtype of the voxels as stored, and the position just behind the header."""
    start = stream.read(4)
    order: Literal["<", ">"] = "<" if int.from_bytes(start, "little") in _HEADERS else ">"
    length = int.from_bytes(start, "little" if order == "<" else "big")
    if length not in _HEADERS:
        raise InputError(f"{path} is not a NIfTI file (its first bytes are {start!r}): give a .nii or .nii.gz image")
    rest = stream.read(length - 4)
    if len(rest) < length - 4:
        raise InputError(f"{path} ends inside its NIfTI header: it was cut short, copy it again")
    header = np.frombuffer(start + rest, layout(_HEADERS[length], length).newbyteorder(order))[0]
    code = int(header["datatype"])
    if code in _NOT_SCALAR:
        raise InputError(f"{path} holds {_NOT_SCALAR[code]} voxels, one number a voxel is needed: convert it to gray")
    if code not in DTYPES or header["magic"][:2] != b"n+":
        raise InputError(
            f"{path} has NIfTI datatype {code} and magic {bytes(header['magic'])!r}, a single-file NIfTI of real "
            f"numbers is needed: convert it, for example with Slicer"
        )
    return header, np.dtype(DTYPES[code]).newbyteorder(order), length


def layout(fields: Mapping[str, tuple[str, int]], count_bytes: int) -> np.dtype[Any]:
    """Where the fields of a header lie, little-endian."""
    return np.dtype(
        {"names": list(fields), "formats": [f for f, _ in fields.values()],
         "offsets": [o for _, o in fields.values()], "itemsize": count_bytes}
    ).newbyteorder("<")  # fmt: skip


def _size(path: Path, header: Header) -> tuple[int, ...]:
    """Size along i, j, k and any further axis longer than 1; at least three numbers."""
    count = int(header["dim"][0])
    size = [int(n) for n in header["dim"][1 : count + 1]]
    if not 1 <= count <= 7 or min(size) < 1:
        raise InputError(f"{path} has an empty or impossible size {size}, a 3D image is needed: repair its header")
    size += [1] * (3 - len(size))
    if len(size) > 4 and size[4] > 1:
        raise InputError(
            f"{path} holds {math.prod(size[3:])} numbers a voxel (size {size}: color or vectors), "
            f"one is needed: convert it to a scalar 3D image"
        )
    while len(size) > 3 and size[-1] == 1:
        size.pop()
    return tuple(size)


def _skip(stream: IO[bytes], count: int) -> None:
    while count > 0 and (skipped := len(stream.read(min(count, _CHUNK_BYTES)))):
        count -= skipped


def _fill(path: Path, stream: IO[bytes], array: NDArray[Any]) -> None:
    view = memoryview(array.reshape(-1).view(np.uint8).data)
    done = 0
    while done < len(view):
        got = stream.readinto(view[done : done + _CHUNK_BYTES])  # type: ignore[attr-defined]
        if not got:
            raise InputError(f"{path} is cut short: {len(view) - done} bytes of voxels are missing, copy it again")
        done += got


def _scaled(array: NDArray[Any], slope: float, inter: float) -> NDArray[Any]:
    """Values in the file's own unit: native byte order, float32 where the header asks for a scale or has doubles."""
    scale = _asks_for_scale(slope, inter)
    if array.dtype.kind != "f" and not scale:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite, which read_image reports
        values = array.astype(np.float32, copy=False)
        if scale:
            values *= np.float32(slope)
            values += np.float32(inter)
    return values


def _asks_for_scale(slope: float, inter: float) -> bool:
    return math.isfinite(slope) and slope != 0 and math.isfinite(inter) and (slope, inter) != (1, 0)


def _affine_ras(path: Path, header: Header, size: tuple[int, ...]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The 3x4 matrix from voxel index (i, j, k) to mm RAS, and warnings. The sform leads, as in nibabel and FSL."""
    unit = _UNIT_MM.get(int(header["xyzt_units"]) & 7, 1.0)
    has_sform, has_qform = int(header["sform_code"]) > 0, int(header["qform_code"]) > 0
    sform: NDArray[np.float64] = np.asarray(header["srow"], np.float64) * unit
    if not has_sform:
        affine = _qform(path, header, size, has_qform) * unit
        lost = f"{path} does not say how it lies in the patient (no sform, no qform): left and right are a guess"
        return affine, () if has_qform else (lost,)
    spacing = np.linalg.norm(sform[:, :3], axis=0)
    if not np.all(np.isfinite(sform)) or spacing.min() == 0 or _det(sform[:, :3] / spacing) < ORTHONORMAL_TOLERANCE:
        raise InputError(
            f"{path} has a singular sform matrix {np.round(sform, 3).tolist()}, a 3D grid is needed: "
            f"repair its header, or set its sform code to 0 to use the qform"
        )
    if not has_qform:
        return sform, ()
    qform = _qform(path, header, size, True) * unit
    unit_axes = sform[:, :3] / spacing
    if np.abs(unit_axes.T @ unit_axes - np.eye(3)).max() > ORTHONORMAL_TOLERANCE:
        return qform, (f"{path} has a sheared sform (its axes are not at right angles): its qform was used instead",)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in size[:3]], [1])).reshape(4, -1)
    apart_mm = float(np.linalg.norm((sform - qform) @ corners, axis=0).max())
    if apart_mm > _FORMS_AGREE_MM:
        return sform, (f"{path} has a sform and a qform that differ by {apart_mm:.1f} mm: the sform was used",)
    return sform, ()


def _det(matrix: NDArray[np.float64]) -> float:
    return abs(float(np.linalg.det(matrix)))


def _qform(path: Path, header: Header, size: tuple[int, ...], placed: bool) -> NDArray[np.float64]:
    """The 3x4 matrix of the qform in the header's unit; of the bare voxel sizes where it is not placed."""
    pixdim = np.asarray(header["pixdim"], np.float64)
    spacing = np.array([pixdim[axis + 1] or float(size[axis] == 1) for axis in range(3)])  # 2D files leave the third 0
    if not np.all(np.isfinite(spacing)) or spacing.min() <= 0:
        raise InputError(f"{path} has voxel sizes {spacing.tolist()}, positive mm are needed: repair its header")
    if not placed:
        return np.column_stack([np.diag(spacing), np.zeros(3)])
    b, c, d = np.asarray(header["quatern"], np.float64)
    offset = np.asarray(header["qoffset"], np.float64)
    rest = 1.0 - (b * b + c * c + d * d)
    if not (np.all(np.isfinite(offset)) and rest > -ORTHONORMAL_TOLERANCE):  # also false for NaN
        raise InputError(f"{path} has no valid rotation in its qform ({b}, {c}, {d}): repair its header")
    a = np.sqrt(max(rest, 0.0))
    b, c, d = np.array([b, c, d]) / np.sqrt(a * a + b * b + c * c + d * d)
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    handed = np.array([1.0, 1.0, -1.0 if pixdim[0] < 0 else 1.0])
    return np.column_stack([rotation * handed * spacing, offset])
