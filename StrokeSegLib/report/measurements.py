"""measurements.json: the numbers of one run, with what is needed to trust or to repeat them.

Volumes are rounded to 3 decimals of a mL, lengths and positions to 0.1 mm, mean values (HU, ADC) to 0.1, probabilities
and seconds to 3 decimals.
Every sum is taken before rounding, so that a total equals the sum of its parts to within their rounding.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import metadata
from os import PathLike, fspath
from typing import Any

import numpy as np

from StrokeSegLib.measure import Lesion
from StrokeSegLib.volume import Volume

#: Packages whose version can change a result; those that are not installed are left out.
SOFTWARE = ("strokeseg", "numpy", "scipy", "SimpleITK", "pillow", "safetensors", "openvino", "torch")
#: Class of a case without any of the labels.
NO_PATHOLOGY = "no pathology"
#: A lesion whose mean probability is under this is borderline. A round number, not a calibrated one.
BORDERLINE_PROBABILITY = 0.7
#: With no lesion found, this much tissue at half the threshold or more asks for a look. Not calibrated either.
NEAR_MISS_ML = 0.1


@dataclass(frozen=True)
class InputRecord:
    """One input as it was read.

    Attributes:
        path: As the user gave it.
        shape: Voxels along (i, j, k): the order of spacing_mm, the reverse of a Volume's array shape.
        spacing_mm: Voxel size along (i, j, k), mm.
    """

    path: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True)
class ModelRecord:
    """The model that ran: its id, version, SHA-256 of the weights, system, and the name of each of its labels."""

    model: str
    version: str
    sha256: str
    system: str
    labels: Mapping[int, str]


@dataclass(frozen=True)
class RunRecord:
    """How it ran: device and backend, seconds by stage, and the warnings raised on the way."""

    device: str
    backend: str
    seconds: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()


def record_input(path: str | PathLike[str], volume: Volume) -> InputRecord:
    """The record of a volume that was read from ``path``."""
    return InputRecord(fspath(path), volume.size_ijk, volume.spacing_mm)


def build_measurements(
    model: ModelRecord,
    inputs: Mapping[str, InputRecord],
    lesions: Sequence[Lesion],
    run: RunRecord,
    *,
    review_reasons: Sequence[str] = (),
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of measurements.json, made of plain JSON types only: no NumPy types, no NaN (null stands for it).

    Args:
        model: The model that ran; each of its labels is listed, found or not.
        inputs: By role. ``shape`` is in (i, j, k) order, as ``spacing_mm`` is.
        lesions: As ``measure_lesions`` gives them.
        run: Device, backend, times and warnings.
        review_reasons: Why a human must look, see ``reasons_for_review``; none leaves the flag down.
        more: Further top-level entries (adc_unit, classification, perfusion).

    Raises:
        ValueError: A lesion has a label that the model does not have, or ``more`` would replace an entry.
    """
    unknown = sorted({one.label for one in lesions} - set(model.labels))
    if unknown:
        raise ValueError(f"lesions have the labels {unknown}, the model {model.model} has {sorted(model.labels)}")
    content: dict[str, Any] = {
        "model": model.model,
        "version": model.version,
        "sha256": model.sha256,
        "system": model.system,
        "inputs": {role: asdict(one) for role, one in inputs.items()},
        "labels": [_label(value, name, lesions) for value, name in sorted(model.labels.items())],
        "lesions": [_lesion(one) for one in lesions],
        "total_volume_ml": round(math.fsum(one.volume_ml for one in lesions), 3),
        "needs_review": {"flag": bool(review_reasons), "reasons": list(review_reasons)},
        "warnings": list(run.warnings),
        "device": run.device,
        "backend": run.backend,
        "seconds": {stage: round(float(seconds), 3) for stage, seconds in run.seconds.items()},
        "software": software_versions(),
    }
    replaced = sorted(set(content) & set(more or {}))
    if replaced:
        raise ValueError(f"the entries {replaced} of measurements.json are taken")
    plain: dict[str, Any] = _plain({**content, **(more or {})})
    return plain


