"""What the library says, in the words of the panel: the command line's options and jargon become what to click.

The library speaks to who types commands. Its messages enter here and nowhere else.
"""

from __future__ import annotations

import re

from slicer.i18n import tr as _

_DEVICE, _OTHER = r"(?P<device>[^\s;]+)", r"(?P<other>[^\s;,]+)"


def inPanelWords(message: str) -> str:
    """A message of the library for who clicks; what is not known stays as it is."""
    for pattern, words in _phrases():
        message = re.sub(pattern, lambda found, words=words: words.format(**_spoken(found)), message)
    return message


def _spoken(found: re.Match[str]) -> dict[str, str]:
    from StrokeSegApp.input_roles import roleTitle

    values = {name: value or "" for name, value in found.groupdict().items()}
    devices = {"cpu": _("the processor"), "mps": _("the Apple GPU"), "cuda": _("the graphics card")}
    labels = {"1": _("an ischemic lesion"), "2": _("hemorrhage"), "3": _("penumbra")}
    for name in values.keys() & {"device", "other"}:
        values[name] = devices.get(values[name].split(":")[0], _("the device"))
    values["install"] = _(
        "press the button again and agree to the installation, or see 'Check this computer' under Help"
    )
    if "role" in values:
        values["role"] = roleTitle(values["role"])
    if "label" in values:
        values["label"] = labels.get(values["label"], _("a lesion"))
    return values


def _phrases() -> list[tuple[str, str]]:
    """A phrase of the library -> of the panel."""
    return [*_aboutPackages(), *_aboutFolders(), *_aboutImages(), *_aboutResults()]


def _aboutPackages() -> list[tuple[str, str]]:
    return [
        (
            rf"device {_DEVICE} is not available: torch is not installed \(pip install '[^']*'\); use --device cpu",
            _("{device} needs PyTorch, which is not installed: {install}; or choose CPU as the device"),
        ),
        (
            rf"device {_DEVICE} is not (available: .*?; use --device cpu|there, torch sees \S+; use cuda:0)",
            _("{device} can not be used: choose CPU as the device, or see 'Check this computer' under Help"),
        ),
        (
            r"no backend is installed; pip install openvino \(CPU\) or '[^']*' \(torch\)"
            r"|backend openvino is not installed; pip install openvino, or use --backend torch",
            _("packages that segmentation needs are not installed: {install}"),
        ),
        (
            r"backend openvino runs on the CPU, got device \S+; use --backend torch for [^\s;]+",
            _("this way of computing works on the processor only: choose CPU as the device"),
        ),
        (
            r"(training|format \S+) needs (?P<packages>.+), (which is )?not installed( here)?; pip install '[^']*'",
            _("{packages} are needed and not installed: {install}"),
        ),
        (
            r"(?P<what>.+) needs the Python package (?P<packages>[^\s,]+), which is not installed: pip install '[^']*'",
            _("{what} needs {packages}, which is not installed: {install}"),
        ),
    ]


def _aboutFolders() -> list[tuple[str, str]]:
    return [
        (
            r"holds no trained network yet; go on with strokeseg train --resume --out .+",
            _("holds nothing that was learned yet: continue the training first"),
        ),
        (
            r"already holds a run; go on with it by --resume, or choose another folder",
            _("already holds a training: choose another folder"),
        ),
        (
            r"(holds no run \(no readable [^)]*\)|is no checkpoint of a run); give a [\w ]+ made by strokeseg train",
            _("is no folder of a training: choose one in which a training was started"),
        ),
        (
            r"already holds a batch \([^)]*\), an empty or new folder is needed: go on with it with --resume, "
            r"do all cases anew with --force, or choose another",
            _("already holds results of a batch: choose an empty folder, or a new one"),
        ),
        (
            r"--resume needs the same: choose another folder, or do all cases anew with --force",
            _("which do not go together: choose another folder"),
        ),
        (
            r"--resume keeps the results that are there and --force replaces them: give one of the two",
            _("the results that are there can be kept or replaced: choose one of the two"),
        ),
        (r"(: |; |, or )?(choose another, )?or replace (it|them) with --force", _(", or a new name")),
        (r"go on with --resume", _("continue at any time")),
    ]


def _aboutImages() -> list[tuple[str, str]]:
    return [
        (
            r"(?P<role>\w+) looks like CT \((?P<why>.*?)\); needed an MRI; give the \w+ image, or choose a CT model",
            _("{role} looks like a CT ({why}), an MRI is needed: choose the {role}, or choose a CT model"),
        ),
        (
            r"(?P<role>\w+) looks like CT \((?P<why>.*?)\); needed a perfusion map with 0 where it has no value; "
            r"give the \w+ map, or set what lies outside of the brain to 0",
            _("{role} looks like a CT ({why}), a perfusion map is needed: choose the map '{role}'"),
        ),
        (
            r"ct looks like MRI \((?P<why>.*?)\); needed CT in Hounsfield units; give the CT, or choose an MRI model",
            _("CT looks like an MRI ({why}), a CT is needed: choose the CT, or choose an MRI model"),
        ),
        (r"its DICOM modality is (?P<modality>\w+)", _("its DICOM modality is {modality}")),
        (r"values near -1000 are air in Hounsfield units", _("values near -1000 are air in Hounsfield units")),
        (r"it has no air near -1000 HU", _("it has no air near -1000 HU")),
        (r"add ROLE=PATH for what is missing", _("choose a volume for what is missing")),
    ]


def _aboutResults() -> list[tuple[str, str]]:
    return [
        (
            r".+ is not the scan that was segmented: its grid is .*? corners lie up to (?P<apart>\S+) mm "
            r"apart: name the right series with --source",
            _(
                "the result lies elsewhere than the DICOM images (up to {apart} mm apart): if the volume was moved or"
                " cropped, load the series anew and press Apply again"
            ),
        ),
        (
            r"holds no DICOM image \(is it there, and the scan that was segmented\?\), .*? --source",
            _("holds no DICOM image: load the series anew and press Apply again"),
        ),
        (
            r", one is needed: name it with .*#SERIES_UID",
            _(", one is needed: load the series that was segmented, and press Apply again"),
        ),
        (r": check an image with dciodvfy and use the original series", _(": use the original series")),
        (
            rf"{_DEVICE} ran out of memory: it ran with \w+ on {_OTHER}, memory rung '[^']*'",
            _("{device} had too little memory: the case was computed with {other}, in a way that needs less"),
        ),
        (
            r"no lesion found, but \d+ voxels \((?P<volume>[\d.]+) mL\) reach the probability [\d.e-]+ for label "
            r"(?P<label>\d+), half of its threshold",
            _("no lesion found, but {volume} mL look at least half as much like {label} as what would be marked"),
        ),
    ]
