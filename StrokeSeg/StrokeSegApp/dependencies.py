"""Packages beside what Slicer brings: looked up, never imported, and installed only after asking.

Two sets. Segmentation needs a small one without torch, when Apply is pressed for the first time. A GPU, and training,
need torch as well, which comes through Slicer's PyTorch extension. Without a network both come from a folder of wheels.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from StrokeSegApp.install_failures import DECLINED, attempt, cure, cureOfFolder
from StrokeSegApp.paths import resourcePath

REQUIREMENTS_FILE = "requirements.txt"
TRAINING_FILE = "requirements-training.txt"
DICOM_FILE = "requirements-dicom.txt"
TORCH = "torch>=2.6"
REQUESTER = "StrokeSeg"
#: A wheel's file begins with the name of its package.
_WHEEL_NAME = re.compile(r"^([A-Za-z0-9._]+?)-\d")


def missingRequirements(fileName: str = REQUIREMENTS_FILE) -> list[str]:
    """The lines of a requirements file in Resources that this Python does not satisfy; empty means ready to run."""
    with open(resourcePath(fileName), encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    return [line for line in lines if line and not line.startswith("#") and not _satisfied(line)]


def missingForTraining() -> list[str]:
    """What training needs and is not installed: of the segmentation's set, torch, and the training's own."""
    torch = [] if _satisfied(TORCH) and not torchIsBroken() else [TORCH]
    return missingRequirements() + torch + missingRequirements(TRAINING_FILE)


def torchVersion() -> str | None:
    """Version of the installed torch, found without importing it; None when there is none."""
    return packageVersion("torch")


def torchIsBroken() -> bool:
    """True when torch's metadata or folder is there and the package is not whole, as after a failed installation."""
    spec = importlib.util.find_spec("torch")
    whole = spec is not None and spec.origin is not None  # a folder without __init__.py has no origin
    return not whole and (spec is not None or torchVersion() is not None)


def ensureRequirements() -> str | None:
    """Ask for and install what segmentation needs and is missing.

    Returns:
        None when everything is there now; otherwise one line that says what is not, why, and what to do.
    """
    return _ensure(REQUIREMENTS_FILE, missingRequirements)


def ensureTorch() -> str | None:
    """Ask for and install torch, through the PyTorch extension. Returns as ``ensureRequirements``."""
    if torchIsBroken():
        return _(
            "torch is there but not whole: close Slicer, delete the folder 'torch' in {folder}, and install it again"
        ).format(folder=packagesFolder())
    if _satisfied(TORCH):
        return None
    try:
        import PyTorchUtils
    except ImportError:
        return _(
            "{package}: install the extension PyTorch in the Extensions Manager and restart Slicer;"
            " without a network, use 'Install from a folder' under Help"
        ).format(package=TORCH)
    # The extension imports torch at its end to tell its version, so Slicer has it in memory until it is restarted; the
    # Help section says so. There is no way around: only the extension knows which build this computer needs.
    failure = attempt(
        lambda: PyTorchUtils.PyTorchUtilsLogic().installTorch(
            askConfirmation=True, torchVersionRequirement=TORCH.removeprefix("torch")
        )
    )
    importlib.invalidate_caches()
    return None if _satisfied(TORCH) else _explained([TORCH], failure.reason, failure.said or DECLINED)


def ensureForDevice(device: str) -> str | None:
    """Ask for and install torch where a GPU was chosen: ``cuda``, ``cuda:N``, ``mps``. Returns as above."""
    return ensureTorch() if device.startswith(("cuda", "mps")) else None


def ensureTraining() -> str | None:
    """Ask for and install what training needs: the segmentation's set, torch, then the rest. Returns as above."""
    # torch before monai, which would bring another build of it.
    return ensureRequirements() or ensureTorch() or _ensure(TRAINING_FILE, lambda: missingRequirements(TRAINING_FILE))


