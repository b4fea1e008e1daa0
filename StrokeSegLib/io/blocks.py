"""Arrays as bytes of a file, block by block: rounded, deflated in threads, runs of zeros at almost no cost.

A label map or a probability map is nearly all zeros. The blocks are parts of one gzip stream, each ended by a flush
point, so that they can be made at the same time and any gzip reader reads them as one.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Small enough that a slice without lesion is mostly blocks of zeros, large enough to deflate as well as the whole.
BLOCK_BYTES = 1 << 18
#: A third of the time of zlib's own choice, for a file of noise-free maps that is some percent larger.
LEVEL = 1
_THREADS = 4
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
        for block, deflated in pool.map(_block_and_deflated, _blocks(array, decimals)):
            write(deflated)
            checksum, size = _checksum(block, checksum), size + len(block)
    write(_END + checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little"))
    return written


def write_plain(file: IO[bytes], header: bytes, array: NDArray[Any], decimals: int | None = None) -> int:
    """As ``write_gzip``, uncompressed; blocks of zeros become holes where the file system has them.

    Returns:
        The size of the file in bytes.
    """
    file.write(header)
    for make in _blocks(array, decimals):
        block = make()
        if block.max(initial=0):
            file.write(block.data)
        else:
            file.seek(len(block), os.SEEK_CUR)
    return file.truncate()


def _blocks(array: NDArray[Any], decimals: int | None) -> Iterator[Callable[[], _Bytes]]:
    flat = array.reshape(-1)
    step = BLOCK_BYTES // array.dtype.itemsize
    for first in range(0, flat.size, step):
        yield partial(_block, flat[first : first + step], decimals)


def _block(values: NDArray[Any], decimals: int | None) -> _Bytes:
    if decimals is not None and values.view(np.uint8).max(initial=0):
        values = values.round(decimals)
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).view(np.uint8)


def _block_and_deflated(make: Callable[[], _Bytes]) -> tuple[_Bytes, bytes]:
    block = make()
    return block, _deflated(block.data) if block.max(initial=0) else _deflated_zeros(len(block))


def _checksum(block: _Bytes, before: int) -> int:
    """CRC-32 of what came before and this block; a whole block of zeros costs 32 steps, not its length."""
    if len(block) != BLOCK_BYTES or block.max():
        return zlib.crc32(block.data, before)
    after, change = _checksum_of_zeros()
    for bit in range(32):
        if before >> bit & 1:
            after ^= change[bit]
    return after


@cache
def _checksum_of_zeros() -> tuple[int, tuple[int, ...]]:
    """CRC-32 after a block of zeros: from 0, and what each bit of the one before changes in it (it is linear)."""
    zeros = bytes(BLOCK_BYTES)
    start = zlib.crc32(zeros)
    return start, tuple(zlib.crc32(zeros, 1 << bit) ^ start for bit in range(32))


@cache
def _deflated_zeros(size: int) -> bytes:
    return _deflated(bytes(size))


def _deflated(data: bytes | memoryview) -> bytes:
    stream = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
