"""Runs a model on the real cases beside the checkout and prints the figures that its card shows.

python Testing/benchmarks/real_cases.py [--model mri] [--pictures DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from StrokeSegLib.io import read_image
from StrokeSegLib.metrics import dice, lesion_f1, precision, sensitivity
from StrokeSegLib.segmentation import segment

CASES = Path(__file__).resolve().parents[3] / "shared" / "data" / "cases"
WITH_MASK = ("dwi-adc-isles22-0003", "dwi-adc-isles22-0001")
WITHOUT_MASK = ("dwi-adc-flair-mha",)
#: The simple rule to beat: ADC under 0.62 um2/ms where DWI is bright (1.4 times the brain's median).
RULE_ADC, RULE_DWI = 0.62, 1.4


def main() -> None:
    """Prints one line a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mri")
    parser.add_argument("--pictures", type=Path)
    words = parser.parse_args()
    for name in WITH_MASK:
        folder = CASES / name
        result = segment({"dwi": folder / "dwi.nii.gz", "adc": folder / "adc.nii.gz"}, words.model)
        truth = read_image(folder / "lesion.nii.gz").volume.array > 0
        post, raw = result.labels.array > 0, result.probability[1].array > 0.5
        rule = simple_rule(folder)
        print(
            f"{name}: Dice {dice(post, truth):.3f} (raw network at 0.5: {dice(raw, truth):.3f}; simple rule: "
            f"{dice(rule, truth):.3f}), sensitivity {sensitivity(post, truth):.2f}, "
            f"precision {precision(post, truth):.2f}, "
            f"lesion F1 {lesion_f1(post, truth):.2f}, {result.measurements['total_volume_ml']:.1f} mL against "
            f"{truth.sum() * result.labels.voxel_volume_ml:.1f} mL by the experts"
        )
        _write(result, words.pictures, name)
    for name in WITHOUT_MASK:
        folder = CASES / name
        result = segment({"dwi": folder / "dwi.mha", "adc": folder / "adc.mha"}, words.model)
        ml = {side: 0.0 for side in ("left", "right", "midline")}
        for lesion in result.measurements["lesions"]:
            ml[lesion["side"]] += lesion["volume_ml"]
        print(f"{name}: " + ", ".join(f"{side} {volume:.1f} mL" for side, volume in ml.items()))
        _write(result, words.pictures, name)


def simple_rule(folder: Path) -> np.ndarray:
    """ADC < 0.62 um2/ms and bright DWI, in the brain: the baseline without a network."""
    from StrokeSegLib.systems.mri import prepare

    dwi, adc = (read_image(folder / f"{role}.nii.gz").volume for role in ("dwi", "adc"))
    from StrokeSegLib.inference.predict import restore
    from StrokeSegLib.preprocess.intensity import channel_values

    prepared = prepare({"dwi": dwi, "adc": adc})
    ratio, diffusion = channel_values(prepared.channels)
    hit = (diffusion < RULE_ADC) & (diffusion > 0) & (ratio > RULE_DWI) & prepared.brain
    return restore(hit.astype(np.float32), prepared, dwi).array > 0.5


def _write(result, pictures: Path | None, name: str) -> None:  # type: ignore[no-untyped-def]
    if pictures is not None:
        result.write(pictures / name, force=True)


if __name__ == "__main__":
    main()
