"""Runs a model on the real cases beside the checkout that it can read, and prints the figures that its card shows.

python Testing/benchmarks/real_cases.py [--model mri] [--pictures DIR]
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rules import rule_mask

from StrokeSegLib.io import read_image
from StrokeSegLib.metrics import dice, lesion_f1, precision, sensitivity
from StrokeSegLib.models import ModelCard, find_model
from StrokeSegLib.preprocess.geometry import onto_reference
from StrokeSegLib.segmentation import SegmentationResult, segment

CASES = Path(__file__).resolve().parents[3] / "shared" / "data" / "cases"


@dataclass(frozen=True)
class RealCase:
    """A folder of cases, what of it is read as what, its mask, and what is known of it in words."""

    folder: str
    files: dict[str, str]
    truth: str | None = None
    truth_name: str = "experts"
    known: str = ""


REAL_CASES = (
    RealCase("dwi-adc-isles22-0003", {"dwi": "dwi.nii.gz", "adc": "adc.nii.gz"}, "lesion.nii.gz"),
    RealCase("dwi-adc-isles22-0001", {"dwi": "dwi.nii.gz", "adc": "adc.nii.gz"}, "lesion.nii.gz"),
    RealCase("dwi-adc-flair-mha", {"dwi": "dwi.mha", "adc": "adc.mha"}, known="a large infarct on the right"),
    RealCase(
        "dwi-adc-flair-mha",
        {"dwi": "dwi.mha", "adc": "adc.mha", "flair": "flair.mha"},
        known="a large infarct on the right",
    ),
    RealCase("dwi-adc-flair-mha", {"flair": "flair.mha"}, known="a large infarct on the right"),
    RealCase("t2-chronic", {"t2": "T2.nii"}, "lesionT2.nii", known="a chronic infarct"),
    RealCase(
        "t1-t2-flair-ms",
        {"flair": "flair.nii.gz", "t1": "t1.nii.gz", "t2": "t2.nii.gz"},
        "lesion.nii.gz",
        "multiple sclerosis, not stroke: nothing should be marked",
    ),
    RealCase("ct-template", {"ct": "head_hu.nii.gz"}, known="no lesion"),
    RealCase("ct-template", {"ct": "brain_hu.nii.gz"}, known="no lesion, skull stripped"),
    RealCase(
        "ct-dicom-tilted",
        {"ct": ""},
        known="no bleed; a hypodense area left temporo-occipital (about z 60-92), white-matter disease above",
    ),
)


def main() -> None:
    """Prints a line or more a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mri")
    parser.add_argument("--pictures", type=Path)
    words = parser.parse_args()
    card = find_model(words.model)
    for case in REAL_CASES:
        images = {role: CASES / case.folder / name for role, name in case.files.items()}
        required = {i.role for i in card.inputs if i.required}
        if not set(images) <= set(card.roles) or not required <= set(images):
            continue
        result = segment(images, words.model)
        print(f"{case.folder} ({', '.join(images)}; {case.known or case.truth_name}):")
        for line in (*marked(result, card), *(agreement(case, result, card) if case.truth else ())):
            print(f"    {line}")
        if words.pictures is not None:
            name = "-".join((case.folder, *images, *(Path(f).name.split(".")[0] for f in case.files.values())))
            result.write(words.pictures / name.rstrip("-"), force=True)


def marked(result: SegmentationResult, card: ModelCard) -> list[str]:
    """What was found: mL by label and side, the largest lesions with their place, the class."""
    m: dict[str, Any] = result.measurements
    names = {label.value: label.name for label in card.labels}
    lines = []
    for value, name in names.items():
        ml: Counter[str] = Counter()
        for lesion in m["lesions"]:
            if lesion["label"] == value:
                ml[lesion["side"]] += lesion["volume_ml"]
        sides = ", ".join(f"{side} {ml[side]:.1f}" for side in ("left", "right", "midline"))
        lines.append(f"{name}: {sum(ml.values()):.2f} mL ({sides})")
    for lesion in sorted(m["lesions"], key=lambda one: -one["volume_ml"])[:3]:
        place = ", ".join(f"{c:.0f}" for c in lesion["centroid_ras_mm"])
        lines.append(f"{names[lesion['label']]} of {lesion['volume_ml']:.2f} mL, {lesion['side']}, RAS {place} mm")
    if "classification" in m:
        lines.append(f"class: {m['classification']['class']} {m['classification']['scores']}")
    return lines


def agreement(case: RealCase, result: SegmentationResult, card: ModelCard) -> list[str]:
    """With the experts' mask, for the label of infarcts: post-processed, raw, and the simple rule."""
    reference = result.labels
    read = read_image(CASES / case.folder / str(case.truth)).volume
    truth = onto_reference(read.with_array((read.array > 0).astype(np.float32)), reference, "truth").array > 0.5
    images = {role: read_image(CASES / case.folder / name).volume for role, name in case.files.items()}
    post, raw = result.labels.array == 1, result.probability[1].array > 0.5
    rule = rule_mask(card.system, 1, images)
    beside = "" if rule is None else f"; simple rule {dice(rule, truth):.3f}"
    return [
        f"Dice {dice(post, truth):.3f} (raw network at 0.5: {dice(raw, truth):.3f}{beside}), "
        f"sensitivity {sensitivity(post, truth):.2f}, precision {precision(post, truth):.2f}, "
        f"lesion F1 {lesion_f1(post, truth):.2f}; {case.truth_name}: {truth.sum() * reference.voxel_volume_ml:.1f} mL"
    ]


if __name__ == "__main__":
    main()