def ensureDicom() -> str | None:
    """Ask for and install what an export to DICOM needs: the segmentation's set, then its own. Returns as above."""
    return ensureRequirements() or _ensure(DICOM_FILE, lambda: missingRequirements(DICOM_FILE))


def installFromFolder(folder: Path) -> str | None:
    """Install from wheels in a folder, without a network: what segmentation misses, and what training and an export to
    DICOM miss where torch and highdicom are there.

    Args:
        folder: Made on another computer by ``pip download -r requirements.txt`` for the same Python and system.

    Returns:
        None when everything is there now; otherwise one line that says what is not, why, and what to do.
    """
    try:
        wheels = [path.name for path in folder.iterdir() if path.suffix == ".whl"]
    except OSError as error:
        return _("{folder} can not be read ({reason}): choose another folder").format(
            folder=folder, reason=error.strerror
        )
    if not wheels:
        return _("{folder} holds no wheels (.whl): fill it with 'pip download' on a computer with a network").format(
            folder=folder
        )
    names = {found.group(1).lower().replace("_", "-") for name in wheels if (found := _WHEEL_NAME.match(name))}
    training = "torch" in names

    def find() -> list[str]:
        forDicom = missingRequirements(DICOM_FILE) if "highdicom" in names else []
        return (missingForTraining() if training else missingRequirements()) + forDicom

    wanted = find()
    if not wanted:
        return None
    command = ["--no-index", "--find-links", str(folder), *wanted]
    with _request(keepTorch=training and TORCH not in wanted) as request:
        failure = attempt(lambda: _pip().pip_install(command, **request))
    importlib.invalidate_caches()
    missing = find()
    if not missing:
        return None
    wheelsNeeded = _("add their wheels, and those that they need, for Python {version} of this system").format(
        version=f"{sys.version_info.major}.{sys.version_info.minor}"
    )
    return _("{packages} could not be installed from {folder}{reason}: {cure}").format(
        packages=", ".join(missing),
        folder=folder,
        reason=f" ({failure.reason})" if failure.reason else "",
        cure=cureOfFolder(failure.said, wheelsNeeded),
    )


def _ensure(fileName: str, findMissing: Callable[[], list[str]]) -> str | None:
    missing = findMissing()
    if not missing:
        return None
    with _request(keepTorch=fileName == TRAINING_FILE) as request:
        failure = attempt(lambda: _pip().pip_ensure(_pip().load_requirements(resourcePath(fileName)), **request))
    importlib.invalidate_caches()
    missing = findMissing()
    return _explained(missing, failure.reason, failure.said) if missing else None


def _pip() -> Any:
    """Slicer's own installer, which Slicer before 5.12 does not have."""
    import slicer.packaging

    return slicer.packaging


@contextmanager
def _request(keepTorch: bool) -> Iterator[dict[str, Any]]:
    """Who asks, for the title of Slicer's question; ``keepTorch`` binds pip to the build of torch that is there.

    monai needs torch, and pip knows only the builds of its own index: without the bond it may bring another one.
    """
    version = torchVersion() if keepTorch and _satisfied(TORCH) else None
    if version is None:
        yield {"requester": REQUESTER}
        return
    with tempfile.TemporaryDirectory(prefix="StrokeSeg-") as folder:
        bond = Path(folder) / "constraints.txt"
        bond.write_text(f"torch=={version}\n", encoding="utf-8")
        yield {"requester": REQUESTER, "constraints": bond}


def _explained(missing: list[str], reason: str, said: str) -> str:
    because = f" ({reason})" if reason else ""
    return f"{', '.join(missing)}{because}; {cure(said)}"


def _satisfied(line: str) -> bool:
    from packaging.requirements import Requirement

    requirement = Requirement(line)
    version = packageVersion(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def packageVersion(name: str) -> str | None:
    """Version of an installed package, found without importing it; None when there is none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def packagesFolder() -> str:
    """Where pip puts packages of this Python."""
    return sysconfig.get_paths()["purelib"]
