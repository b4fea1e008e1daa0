"""What the computer says of itself: its GPU's driver, free memory, and the limits of its file system."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

GIB = 1024**3
DRIVER_TOOL = "nvidia-smi"
TIMEOUT_S = 5


def systemName() -> str:
    """Such as ``Windows 11, AMD64``, ``macOS 15.5, arm64`` or ``Ubuntu 24.04.2 LTS, x86_64``."""
    name = f"{platform.system()} {platform.release()}"
    if platform.system() == "Darwin":
        name = f"macOS {platform.mac_ver()[0]}"
    elif platform.system() == "Linux":
        try:
            name = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
        except OSError:
            name = "Linux"
    return f"{name}, {platform.machine()}"


@dataclass(frozen=True)
class Driver:
    """What the driver of an NVIDIA GPU says of the first one."""

    name: str
    totalGib: float
    freeGib: float
    version: str


def readDriver() -> Driver | None:
    """Ask the driver's own tool; None where there is none, or no GPU that it can use."""
    tool = shutil.which(DRIVER_TOOL)
    if tool is None:
        return None
    query = [tool, "--query-gpu=name,memory.total,memory.free,driver_version", "--format=csv,noheader,nounits"]
    hidden = {"creationflags": subprocess.CREATE_NO_WINDOW} if os.name == "nt" else {}
    try:
        said = subprocess.run(query, capture_output=True, timeout=TIMEOUT_S, check=True, **hidden).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return parseDriver(said.decode("utf-8", "replace"))


def parseDriver(text: str) -> Driver | None:
    """The first line ``name, total MiB, free MiB, version``."""
    cells = [cell.strip() for cell in text.strip().split("\n")[0].split(",")]
    try:
        return Driver(cells[0], float(cells[1]) / 1024, float(cells[2]) / 1024, cells[3])
    except (IndexError, ValueError):
        return None


def freeMemoryGib() -> float | None:
    """Memory that programs can still get, GiB; None where the system does not say."""
    try:
        if os.name == "nt":
            return _freeMemoryWindows() / GIB
        if platform.system() == "Darwin":
            return _freeMemoryMac() / GIB
        with open("/proc/meminfo", encoding="ascii") as file:
            facts = dict(line.split(":", 1) for line in file)
        return int(facts["MemAvailable"].split()[0]) * 1024 / GIB
    except (OSError, ValueError, LookupError, AttributeError, subprocess.SubprocessError):
        return None


def _freeMemoryWindows() -> int:
    class Status(ctypes.Structure):
        """MEMORYSTATUSEX of the Windows API."""

        _fields_ = [
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "free", "a", "b", "c", "d", "e")),
        ]

    status = Status()
    status.length = ctypes.sizeof(Status)
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return int(status.free)


def _freeMemoryMac() -> int:
    said = subprocess.run(["vm_stat"], capture_output=True, timeout=TIMEOUT_S, check=True).stdout.decode()
    return parseVmStat(said)


def parseVmStat(text: str) -> int:
    """Bytes that programs can get, from the words of macOS: its pages that are free or hold nothing of worth."""
    first, *rows = text.splitlines()
    pageBytes = int(first.split("page size of")[1].split()[0])
    pages = {name: int(count.strip(" .")) for name, count in (row.split(":", 1) for row in rows if ":" in row)}
    return pageBytes * (pages["Pages free"] + pages["Pages inactive"] + pages.get("Pages speculative", 0))


def longPathsEnabled() -> bool:
    """Whether Windows allows paths of more than 260 characters."""
    try:
        import winreg

        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    except (ImportError, OSError):
        return False


def nearestFolder(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists: where it would be made."""
    while not folder.is_dir() and folder.parent != folder:
        folder = folder.parent
    return folder
