"""Writes a volume for another process of the same machine: uncompressed, exact, and in small steps.

An event loop can write a large volume this way without standing still. Unlike ``write_image`` it neither waits for the
disk nor reads the file back: whoever reads it refuses a file that is cut short.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from StrokeSegLib.errors import InputError
from StrokeSegLib.volume import Volume

#: Written in one step: a few milliseconds.
STEP_BYTES = 4 << 20
_ELEMENT_TYPES = {
    "int8": "MET_CHAR", "uint8": "MET_UCHAR", "int16": "MET_SHORT", "uint16": "MET_USHORT", "int32": "MET_INT",
    "uint32": "MET_UINT", "int64": "MET_LONG_LONG", "uint64": "MET_ULONG_LONG", "float32": "MET_FLOAT",
    "float64": "MET_DOUBLE",
}  # fmt: skip
#: Types that the format has not, and what holds all their values.
_WIDER = {"bool": "uint8", "float16": "float32"}


def written_in_steps(volume: Volume, path: Path) -> Iterator[None]:
    """Writes a MetaImage file (.mha), a step at each turn of the loop over what this returns.

    Raises:
        InputError: Voxels of a type that the format has not.
        OSError: The file cannot be written, or the disk is full.
    """
    kind = _WIDER.get(volume.array.dtype.name, volume.array.dtype.name)
    if kind not in _ELEMENT_TYPES:
        raise InputError(f"voxels of type {kind} can not be handed over; convert the volume to a real number type")
    return _steps(volume, path, kind)


def _steps(volume: Volume, path: Path, kind: str) -> Iterator[None]:
    little_endian = np.dtype(kind).newbyteorder("<")
    array = volume.array
    planes = max(1, STEP_BYTES // max(1, array[0].size * little_endian.itemsize))
    with path.open("wb", buffering=0) as file:
        file.write(_header(volume, _ELEMENT_TYPES[kind]).encode("ascii"))
        for first in range(0, len(array), planes):
            rest = np.ascontiguousarray(array[first : first + planes], little_endian).data.cast("B")
            while rest:
                rest = rest[file.write(rest) :]
            yield


def _header(volume: Volume, element_type: str) -> str:
    def numbers(values: object) -> str:
        return " ".join(repr(float(value)) for value in np.asarray(values).ravel())

    lines = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": numbers(volume.direction.T),  # an axis after the other
        "Offset": numbers(volume.origin),
        "CenterOfRotation": "0 0 0",
        "ElementSpacing": numbers(volume.spacing_mm),
        "DimSize": " ".join(map(str, volume.size_ijk)),
        "ElementType": element_type,
        "ElementDataFile": "LOCAL",  # must be the last
    }
    return "".join(f"{key} = {value}\n" for key, value in lines.items())
