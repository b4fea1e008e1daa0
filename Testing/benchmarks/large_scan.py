"""Segments a 512 x 512 x 500 scan; prints peak memory (GB), found and true volume (mL).

python Testing/benchmarks/large_scan.py FOLDER [--model ID|DIR]
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from StrokeSegLib.demo import demo_case
from StrokeSegLib.io import write_image
from StrokeSegLib.models import ModelCard, find_model
from StrokeSegLib.preprocess.geometry import Grid, resample
from StrokeSegLib.volume import Volume

SIZE_IJK = (512, 512, 500)
SPACING_MM = (0.45, 0.45, 0.4)
#: What lies outside the generated head, HU; other images have 0 there.
AIR_HU = -1000.0
#: Files hold whole numbers, as scanners' do: roles whose values are small are written in thousandths.
GAIN = {"adc": 1000.0, "cbv": 1000.0, "mtt": 1000.0, "tmax": 1000.0}


def write_scan(folder: Path, card: ModelCard) -> tuple[dict[str, Path], float]:
    """Writes a generated head in thin slices, int16; returns the files by role and the true volume in mL."""
    images, truth = generated(card)
    source = next(iter(images.values()))
    center = source.ijk_to_lps((np.array(source.size_ijk) - 1) / 2)
    origin = center - source.direction @ ((np.array(SIZE_IJK) - 1) / 2 * np.array(SPACING_MM))
    grid = Grid(SIZE_IJK, SPACING_MM, tuple(origin), source.direction)
    files = {}
    for role, image in images.items():
        fine = resample(image, grid, outside=AIR_HU if role == "ct" else 0.0)
        files[role] = folder / f"{role}.nii"
        write_image(replace(fine, array=(fine.array * GAIN.get(role, 1.0)).astype(np.int16)), files[role])
        del fine
        gc.collect()
    marked = np.isin(truth.array, [label.value for label in card.labels])
    return files, float(marked.sum()) * truth.voxel_volume_ml


def generated(card: ModelCard) -> tuple[Mapping[str, Volume], Volume]:
    """Images by role, and truth: the demo's head for the diffusion model, one for the model's system otherwise."""
    if card.system == "mri":
        case = demo_case()
        return case.images, case.truth
    from StrokeSegLib.training.calibrate import held_out_cases
    from StrokeSegLib.training.pool import SynthSource

    (known,) = held_out_cases(SynthSource(), card.system, 1, prepare_settings=card.prepare_settings)
    return {role: image for role, image in known.images.items() if role in card.roles}, known.truth


def main() -> None:
    """Runs the command as a process, so that making the scan does not count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="mri")
    words = parser.parse_args()
    files, truth_ml = write_scan(words.folder, find_model(words.model))
    given = [f"{role}={path}" for role, path in files.items()]
    command = [sys.executable, "-m", "StrokeSegLib", "segment", "--model", words.model, *given]
    subprocess.run([*command, "--out", str(words.folder / "out")], check=True, stderr=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak_gb = peak / (1e9 if sys.platform == "darwin" else 1024**2)
    found = json.loads((words.folder / "out" / "measurements.json").read_text(encoding="utf-8"))
    print(f"{peak_gb:.2f} {found['total_volume_ml']:.2f} {truth_ml:.2f}")


if __name__ == "__main__":
    main()
