"""Validation while a network trains: the prediction of inference, on patients that training never sees."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.case_table import Case, check_cases
from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.backends import Backend
from StrokeSegLib.inference.predict import predict
from StrokeSegLib.inference.projections import planes_to_run
from StrokeSegLib.io import read_image
from StrokeSegLib.metrics import jaccard
from StrokeSegLib.models import ModelCard
from StrokeSegLib.preprocess.geometry import grid_of, onto_reference, to_axial
from StrokeSegLib.systems import SYSTEMS, System
from StrokeSegLib.training.data import Data
from StrokeSegLib.training.dataset import roles_taken, soft_mask
from StrokeSegLib.training.pool import SynthSource
from StrokeSegLib.volume import Volume


@dataclass(frozen=True)
class Validation:
    """How well a network found lesions.

    Attributes:
        iou: Mean over patients of the IoU of the labels that the patient has, 0..1.
        by_label: The same of each label alone, over the patients who have it.
    """

    iou: float
    by_label: dict[int, float]


class NetworkInMemory:
    """A network as it is now, as a backend of inference; float32."""

    name = "torch"

    def __init__(self, net: nn.Module, device: torch.device) -> None:
        self._net, self._on = net, device
        self.device = str(device)

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See ``Backend``."""
        with torch.inference_mode():
            logits = self._net(torch.from_numpy(np.ascontiguousarray(batch)).to(self._on))
        result: NDArray[np.float32] = logits.float().cpu().numpy()
        return result


class Silent:
    """Stands in for the axial network where another plane's is judged alone: it finds nothing anywhere."""

    name, device = "torch", "cpu"

    def __init__(self, labels: int) -> None:
        self._labels = labels

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See ``Backend``; the sigmoid of these logits is 0."""
        return np.full((batch.shape[0], self._labels, *batch.shape[2:]), -100, np.float32)


def validation_cases(data: Data) -> list[Case]:
    """Those of a table whose split is ``val``."""
    if isinstance(data, SynthSource):
        return []
    return [case for case in data if isinstance(case, Case) and case.split == "val"]


def check_validation(data: Data, system: System, prepare_settings: Mapping[str, Any]) -> None:
    """Refuses validation cases that would stop or spoil the training hours later.

    Raises:
        InputError: Lists all bad cases at once; or none holds a lesion.
    """
    cases = validation_cases(data)
    if not cases:
        return
    try:
        check_cases(cases, system, prepare_settings)
    except InputError as error:
        raise InputError(f"cases of split val: {error}") from error


def validate(
    net: nn.Module, description: Mapping[str, Any], cases: Sequence[Case], device: torch.device, progress: Progress
) -> Validation:
    """Predicts the cases as inference would, and compares with their truth on the scan's own grid.

    A patient counts with the labels that the patient has, as published for two kinds of stroke (S4): healthy patients
    have none, and IoU of nothing with nothing would reward a network that finds nothing. A coronal or sagittal network
    is judged alone, on the cases whose slices are thin enough for its plane.

    Args:
        net: Put into eval mode for the while.
        description: Of the checkpoint: system, network, its settings, how images are prepared and gone over.
        cases: With truth.
        progress: Called with ("validate", cases done, cases in all), often; it may raise to end the work.

    Raises:
        InputError: A case cannot be read or prepared, or none holds a lesion that this network can see.
    """
    system = SYSTEMS[description["system"]]
    card = card_in_memory(description)
    name = str(description["network_name"])
    backends: dict[str, Backend] = {name: NetworkInMemory(net, device)}
    plane = name.split("-", maxsplit=1)[0]
    alone = system.way == "projections" and plane in ("coronal", "sagittal")
    if alone:
        backends = {"axial": Silent(len(system.labels)), **backends}
    of_patient: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    was_training = net.training
    net.eval()
    try:
        for number, case in enumerate(cases):
            progress("validate", number, len(cases))
            truth = _truth(case)
            present = [label for label in system.labels if (truth.array == label).any()]
            inputs = _inputs(case, system, description["prepare_settings"], truth)
            reference = next(iter(inputs.values()))
            if not present or (alone and plane not in planes_to_run(to_axial(reference).spacing_mm[2])[0]):
                continue

            def told(stage: str, done: int, total: int, number: int = number) -> None:
                progress("validate", number, len(cases))

            try:
                probability = predict(inputs, card, system, backends, told).probability
            except InputError as error:
                raise InputError(f"validation case {case.case_id}: {error}") from error
            for label in present:
                found = probability[label].array > card.threshold_of(label)
                of_patient[case.patient_id][label].append(jaccard(found, _on_grid(truth, label, reference)))
    finally:
        net.train(was_training)
    progress("validate", len(cases), len(cases))
    if not of_patient:
        raise InputError(
            f"no case of split val shows a lesion that network {name} can see; mark others as val"
            + (", with slices thin enough for its plane" if alone else "")
        )
    return _means(of_patient)


def card_in_memory(description: Mapping[str, Any]) -> ModelCard:
    """A model card for a network that is not exported: not calibrated, without files."""
    return ModelCard(
        id=str(description["network_name"]),
        title="",
        version="",
        licence="",
        system=description["system"],
        inputs=(),
        minimum_inputs=0,
        labels=(),
        networks=(),
        network=description["network"],
        settings=dict(description["network_settings"]),
        temperature=1.0,
        threshold=0.5,
        min_lesion_ml=0.0,
        folder=Path(),
        prepare_settings=dict(description["prepare_settings"]),
        inference_settings=dict(description["inference_settings"]),
    )


def _means(of_patient: Mapping[str, Mapping[int, Sequence[float]]]) -> Validation:
    means = {patient: {label: float(np.mean(v)) for label, v in found.items()} for patient, found in of_patient.items()}
    labels = sorted({label for found in means.values() for label in found})
    return Validation(
        float(np.mean([np.mean(list(found.values())) for found in means.values()])),
        {label: float(np.mean([found[label] for found in means.values() if label in found])) for label in labels},
    )


def _truth(case: Case) -> Volume:
    assert case.lesion is not None  # checked
    return read_image(case.lesion).volume


def _inputs(case: Case, system: System, settings: Mapping[str, Any], truth: Volume) -> dict[str, Volume]:
    """The images on one grid, if possible that of the truth."""
    images = {role: read_image(case.images[role]).volume for role in roles_taken(system, settings, case.images)}
    first = next((role for role in images if images[role].same_grid(truth)), next(iter(images)))
    order = [first, *(role for role in images if role != first)]
    return {role: onto_reference(images[role], images[first], role) for role in order}


def _on_grid(truth: Volume, label: int, reference: Volume) -> NDArray[np.bool_]:
    if truth.same_grid(reference):
        return np.asarray(truth.array == label)
    return np.asarray(soft_mask(truth, label, grid_of(reference)) > 127)
