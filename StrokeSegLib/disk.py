"""Writing that is not believed until it is on the disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from StrokeSegLib.errors import InputError

#: What the system says when there is no room: disk full, quota used up, file-size limit.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def disk_full(folder: Path) -> InputError:
    """The error for a write that found no room in ``folder``."""
    return InputError(
        f"disk full while writing into {folder} (no room left, or a quota or file-size limit is reached): "
        f"free some space, or choose another folder"
    )


def flush_to_disk(path: Path) -> None:
    """Waits until a file's bytes, or a folder's list of names, are on the disk; a full disk may only show here.

    Raises:
        OSError: The system could not write them.
    """
    if os.name == "nt" and path.is_dir():  # Windows has no such call for folders
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_room(path: Path, count_bytes: int) -> None:
    """Tries whether a file of this size fits, where the system can tell without writing it.

    Raises:
        OSError: It does not.
    """
    if not hasattr(os, "posix_fallocate"):  # macOS, Windows
        return
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, count_bytes)
