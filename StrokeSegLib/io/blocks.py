"""Arrays as bytes of a file, block by block: rounded, deflated in threads, runs of zeros at almost no cost.

A label map or a probability map is nearly all zeros. The blocks are parts of one gzip stream, each ended by a flush
point, so that they can be made at the same time and any gzip reader reads them as one.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Small enough that a slice without lesion is mostly blocks of zeros, large enough to deflate as well as the whole.
BLOCK_BYTES = 1 << 18
#: A third of the time of zlib's own choice, for a file of noise-free maps that is some percent larger.
LEVEL = 1
_THREADS = 4
#: Blocks that a thread makes in one go.
_BLOCKS_AT_ONCE = 8
#: Magic, deflate, no flags, no time (the same data give the same bytes), fastest, unknown system.
_START = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
#: An empty last block of fixed codes.
_END = b"\x03\x00"
_Bytes: TypeAlias = NDArray[np.uint8]


def write_gzip(file: IO[bytes], header: bytes, array: NDArray[Any], decimals: int | None = None) -> int:
    """Writes a header and an array's voxels as one gzip stream.

    Args:
        file: Open for writing.
        header: Comes first.
        array: In memory order C after what may be a copy; little-endian in the file.
        decimals: Values are rounded to so many; as they are when None.

    Returns:
        CRC-32 of the bytes of the file, by which it can be checked when read back.
    """
    written = 0

    def write(data: bytes) -> None:
        nonlocal written
        file.write(data)
        written = zlib.crc32(data, written)

    write(_START + _deflated(header))
    checksum, size = zlib.crc32(header), len(header)
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for made in pool.map(partial(_made, decimals), _runs(array, _BLOCKS_AT_ONCE)):
            for one in made:
                write(one.deflated)
                checksum, size = _joined(checksum, one.checksum, one.size), size + one.size
    write(_END + checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little"))
    return written


def write_plain(file: IO[bytes], header: bytes, array: NDArray[Any], decimals: int | None = None) -> int:
    """As ``write_gzip``, uncompressed; blocks of zeros become holes where the file system has them.

    Returns:
        The size of the file in bytes.
    """
    file.write(header)
    for values in _runs(array, 1):
        block = _block(values, decimals)
        if block is None:
            file.seek(values.nbytes, os.SEEK_CUR)
        else:
            file.write(block.data)
    return file.truncate()


@dataclass(frozen=True)
class _Made:
    """A block as it goes into the file, and the CRC-32 and size of what it was made of."""

    deflated: bytes
    checksum: int
    size: int


def _runs(array: NDArray[Any], blocks: int) -> Iterator[NDArray[Any]]:
    """The voxels in order, so many blocks of them at a time."""
    flat = array.reshape(-1)
    step = BLOCK_BYTES // array.dtype.itemsize * blocks
    for first in range(0, flat.size, step):
        yield flat[first : first + step]


def _made(decimals: int | None, values: NDArray[Any]) -> list[_Made]:
    """The blocks of a run of voxels."""
    result = []
    for part in _runs(values, 1):
        block = _block(part, decimals)
        if block is None:
            result.append(_made_of_zeros(part.nbytes))
        else:
            result.append(_Made(_deflated(block.data), zlib.crc32(block.data), part.nbytes))
    return result


def _block(values: NDArray[Any], decimals: int | None) -> _Bytes | None:
    """The bytes of voxels as they are in the file; None where all of them are 0."""
    data = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).view(np.uint8)
    if not data.max(initial=0):
        return None
    if decimals is None:
        return data
    rounded: _Bytes = np.ascontiguousarray(values.round(decimals), values.dtype.newbyteorder("<")).view(np.uint8)
    return rounded if rounded.max() else None


@cache
def _made_of_zeros(size: int) -> _Made:
    return _Made(_deflated(bytes(size)), zlib.crc32(bytes(size)), size)


def _joined(before: int, checksum: int, size: int) -> int:
    """CRC-32 of what has the one and, behind it, a block that has the other: so blocks are summed up in threads."""
    change = _change_by_zeros(size)
    for bit in range(32):
        if before >> bit & 1:
            checksum ^= change[bit]
    return checksum


@cache
def _change_by_zeros(size: int) -> tuple[int, ...]:
    """What each bit of the CRC-32 before a block changes in the one after it: linear, and the same for any block."""
    zeros = bytes(size)
    start = zlib.crc32(zeros)
    return tuple(zlib.crc32(zeros, 1 << bit) ^ start for bit in range(32))


def _deflated(data: bytes | memoryview) -> bytes:
    stream = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
