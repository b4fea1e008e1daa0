"""What a computer needs for StrokeSeg, looked at: a line a fact, each with its state and, where needed, its cure.

Knows nothing of Qt or the scene and imports nothing heavy: torch is found by its metadata, a GPU by its driver's tool.
"""

from __future__ import annotations

import locale
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from slicer.i18n import tr as _

from StrokeSegApp import dependencies
from StrokeSegApp.computer import GIB, Driver, freeMemoryGib, longPathsEnabled, nearestFolder, readDriver, systemName
from StrokeSegApp.paths import PYTHON_NEEDED

SLICER_NEEDED = (5, 12)
#: A run on a CPU stays below this; less means that the system begins to swap.
MEMORY_NEEDED_GIB, MEMORY_SCARCE_GIB = 2.0, 4.0
DISK_NEEDED_GIB, DISK_SCARCE_GIB = 1.0, 5.0
GPU_MEMORY_SCARCE_GIB = 3.0
#: Windows' limit without long paths, and about what the deepest file of a package adds to the packages' folder.
WINDOWS_PATH_LIMIT, DEEPEST_PACKAGE_FILE = 260, 180
#: A file name that only a system with Unicode names can hold.
UNICODE_NAME = "StrokeSeg-\u00e9\u00df\u8111"


class State(Enum):
    """How a fact is: fine, worth knowing, or in the way."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Line:
    """One fact of the report. ``cure`` says what to do; empty where nothing needs to be done."""

    state: State
    title: str
    value: str
    cure: str = ""


def examine(slicerVersion: tuple[int, int] | None, folders: Mapping[str, Path]) -> list[Line]:
    """Every line of the report; takes a second or two.

    Args:
        slicerVersion: Major and minor; None outside Slicer.
        folders: What each folder that StrokeSeg writes to is for -> where it is.
    """
    driver = readDriver()
    return [
        checkSlicer(slicerVersion),
        checkPython(sys.version_info[:2]),
        Line(State.OK, _("System"), systemName()),
        checkPackages(dependencies.missingRequirements()),
        withRestart(
            checkTorch(dependencies.torchVersion(), dependencies.torchIsBroken(), driver), "torch" in sys.modules
        ),
        checkDevice(driver, dependencies.torchVersion()),
        checkMemory(freeMemoryGib()),
        *(checkDisk(use, folder) for use, folder in folders.items()),
        *(checkWriting(use, folder) for use, folder in folders.items()),
        checkPathLength(list(folders.values()), os.name == "nt" and not longPathsEnabled()),
        checkEncoding(sys.getfilesystemencoding(), locale.getencoding(), Path(tempfile.gettempdir())),
        checkProxy(os.environ),
    ]


def asText(lines: Sequence[Line]) -> str:
    """The report for a message to somebody: no HTML, and the user's home folder, which holds a name, as ``~``."""
    rows = []
    for line in lines:
        rows.append(f"[{line.state.value}] {line.title}: {line.value}")
        if line.cure:
            rows.append(f"    -> {line.cure}")
    return "\n".join(rows).replace(str(Path.home()), "~") + "\n"


def checkSlicer(version: tuple[int, int] | None) -> Line:
    title = _("Slicer")
    if version is None:
        return Line(State.WARNING, title, _("not running in Slicer"), _("open the StrokeSeg module in Slicer"))
    text = ".".join(str(part) for part in version)
    if version < SLICER_NEEDED:
        return Line(State.PROBLEM, title, text, _("install Slicer 5.12 or newer from download.slicer.org"))
    return Line(State.OK, title, text)


def checkPython(version: tuple[int, int]) -> Line:
    text = ".".join(str(part) for part in version)
    if version < PYTHON_NEEDED:
        return Line(State.PROBLEM, _("Python"), text, _("Python 3.11 or newer is needed: use Slicer 5.12 or newer"))
    return Line(State.OK, _("Python"), text)


def checkPackages(missing: Sequence[str]) -> Line:
    title = _("Packages")
    if missing:
        cure = _("press Apply: Slicer asks and installs them; without a network, install from a folder below")
        return Line(State.WARNING, title, _("missing: {packages}").format(packages=", ".join(missing)), cure)
    return Line(
        State.OK,
        title,
        _("OpenVINO {version}").format(version=dependencies.packageVersion("openvino") or _("not installed")),
    )


