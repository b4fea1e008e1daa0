"""Measures whether each backend and precision gives the answer of the reference (torch, fp32, CPU); prints JSON.

python Testing/benchmarks/agreement.py [--model ID|DIR] [--data TABLE.csv | --generated N] [--devices cpu cuda]

Cases: those of a case table with truth; or generated ones with known truth, and for model mri the real cases beside
the checkout. A precision agrees where every case stays within the bounds and a second run gives the very same
probabilities; only then may a card permit it (inference_settings: precision).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from StrokeSegLib.case_table import read_case_table
from StrokeSegLib.inference.backends import Choice, TorchBackend, load_backends
from StrokeSegLib.inference.precision import PRECISIONS
from StrokeSegLib.io import read_image
from StrokeSegLib.metrics import dice
from StrokeSegLib.models import ModelCard, find_model
from StrokeSegLib.segmentation import ImageLike, SegmentationResult, segment
from StrokeSegLib.training.calibrate import held_out_cases
from StrokeSegLib.training.pool import SynthSource

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "cases"
REAL_MRI = ("dwi-adc-isles22-0003", "dwi-adc-isles22-0001")
#: What counts as the same answer.
DICE, VOLUME_PART, VOLUME_ML = 0.002, 0.005, 0.05

Case = tuple[str, dict[str, ImageLike], np.ndarray]


def main() -> None:
    """Prints the table as JSON; a line a case on stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mri")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--generated", type=int, default=6)
    parser.add_argument("--devices", nargs="+", default=["cpu"])
    words = parser.parse_args()
    card = find_model(words.model)
    cases = list(from_table(words.data, card) if words.data else known_cases(card, words.generated))
    print(json.dumps(measured(card, cases, words.devices), indent=2))


def known_cases(card: ModelCard, count: int) -> Iterator[Case]:
    """Real cases of the mri system where they are at hand, then generated ones."""
    if card.system == "mri" and REAL.is_dir():
        for name in REAL_MRI:
            truth = read_image(REAL / name / "lesion.nii.gz").volume.array > 0
            yield name, {role: REAL / name / f"{role}.nii.gz" for role in ("dwi", "adc")}, truth
    for number, case in enumerate(
        held_out_cases(SynthSource(), card.system, count, prepare_settings=card.prepare_settings)
    ):
        images: dict[str, ImageLike] = {role: image for role, image in case.images.items() if role in card.roles}
        yield f"generated-{number}", images, np.isin(case.truth.array, [label.value for label in card.labels])


def from_table(table: Path, card: ModelCard) -> Iterator[Case]:
    """The cases of a table that have truth."""
    for case in read_case_table(table):
        if case.lesion is not None:
            images = {role: path for role, path in case.images.items() if role in card.roles}
            yield case.case_id, images, read_image(case.lesion).volume.array > 0


def measured(card: ModelCard, cases: list[Case], devices: list[str]) -> dict[str, Any]:
    """Way (backend, device, precision) -> whether it agrees, the largest differences, and each case."""
    reference = load_backends(permitting(card, "fp32"), Choice("torch", "cpu"))
    expected = {name: run(card, inputs, reference) for name, inputs, _ in cases}
    result: dict[str, Any] = {}
    for device in devices:
        for backend in ("openvino", "torch") if device == "cpu" else ("torch",):
            for precision in PRECISIONS:
                networks = load_backends(permitting(card, precision), Choice(backend, device))
                first: Any = next(iter(networks.values()))
                if first.precision != precision or (isinstance(first, TorchBackend) and device == "cpu"):
                    continue  # this machine has it not, or it is the reference
                rows = {}
                for name, inputs, truth in cases:
                    found, again = run(card, inputs, networks), run(card, inputs, networks)
                    rows[name] = compared(expected[name], found, again, truth)
                    print(f"{backend} {device} {precision} {name}: {rows[name]}", file=sys.stderr)
                result[f"{backend} {device} {precision}"] = summed_up(rows)
    return result


def permitting(card: ModelCard, precision: str) -> ModelCard:
    """The card with one precision permitted besides fp32."""
    settings = {**card.inference_settings, "precision": ["fp32", precision]}
    return dataclasses.replace(card, inference_settings=settings)


def run(card: ModelCard, inputs: dict[str, ImageLike], networks: Any) -> SegmentationResult:
    """One case."""
    return segment(inputs, str(card.folder), networks=networks)


def compared(
    expected: SegmentationResult, found: SegmentationResult, again: SegmentationResult, truth: np.ndarray
) -> dict[str, Any]:
    """One case against the reference."""
    by_reference, by_this = (dice(each.labels.array > 0, truth) for each in (expected, found))
    ml = [each.measurements["total_volume_ml"] for each in (expected, found)]
    p = max(float(np.abs(found.probability[v].array - expected.probability[v].array).max()) for v in found.probability)
    same = all(np.array_equal(found.probability[v].array, again.probability[v].array) for v in found.probability)
    return {
        "dice": round(by_reference, 4),
        "dice_difference": round(abs(by_reference - by_this), 5),
        "volume_ml": ml[0],
        "volume_difference_ml": round(abs(ml[0] - ml[1]), 4),
        "largest_probability_difference": round(p, 4),
        "two_runs_equal": same,
        "network_seconds": found.measurements["seconds"]["network"],
        "agrees": bool(
            abs(by_reference - by_this) <= DICE and abs(ml[0] - ml[1]) <= max(VOLUME_PART * ml[0], VOLUME_ML) and same
        ),
    }


def summed_up(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """All cases of one way."""
    largest = ("dice_difference", "volume_difference_ml", "largest_probability_difference")
    return {
        "agrees": all(row["agrees"] for row in rows.values()),
        "n": len(rows),
        **{key: max(row[key] for row in rows.values()) for key in largest},
        "cases": rows,
    }


if __name__ == "__main__":
    main()
