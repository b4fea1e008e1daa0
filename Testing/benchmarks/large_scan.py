"""Segments a 512 x 512 x 500 scan; prints peak memory (GB), found and true volume (mL).

python Testing/benchmarks/large_scan.py FOLDER
"""

from __future__ import annotations

import gc
import json
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from StrokeSegLib.demo import demo_case
from StrokeSegLib.io import write_image
from StrokeSegLib.preprocess.geometry import Grid, resample
from StrokeSegLib.volume import Volume

SIZE_IJK = (512, 512, 500)
SPACING_MM = (0.45, 0.45, 0.4)


def write_scan(folder: Path) -> float:
    """Writes dwi.nii and adc.nii, int16, of the demo's head in thin slices; returns the true volume in mL."""
    case = demo_case()
    source = case.images["dwi"]
    center = source.ijk_to_lps((np.array(source.size_ijk) - 1) / 2)
    origin = center - source.direction @ ((np.array(SIZE_IJK) - 1) / 2 * np.array(SPACING_MM))
    grid = Grid(SIZE_IJK, SPACING_MM, tuple(origin), source.direction)
    for role, gain in (("dwi", 1.0), ("adc", 1000.0)):
        fine = resample(case.images[role], grid)
        write_image(replace(fine, array=(fine.array * gain).astype(np.int16)), folder / f"{role}.nii")
        del fine
        gc.collect()
    truth: Volume = case.truth
    return float(truth.array.sum()) * truth.voxel_volume_ml


def main() -> None:
    """Runs the command as a process, so that making the scan does not count."""
    folder = Path(sys.argv[1])
    truth_ml = write_scan(folder)
    words = [
        "segment",
        "--model",
        "mri",
        f"dwi={folder / 'dwi.nii'}",
        f"adc={folder / 'adc.nii'}",
        "--out",
        folder / "out",
    ]
    subprocess.run([sys.executable, "-m", "StrokeSegLib", *map(str, words)], check=True, stderr=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak_gb = peak / (1e9 if sys.platform == "darwin" else 1024**2)
    found = json.loads((folder / "out" / "measurements.json").read_text(encoding="utf-8"))
    print(f"{peak_gb:.2f} {found['total_volume_ml']:.2f} {truth_ml:.2f}")


if __name__ == "__main__":
    main()
