"""Which weights are kept: those of the best validation beside the last ones, and the best networks of an ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.case_table import Case
from StrokeSegLib.inference.planes import members_by_plane
from StrokeSegLib.inference.projections import choose_members
from StrokeSegLib.systems.dpn92_constants import PAPER
from StrokeSegLib.training.checkpoint import BEST, CHECKPOINT, State, read_checkpoint, write_content
from StrokeSegLib.training.presets import Preset
from StrokeSegLib.training.run_folder import note
from StrokeSegLib.training.validation import validate

#: Column of the log, and beginning of the columns of single labels.
VALIDATION_IOU = "validation_iou"
#: Networks of each plane that a model takes, where more were trained.
MEMBERS = {"axial": PAPER.axial_members, "coronal": PAPER.plane_members, "sagittal": PAPER.plane_members}


class Keeper:
    """Validates a network in training every so often and keeps its best weights in best.pt.

    Args:
        preset: Says how often.
        cases: Of split ``val``; none means no validation.
        labels: Of the system.
        run: The run folder.
    """

    def __init__(self, preset: Preset, cases: Sequence[Case], labels: Sequence[int], run: Path) -> None:
        self._preset, self._cases, self._run = preset, cases, run
        self._labels = labels if len(labels) > 1 else ()

    @property
    def columns(self) -> dict[str, None]:
        """Columns of the log, empty as they are between validations."""
        if not (self._preset.validate_every and self._cases):
            return {}
        return dict.fromkeys([VALIDATION_IOU, *(f"{VALIDATION_IOU}_{label}" for label in self._labels)])

    @property
    def notes(self) -> list[str]:
        """What the run's record should say of the choice of weights."""
        if not self._preset.validate_every:
            return []
        if not self._cases:
            return ["not validated, as no case has the split val: the last weights are exported"]
        return [f"validated on {len(self._cases)} cases: the weights with the best mean patient-wise IoU are exported"]

    def due(self, step: int, validated: int) -> bool:
        """Whether the network of this step is to be validated.

        Args:
            step: Steps that were done.
            validated: Of the latest validation.
        """
        if not self.columns or validated >= step:
            return False
        return step % self._preset.validate_every == 0 or step >= self._preset.steps

    def look(self, state: State, device: torch.device, progress: Progress) -> dict[str, float]:
        """Validates, keeps the weights if they are the best so far, and gives the values for the log.

        The averaged weights are validated where the preset has them: they are what is exported.
        """
        network = str(state.description["network_name"])
        net = state.net if state.average is None else state.average
        found = validate(net, state.description, self._cases, device, progress)
        state.validated = state.step
        if found.iou > state.best_iou:
            state.best_iou, state.best_step = found.iou, state.step
            write_content(state.weights() | {VALIDATION_IOU: found.iou}, self._run / network / BEST)
            note(self._run, network, {"best_step": state.step, VALIDATION_IOU: found.iou}, [])
        values = {VALIDATION_IOU: found.iou}
        values |= {
            f"{VALIDATION_IOU}_{label}": found.by_label[label] for label in self._labels if label in found.by_label
        }
        return values


def kept_weights(run: Path, network: str) -> Path:
    """The file of the weights to be exported: the best of the validations, or the last where there was none."""
    best = run / network / BEST
    return best if best.is_file() else run / network / CHECKPOINT


def validation_iou(run: Path, network: str) -> float | None:
    """Of a network's best weights; None where it was not validated."""
    best = run / network / BEST
    return float(read_checkpoint(best)[VALIDATION_IOU]) if best.is_file() else None


def members(names: Sequence[str], scores: Mapping[str, float | None]) -> list[str]:
    """The networks of an ensemble of three planes: the best 6 axial ones and the best 2 of each other plane.

    All of a plane where there are no more, or where one of them was not validated: nothing then says which are best.

    Args:
        names: Of the networks, such as ``axial-3``.
        scores: Their validation IoU.

    Returns:
        The chosen names in the order of ``names``.
    """
    dropped: set[str] = set()
    for plane, of_plane in members_by_plane(names).items():
        own = [name for name in of_plane if name.split("-", maxsplit=1)[0] == plane]
        known = [score for name in own if (score := scores.get(name)) is not None]
        if len(own) > MEMBERS[plane] and len(known) == len(own):
            dropped |= set(own) - {own[n] for n in choose_members(known, MEMBERS[plane])}
    return [name for name in names if name not in dropped]
