"""Checks that a MetaImage file (.mha) is whole before ITK reads it.

ITK prints to stderr about a short file, and returns garbage for compressed voxels that do not unpack.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from StrokeSegLib.errors import InputError

_BYTES = {"CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4,
          "FLOAT": 4, "DOUBLE": 8, "LONG_LONG": 8, "ULONG_LONG": 8}  # fmt: skip
_CHUNK_BYTES = 1 << 24
_MAX_HEADER_LINES = 200


def check_whole(path: Path) -> None:
    """Refuses a .mha whose voxels are not all there; a header with its voxels in another file is left to ITK.

    Raises:
        InputError: No MetaImage header, or fewer voxels than it promises.
        OSError: The file can not be opened.
    """
    with path.open("rb") as file:
        header: dict[str, str] = {}
        while len(header) < _MAX_HEADER_LINES and "ElementDataFile" not in header:
            key, equals, value = file.readline(4096).decode("latin-1").partition("=")
            if not equals:
                raise InputError(
                    f"{path} is not a MetaImage file (its header is missing or cut short): give a .mha image"
                )
            header[key.strip()] = value.strip()
        if header.get("ElementDataFile") != "LOCAL":
            return
        try:
            voxel = _BYTES[header["ElementType"].removeprefix("MET_")] * int(header.get("ElementNumberOfChannels", 1))
            needed = voxel
            for size in header["DimSize"].split():
                needed *= int(size)
        except (KeyError, ValueError) as error:
            raise InputError(f"{path} has a broken MetaImage header (no valid {error}): write it again") from error
        zipped = header.get("CompressedData", "").lower() == "true"
        found = 0
        try:
            unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # zlib or gzip
            while found < needed and (chunk := file.read(_CHUNK_BYTES)):
                found += len(unpack.decompress(chunk)) if zipped else len(chunk)
        except zlib.error as error:
            raise InputError(f"{path} is damaged, its compressed voxels do not unpack: copy it again") from error
    if found < needed:
        raise InputError(
            f"{path} is cut short: {needed - found} of {needed} bytes of voxels are missing, copy it again"
        )
