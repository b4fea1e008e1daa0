"""A result folder appears whole or not at all, and replaces an older one in one step.

Results are written into a hidden staging folder beside the target and moved into place at the end. Where the target
exists, the two folders swap names in one system call, so that a kill at any moment leaves the old results or the new.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from StrokeSegLib.disk import DISK_FULL, disk_full, flush_to_disk
from StrokeSegLib.errors import InputError
from StrokeSegLib.long_paths import reachable

#: Image of the region that a system's rule works in.
REGION = "delayed"
#: Files that a run writes; a folder with one of them holds results, and a new run replaces them all.
RESULT_NAMES = (
    "lesion.nii.gz", "lesion.seg.nrrd", "probability.nii.gz", "probability-*.nii.gz", "uncertainty.nii.gz",
    "lesion.nii", "probability.nii", "probability-*.nii", "uncertainty.nii", "delayed.nii.gz", "delayed.nii",
    "measurements.json", "overlay.png", "evaluation.html", "evaluation.csv", "evaluation-*.png", "summary.json",
    "agreement.json", "agreement.csv", "agreement.html", "agreement-*.png", "consensus-*.nii.gz",
    "disagreement-*.nii.gz", "followup.json", "followup.html", "followup.png",
    "report.html", "report.json", "report.pdf", "lesion-seg.dcm", "measurements-sr.dcm",
)  # fmt: skip
_STAGING_MARK = ".staging-"
_OLD_MARK = "-old"
#: Swaps two names: (function, flag) of the C library; both values are from the systems' headers.
_SWAP_CALLS = {"linux": ("renameat2", 2), "darwin": ("renameatx_np", 2)}
_AT_FDCWD = {"linux": -100, "darwin": -2}
#: How a file system says that it can not swap.
_NO_SWAP = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


@contextmanager
def staged_results(out: Path, *, force: bool = False) -> Iterator[Path]:
    """Yields an empty folder for results; when the block ends well, it is ``out``.

    Files in ``out`` that are not results of ours stay there. On any error in the block nothing is left behind and
    ``out`` is as it was. What a killed run left is cleared by the next run into the same ``out``.

    Args:
        out: The result folder, existing or not; missing parents are made at the end.
        force: Replace results that are already there.

    Raises:
        InputError: ``out`` can not be a result folder, holds results and force is False, or the disk is full.
    """
    out = reachable(Path(os.path.realpath(out)))  # a link to a folder is kept, the folder behind it is replaced
    base = check_target(out, force=force)
    stage = base / f"{_staging_prefix(out)}{os.getpid()}-{secrets.token_hex(4)}"
    try:
        stage.mkdir()
        yield stage
        _flush_tree(stage)
        _put_in_place(stage, out)
        flush_to_disk(out.parent)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise disk_full(base) from error
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)  # after a swap it holds the old results


def check_target(out: Path, *, force: bool) -> Path:
    """Refuses at once what could only fail after the work is done, and clears what killed runs left.

    Returns:
        The existing folder above ``out``, on whose disk the results are staged.

    Raises:
        InputError: ``out`` can not be a result folder, or holds results and force is False.
    """
    out = reachable(Path(os.path.realpath(out)))
    base = _existing_above(out)
    clear_leftovers(out, base)
    if os.path.lexists(out):
        _check_existing(out, force)
    return base


def _existing_above(out: Path) -> Path:
    """The nearest existing folder above ``out``, where the staging folder goes (same disk, so that it can be moved)."""
    base = out.parent
    while not os.path.lexists(base):
        base = base.parent
    if not base.is_dir():
        raise InputError(f"{out} lies under {base}, which is a file, folders are needed above a result: choose another")
    if not os.access(base, os.W_OK | os.X_OK):
        raise InputError(f"the folder {base} can not be written to (no permission): choose another result folder")
    return base


def _check_existing(out: Path, force: bool) -> None:
    if not out.is_dir():
        raise InputError(f"{out} is a file, a result folder is needed: choose another name")
    if out == Path.cwd() or out in Path.cwd().parents:
        raise InputError(f"{out} is (or holds) the current folder, it can not be replaced: name a folder below it")
    if out.is_mount():
        raise InputError(f"{out} is a mounted disk, it can not be replaced: name a folder on it")
    if not os.access(out, os.R_OK | os.W_OK | os.X_OK):
        raise InputError(f"the folder {out} can not be written to (no permission): choose another result folder")
    found = sorted(entry.name for entry in out.iterdir() if _is_result(entry.name))
    if found and not force:
        raise InputError(
            f"{out} already holds results ({', '.join(found)}), an empty or new folder is needed: "
            f"choose another, or replace them with --force"
        )


def _is_result(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in RESULT_NAMES)


def _staging_prefix(out: Path) -> str:
    """The host is part of the name: on a shared disk another machine's process numbers mean nothing here."""
    return f".{out.name}{_STAGING_MARK}{socket.gethostname()}-"


def clear_leftovers(out: Path, base: Path) -> None:
    """Removes staging folders of runs into ``out`` that were killed; those of living processes are left alone."""
    prefix = _staging_prefix(out)
    for entry in list(base.iterdir()) if os.access(base, os.R_OK) else []:
        pid = entry.name.removeprefix(prefix).split("-")[0]
        if not entry.name.startswith(prefix) or not pid.isdigit() or _is_alive(int(pid)):
            continue
        if entry.name.endswith(_OLD_MARK) and not out.exists():
            entry.rename(out)  # killed between the two renames of a file system that can not swap
        else:
            shutil.rmtree(entry, ignore_errors=True)


def clear_abandoned(out: Path) -> None:
    """Removes what killed runs into ``out`` left, on any machine; for who knows that nobody writes there any more."""
    for entry in list(out.parent.glob(f"{glob.escape(f'.{out.name}{_STAGING_MARK}')}*")):
        if not entry.name.endswith(_OLD_MARK) or out.exists():
            shutil.rmtree(entry, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # there, os.kill(pid, 0) would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _flush_tree(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            if not (path := Path(root) / name).is_symlink():
                flush_to_disk(path)
        flush_to_disk(Path(root))


def _put_in_place(stage: Path, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    if not out.exists():
        stage.rename(out)
        return
    shutil.copymode(out, stage)
    _carry_over(out, stage)
    _flush_tree(stage)
    if not swap(stage, out):
        aside = stage.with_name(stage.name + _OLD_MARK)
        out.rename(aside)
        stage.rename(out)
        aside.rename(stage)
    _carry_over(stage, out)  # a file that the user saved there during the first pass


def _carry_over(source: Path, target: Path) -> None:
    """Puts the user's own files of ``source`` into ``target`` too, as second names of the same bytes where possible."""
    for entry in source.iterdir():
        goal = target / entry.name
        if _is_result(entry.name) or os.path.lexists(goal):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, goal, symlinks=True, copy_function=_link_or_copy)
        else:
            _link_or_copy(entry, goal)


def _link_or_copy(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):  # a file system without hard links
        shutil.copy2(source, target, follow_symlinks=False)


def swap(one: Path, other: Path) -> bool:
    """Swaps two names in one step; False where the system or the file system can not.

    Raises:
        OSError: It can, but refused these two.
    """
    name, flag = _SWAP_CALLS.get(sys.platform, ("", 0))
    call = getattr(ctypes.CDLL(None, use_errno=True), name, None) if name else None
    if call is None:
        return False
    here = _AT_FDCWD[sys.platform]
    if call(here, os.fsencode(one), here, os.fsencode(other), ctypes.c_uint(flag)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_SWAP:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))