def checkTorch(version: str | None, broken: bool, driver: Driver | None) -> Line:
    title = "PyTorch"
    if broken:
        cure = _("close Slicer, delete the folder 'torch' in its Python packages, and install it again")
        return Line(State.PROBLEM, title, _("not whole, as after a failed installation"), cure)
    if version is None:
        return Line(State.OK, title, _("not installed; only a GPU and training need it"))
    if driver is not None and "+cpu" in version:
        cure = _("install it again with the extension PyTorch, which chooses the build for the GPU's driver")
        return Line(State.WARNING, title, _("{version}, a build without GPU").format(version=version), cure)
    return Line(State.OK, title, version)


def withRestart(line: Line, loaded: bool) -> Line:
    """``loaded``: PyTorch is in Slicer's own memory, where its extension leaves it after an installation."""
    if not loaded or line.cure:
        return line
    return replace(line, cure=_("restart Slicer when convenient: it has loaded PyTorch as well, which takes memory"))


def checkDevice(driver: Driver | None, torch: str | None) -> Line:
    title = _("Device")
    if driver is None:
        if platform.system() == "Darwin" and platform.machine() == "arm64":
            return Line(State.OK, title, _("Apple GPU"))
        return Line(State.OK, title, _("CPU (no NVIDIA driver found)"))
    value = _("{name}, {free} of {total} GiB free, driver {driver}").format(
        name=driver.name, free=f"{driver.freeGib:.1f}", total=f"{driver.totalGib:.1f}", driver=driver.version
    )
    if driver.freeGib < GPU_MEMORY_SCARCE_GIB:
        return Line(State.WARNING, title, value, _("close programs that use the GPU, or choose CPU as the device"))
    if torch is None:
        return Line(State.OK, title, value, _("choose GPU as the device to have it used; PyTorch is installed then"))
    return Line(State.OK, title, value)


def checkMemory(freeGib: float | None) -> Line:
    title = _("Free memory")
    if freeGib is None:
        return Line(State.WARNING, title, _("unknown"), _("look at the system's own monitor: 4 GiB should be free"))
    value = f"{freeGib:.1f} GiB"
    if freeGib < MEMORY_SCARCE_GIB:
        state = State.PROBLEM if freeGib < MEMORY_NEEDED_GIB else State.WARNING
        return Line(state, title, value, _("close other programs, or volumes in the scene that are not needed"))
    return Line(State.OK, title, value)


def checkDisk(use: str, folder: Path) -> Line:
    title = _("Disk, {use}").format(use=use)
    try:
        freeGib = shutil.disk_usage(nearestFolder(folder)).free / GIB
    except OSError as error:
        return Line(State.PROBLEM, title, str(error.strerror), _("choose another folder in Slicer's settings"))
    value = _("{free} GiB free").format(free=f"{freeGib:.1f}")
    if freeGib < DISK_SCARCE_GIB:
        state = State.PROBLEM if freeGib < DISK_NEEDED_GIB else State.WARNING
        return Line(state, title, value, _("free some space on the disk of {folder}").format(folder=folder))
    return Line(State.OK, title, value)


def checkWriting(use: str, folder: Path) -> Line:
    title = _("Writing, {use}").format(use=use)
    target = nearestFolder(folder)
    try:
        with tempfile.NamedTemporaryFile(prefix="StrokeSeg-", dir=target):
            pass
    except OSError as error:
        cure = _("give yourself the right to write there, or choose another folder in Slicer's settings")
        return Line(State.PROBLEM, title, f"{folder} ({error.strerror})", cure)
    return Line(State.OK, title, str(folder))


def checkPathLength(folders: Sequence[Path], limited: bool) -> Line:
    """``limited``: this is Windows, and its long paths are not switched on."""
    title = _("Path length")
    longest = max((len(str(folder)) for folder in folders), default=0)
    value = _("{count} characters at most").format(count=longest)
    if limited and longest + DEEPEST_PACKAGE_FILE > WINDOWS_PATH_LIMIT:
        cure = _("install Slicer in a folder with a short name, such as C:\\Slicer, or allow long paths in Windows")
        return Line(State.WARNING, title, value, cure)
    return Line(State.OK, title, value)


def checkEncoding(fileSystem: str, text: str, folder: Path) -> Line:
    title = _("Text encoding")
    value = _("file names {names}, text {text}").format(names=fileSystem, text=text)
    try:
        with tempfile.NamedTemporaryFile(prefix=UNICODE_NAME, dir=folder):
            pass
    except (OSError, UnicodeError):
        cure = _("use folders and file names with English letters only, or set the system's locale to UTF-8")
        return Line(State.WARNING, title, value, cure)
    return Line(State.OK, title, value)


def checkProxy(environment: Mapping[str, str]) -> Line:
    """Names of the variables only: a proxy's address may hold a password."""
    names = sorted(name for name in environment if name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"))
    return Line(State.OK, _("Proxy"), ", ".join(names) if names else _("none set"))