def reasons_for_review(
    lesions: Sequence[Lesion],
    warnings: Sequence[str],
    probability: Mapping[int, Volume],
    thresholds: Mapping[int, float],
) -> list[str]:
    """Why a human must look at this result; empty where nothing speaks for it (which proves nothing).

    Three rules: the input raised a warning; a lesion's probability of being one (its mean probability, where the model
    knows no other) is under 0.7; no lesion was found, although at least 0.1 mL of tissue reaches half of its label's
    threshold.

    Args:
        lesions: As ``measure_lesions`` gives them.
        warnings: Those of the input.
        probability: By label, 0-1.
        thresholds: By label, those that made the label map.
    """
    reasons = [f"a warning about the input: {warning}" for warning in warnings]
    if any(one.probability is not None for one in lesions):
        doubtful = sum(one.probability is not None and one.probability < BORDERLINE_PROBABILITY for one in lesions)
        why = f"a probability under {BORDERLINE_PROBABILITY} of being one"
    else:
        means = [one.mean_probability for one in lesions if one.mean_probability is not None]
        doubtful, why = (
            sum(mean < BORDERLINE_PROBABILITY for mean in means),
            (f"a mean probability under {BORDERLINE_PROBABILITY}"),
        )
    if doubtful:
        reasons.append(f"borderline: {doubtful} of {len(lesions)} lesions have {why}")
    for value, volume in probability.items() if not lesions else ():
        half = thresholds[value] / 2
        # Slice by slice: no mask of a whole thin-slice scan is made.
        voxels = sum(int(np.count_nonzero(plane >= half)) for plane in volume.array)
        if voxels * volume.voxel_volume_ml >= NEAR_MISS_ML:
            reasons.append(
                f"no lesion found, but {voxels} voxels ({voxels * volume.voxel_volume_ml:.2f} mL) reach "
                f"the probability {half:g} for label {value}, half of its threshold"
            )
    return reasons


def perfusion_measures(core_ml: float, penumbra_ml: float) -> dict[str, float | None]:
    """``perfusion`` of measurements.json.

    Args:
        core_ml: Volume of the core, mL.
        penumbra_ml: Volume of the tissue at risk outside the core (Tmax above 6 s), mL.

    Returns:
        ``mismatch_ml`` is hypoperfused tissue (core and penumbra) less core, so the penumbra; ``mismatch_ratio`` is
        hypoperfused tissue over core, None without core.
    """
    return {
        "core_ml": round(core_ml, 3),
        "penumbra_ml": round(penumbra_ml, 3),
        "mismatch_ml": round(penumbra_ml, 3),
        "mismatch_ratio": round((core_ml + penumbra_ml) / core_ml, 3) if core_ml > 0 else None,
    }


def classification_entry(
    label: int, found: Sequence[int], m: Mapping[int, float], names: Mapping[int, str]
) -> dict[str, Any]:
    """``classification`` of measurements.json.

    Args:
        label: The case's label, 0 for none.
        found: All labels that are present.
        m: Label value -> mean Vpred, what the classifier compares.
        names: Label value -> name.
    """
    return {
        "class": names[label] if label else NO_PATHOLOGY,
        "found": [names[value] for value in found],
        "scores": {names[value]: round(m[value], 3) for value in sorted(m)},
    }


def software_versions() -> dict[str, str]:
    """Version by package, read from the package metadata: nothing is imported for it."""
    versions = {"python": platform.python_version()}
    for package in SOFTWARE:
        try:
            versions[package] = _version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


@cache
def _version(package: str) -> str:
    """Metadata is parsed once a process, which takes some milliseconds a package; one that is missing is not kept."""
    return metadata.version(package)


def _label(value: int, name: str, lesions: Sequence[Lesion]) -> dict[str, Any]:
    volumes_ml = [one.volume_ml for one in lesions if one.label == value]
    return {
        "value": value,
        "name": name,
        "volume_ml": round(math.fsum(volumes_ml), 3),
        "lesion_count": len(volumes_ml),
    }


def _lesion(lesion: Lesion) -> dict[str, Any]:
    mean = lesion.mean_probability
    return {
        "label": lesion.label,
        "volume_ml": round(lesion.volume_ml, 3),
        # Adding 0.0 turns -0.0 into 0.0.
        "centroid_ras_mm": [round(c, 1) + 0.0 for c in lesion.centroid_ras_mm],
        "max_diameter_mm": round(lesion.max_diameter_mm, 1),
        "side": lesion.side,
        "mean_probability": None if mean is None else round(mean, 3),
        **({} if lesion.probability is None else {"probability": round(lesion.probability, 3)}),
        **({} if lesion.mean_value is None else {"mean_value": round(lesion.mean_value, 1) + 0.0}),
    }


def _plain(value: Any) -> Any:
    """The same in plain JSON types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return _plain(value.tolist())
    if isinstance(value, PathLike):
        return fspath(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
