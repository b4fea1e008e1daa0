"""Files that appear once, whole and for good: written beside, flushed, then given their name without overwriting."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from StrokeSegLib.disk import DISK_FULL, disk_full, flush_to_disk
from StrokeSegLib.errors import InputError

#: Names that begin so are being written, or were left by a killed process; nobody reads them.
TEMPORARY = ".tmp-"
#: How a file system says that it has no second names for a file (FAT, some network disks).
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK)


def write_once(path: Path, content: bytes) -> None:
    """Writes a new file that is on the disk, whole, when this returns; after an error there is none.

    Raises:
        InputError: The disk is full, or the folder can not be written to.
        FileExistsError: There is such a file; it is as it was.
    """
    with beside(path) as temporary:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        place_once(temporary, path)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A temporary name in the folder of ``path``, with all its suffixes; the folder is made, the file is gone after.

    Raises:
        InputError: The block raised an OSError: the disk is full, or the folder can not be written to.
    """
    name = path.name.partition(".")
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}{name[1]}{name[2]}")
    try:
        make_folder(path.parent)
        yield temporary
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in DISK_FULL:
            raise disk_full(path.parent) from error
        raise InputError(
            f"{path.parent} can not be written to ({error.strerror}): check the disk and the permissions, then repeat"
        ) from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def place_once(temporary: Path, path: Path) -> None:
    """Gives a flushed file its name, which must be free, and flushes the folder's list of names.

    Raises:
        FileExistsError: There is such a file.
        OSError: The system refused; the name is free then.
    """
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Names hold 64 random bits or the hash of their content, so that nobody can take this one in between.
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        os.rename(temporary, path)
    try:
        flush_to_disk(path.parent)
    except OSError:
        with suppress(OSError):  # what is not known to be on the disk was not written
            os.unlink(path)
        raise


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, each on the disk before the next.

    Raises:
        OSError: One can not be made.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
    flush_to_disk(folder.parent)
