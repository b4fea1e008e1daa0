"""The whole way of one case: inputs in, labels, probabilities and measurements out, results written together."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import SimpleITK as sitk

from StrokeSegLib.errors import InputError
from StrokeSegLib.improbable import without_improbable
from StrokeSegLib.inference.backends import Backend
from StrokeSegLib.inference.engine import Engine
from StrokeSegLib.inference.planes import AT_K
from StrokeSegLib.inference.predict import Prediction, Progress, predict
from StrokeSegLib.io import Reading, Segment, read_image, without_nan, write_image, write_segmentation
from StrokeSegLib.lesion_value import lesion_value
from StrokeSegLib.measure import Lesion, measure_lesions, midsagittal_plane
from StrokeSegLib.models import ModelCard, find_model
from StrokeSegLib.postprocess import label_map, remove_small_labels
from StrokeSegLib.preprocess.geometry import onto_reference
from StrokeSegLib.preprocess.intensity import check_modality
from StrokeSegLib.report.measurements import (
    ModelRecord,
    RunRecord,
    build_measurements,
    classification_entry,
    perfusion_measures,
    reasons_for_review,
    record_input,
)
from StrokeSegLib.report.overlay import CT_WINDOW_HU, draw_overlay
from StrokeSegLib.result_folder import staged_results
from StrokeSegLib.systems import SYSTEMS, System
from StrokeSegLib.systems.ct_perfusion import CORE, CT_PERFUSION, PENUMBRA
from StrokeSegLib.terminology import color_rgb, terminology_entry
from StrokeSegLib.uncertainty import LesionModel, uncertainty_map
from StrokeSegLib.volume import Volume, from_sitk

ImageLike: TypeAlias = str | os.PathLike[str] | sitk.Image | Volume


@dataclass(frozen=True, eq=False)
class SegmentationResult:
    """What one run found.

    Attributes:
        labels: uint8 label map on exactly the grid of the first input.
        probability: Label value -> float32 probability 0..1 on the same grid; labels found by a rule have none.
        measurements: The content of measurements.json.
        image: The first input, for the overlay.
        card: The model.
        uncertainty: How likely each voxel's label is wrong, float32 0..1 on the same grid.
    """

    labels: Volume
    probability: dict[int, Volume]
    measurements: dict[str, Any]
    image: Volume
    card: ModelCard
    uncertainty: Volume | None = None

    def write(self, out: Path, *, force: bool = False, compress: bool = True) -> None:
        """Writes all result files into a folder, all or none.

        Args:
            out: The result folder.
            force: Replace results that are already there.
            compress: As .nii.gz; False writes .nii, for who reads the files at once and throws them away.

        Raises:
            InputError: The folder holds results already and ``force`` is False, or cannot be written.
        """
        with staged_results(out, force=force) as folder, ThreadPoolExecutor(1) as beside:
            started = time.perf_counter()
            picture = beside.submit(
                draw_overlay,
                self.image,
                self.labels,
                folder / "overlay.png",
                title=f"{self.card.title}, version {self.card.version}",
                names={label.value: label.name for label in self.card.labels},
                window=CT_WINDOW_HU if next(iter(self.measurements["inputs"])) == "ct" else None,
            )
            suffix = ".nii.gz" if compress else ".nii"
            write_image(self.labels, folder / f"lesion{suffix}")
            name = f"StrokeSeg {self.card.id} {self.card.version}"
            segments = [
                Segment(
                    label.value, label.name.capitalize(), color_rgb(label.value), terminology_entry(label.value), name
                )
                for label in self.card.labels
            ]
            write_segmentation(self.labels, folder / "lesion.seg.nrrd", segments)
            for label in self.card.labels:
                which = "" if len(self.card.labels) == 1 else f"-{label.name.replace(' ', '-')}"
                if label.value not in self.probability:
                    continue  # found by a rule
                # Three decimals say all that a probability can, and compress to a fifth.
                write_image(self.probability[label.value], folder / f"probability{which}{suffix}", decimals=3)
            if self.uncertainty is not None:
                write_image(self.uncertainty, folder / f"uncertainty{suffix}", decimals=2)
            picture.result()
            self.measurements["seconds"]["write"] = round(time.perf_counter() - started, 3)
            (folder / "measurements.json").write_text(json.dumps(self.measurements, indent=2) + "\n", encoding="utf-8")


def segment(
    inputs: Mapping[str, ImageLike],
    model: str = "mri",
    device: str = "auto",
    progress: Progress | None = None,
    *,
    backend: str = "auto",
    threshold: float | None = None,
    networks: Mapping[str, Backend] | None = None,
    engine: Engine | None = None,
) -> SegmentationResult:
    """Finds stroke lesions.

    Args:
        inputs: Role -> file, DICOM folder (``FOLDER#SERIES_UID`` for one of several series), SimpleITK image or Volume.
            The result lies on the grid of the first one.
        model: A bundled model's id, or the path of a model folder.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        progress: Called with (stage, done, total).
        backend: ``auto``, ``openvino`` or ``torch``.
        threshold: Probability from which a voxel counts, 0..1; the model's own when None.
        networks: The networks by name, of what reads these inputs (``ModelCard.reading``), where the caller has
            loaded them; the folder's files otherwise.
        engine: Keeps networks warm from call to call; without one they are loaded for this call alone.

    Raises:
        InputError: Wrong roles, unreadable or unsuitable images, unknown model, damaged weights.
    """
    report: Progress = progress or (lambda stage, done, total: None)
    card = find_model(model)
    system = SYSTEMS[card.system]
    check_roles(card, tuple(inputs))
    card, unread = _reader(card, tuple(inputs))
    if threshold is not None and not 0 < threshold < 1:
        raise InputError(f"threshold must lie between 0 and 1, got {threshold}")

    seconds: dict[str, float] = {}
    started = time.perf_counter()
    readings = _read_all(inputs, report)
    seconds["read"] = time.perf_counter() - started
    volumes, warnings = _on_one_grid(readings)

    started = time.perf_counter()
    report("load", 0, 1)
    loaded, fell_back = (networks, ()) if networks else (engine or Engine(keep=1)).ready(card, backend, device)
    report("load", 1, 1)
    seconds["load"] = time.perf_counter() - started
    prediction = predict(volumes, card, system, loaded, report, threshold=threshold)
    seconds.update(prediction.seconds)

    started = time.perf_counter()
    report("measure", 0, 1)
    thresholds = _thresholds(card, prediction, threshold)
    least = card.min_lesion_probability if threshold is None else 0.0  # who sets a threshold wants all that it marks
    with ThreadPoolExecutor(1) as beside:
        found_plane = beside.submit(midsagittal_plane, prediction.brain)
        labels, dropped_ml = _labels(volumes, card, system, prediction, thresholds, least)
        uncertainty = uncertainty_map(prediction.probability, labels)
        plane = found_plane.result()
    value = lesion_value(volumes, prediction.notes)
    image, scale = (volumes[value.role], value.scale) if value else (None, 1.0)
    measured = measure_lesions(labels, prediction.probability, plane=plane, image=image, image_scale=scale)
    lesions = _with_probability(measured, card)
    warnings = (*warnings, *prediction.warnings)
    run = prediction.run
    report("measure", 1, 1)
    seconds["measure"] = time.perf_counter() - started
    measurements = build_measurements(
        ModelRecord(
            card.id, card.version, card.sha256, card.system, {label.value: label.name for label in card.labels}
        ),
        {role: record_input(_name(inputs[role]), reading.volume) for role, reading in readings.items()},
        lesions,
        RunRecord(run.device, run.backend, seconds, (*warnings, *fell_back, *run.warnings)),
        review_reasons=reasons_for_review(lesions, warnings, prediction.probability, thresholds),
        more={
            **prediction.notes,
            **({"inputs_not_read": unread} if unread else {}),
            "precision": run.precision,
            "memory_rung": run.memory_rung,
            "thresholds": {str(value): t for value, t in thresholds.items()},
            **({"improbable": {"lesions": len(dropped_ml), "volume_ml": round(sum(dropped_ml), 4)}} if least else {}),
            **({"lesion_value": dataclasses.asdict(value)} if value else {}),
            "midsagittal_plane_lps": plane.tolist(),  # x = a + b*y + c*z, mm: tells left from right again
            **_findings(card, system, prediction, labels),
        },
    )
    image = next(iter(readings.values())).volume
    return SegmentationResult(labels, prediction.probability, measurements, image, card, uncertainty)


def _reader(card: ModelCard, roles: tuple[str, ...]) -> tuple[ModelCard, list[str]]:
    """The model, or its specialist for these inputs, and the inputs that are not read then."""
    card = card.reading(roles)
    return card, [role for role in roles if role not in card.roles]


def _with_probability(lesions: Sequence[Lesion], card: ModelCard) -> list[Lesion]:
    """The lesions with the probability that each is one, by the card's lesion models."""
    models = _lesion_models(card)
    return [
        dataclasses.replace(one, probability=models[one.label].probability(one.mean_probability, one.volume_ml))
        if one.label in models and one.mean_probability is not None
        else one
        for one in lesions
    ]


def _lesion_models(card: ModelCard) -> dict[int, LesionModel]:
    return {value: LesionModel(**weights) for value, weights in card.lesion_models.items()}


def _thresholds(card: ModelCard, prediction: Prediction, threshold: float | None) -> dict[int, float]:
    """Of each label that has a probability; where the system made the label map itself, 0.5 is where it marks."""
    if prediction.labels is not None:
        return dict.fromkeys(prediction.probability, AT_K)
    return {value: card.threshold_of(value) if threshold is None else threshold for value in prediction.probability}


def _labels(
    inputs: Mapping[str, Volume],
    card: ModelCard,
    system: System,
    prediction: Prediction,
    thresholds: Mapping[int, float],
    least: float,
) -> tuple[Volume, tuple[float, ...]]:
    """The label map, by thresholds or by the system itself, without improbable lesions (their mL), with its rule's."""
    if prediction.labels is not None:
        labels = remove_small_labels(prediction.labels, card.min_lesion_ml)
    else:
        labels = label_map(prediction.probability, thresholds, card.min_lesion_ml)
    labels, dropped_ml = without_improbable(labels, prediction.probability, _lesion_models(card), least)
    if system.rule is not None and any(label.value in system.rule_labels for label in card.labels):
        labels = system.rule(inputs, prediction.brain, labels)
    return labels, dropped_ml


def _findings(card: ModelCard, system: System, prediction: Prediction, labels: Volume) -> dict[str, Any]:
    """``classification`` and ``perfusion``, where the system has them."""
    result: dict[str, Any] = {}
    if prediction.classification is not None:
        c = prediction.classification
        names = {label.value: label.name for label in card.labels}
        result["classification"] = classification_entry(c.label, c.found, c.m, names)
    if system.name == CT_PERFUSION.name:
        core, penumbra = (np.count_nonzero(labels.array == value) for value in (CORE, PENUMBRA))
        result["perfusion"] = perfusion_measures(core * labels.voxel_volume_ml, penumbra * labels.voxel_volume_ml)
    return result


def check_roles(card: ModelCard, roles: tuple[str, ...]) -> None:
    """Refuses roles that the model does not take, and too few of them.

    Raises:
        InputError: A role is unknown or a needed one is missing.
    """
    takes = ", ".join(f"{i.role}{'' if i.required else ' (optional)'}" for i in card.inputs)
    unknown = [role for role in roles if role not in card.roles]
    if unknown:
        raise InputError(
            f"model {card.id} does not take {', '.join(unknown)}; it takes {takes}; "
            "choose another model or other inputs"
        )
    missing = [i.role for i in card.inputs if i.required and i.role not in roles]
    if missing or len(roles) < card.minimum_inputs:
        what = ", ".join(missing) or f"{card.minimum_inputs} inputs"
        got = ", ".join(roles) or "nothing"
        raise InputError(
            f"model {card.id} needs {what}, got {got}; it takes {takes}; add ROLE=PATH for what is missing"
        )


def _read_all(inputs: Mapping[str, ImageLike], report: Progress) -> dict[str, Reading]:
    readings = {}
    for n, (role, image) in enumerate(inputs.items()):
        report("read", n, len(inputs))
        reading = _read(image)
        check_modality(reading.volume.array, reading.modality, role)
        readings[role] = reading
    report("read", len(inputs), len(inputs))
    return readings


def _read(image: ImageLike) -> Reading:
    if isinstance(image, Volume):
        return without_nan("(in memory)", Reading(image, (), None))
    if isinstance(image, sitk.Image):
        return without_nan("(in memory)", Reading(from_sitk(image), (), None))
    return read_image(image)


def _name(image: ImageLike) -> str:
    return "(in memory)" if isinstance(image, Volume | sitk.Image) else os.fspath(image)


def _on_one_grid(readings: Mapping[str, Reading]) -> tuple[dict[str, Volume], tuple[str, ...]]:
    """All inputs on the first one's grid, and what had to be said on the way."""
    warnings = [f"{role}: {warning}" for role, reading in readings.items() for warning in reading.warnings]
    first = next(iter(readings))
    reference = readings[first].volume
    volumes = {}
    for role, reading in readings.items():
        volumes[role] = onto_reference(reading.volume, reference, role)
        if volumes[role] is not reading.volume:
            warnings.append(f"{role} lies on another grid than {first} and was resampled to it by physical position")
    return volumes, tuple(warnings)
