"""What the first Apply needs beside what Slicer brings: looked up, never imported, and installed only after asking."""

from __future__ import annotations

from importlib import metadata

from StrokeSegApp.paths import resourcePath

REQUIREMENTS_FILE = "requirements.txt"


def missingRequirements() -> list[str]:
    """The lines of Resources/requirements.txt that this Python does not satisfy; empty means ready to run."""
    from packaging.requirements import Requirement

    missing = []
    with open(resourcePath(REQUIREMENTS_FILE), encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    for line in lines:
        if not line or line.startswith("#"):
            continue
        requirement = Requirement(line)
        try:
            satisfied = requirement.specifier.contains(metadata.version(requirement.name), prereleases=True)
        except metadata.PackageNotFoundError:
            satisfied = False
        if not satisfied:
            missing.append(line)
    return missing


def ensureRequirements() -> str | None:
    """Ask for and install what is missing.

    Returns:
        None when everything is there now; otherwise one line that says what is not and why.
    """
    missing = missingRequirements()
    if not missing:
        return None
    import slicer.packaging

    reason = ""
    try:
        slicer.packaging.pip_ensure(
            slicer.packaging.load_requirements(resourcePath(REQUIREMENTS_FILE)), requester="StrokeSeg"
        )
    except Exception as error:  # declined, no network, a proxy, a full disk: all end in the same one line
        reason = f" ({' '.join(str(error).split())})"
    missing = missingRequirements()
    return f"{', '.join(missing)}{reason}" if missing else None
