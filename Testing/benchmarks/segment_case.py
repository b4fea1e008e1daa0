"""``make bench``: seconds a stage and peak memory of one case, as a fresh process; a real scan when one is at hand.

python Testing/benchmarks/segment_case.py [DWI ADC]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from StrokeSegLib.demo import demo_case
from StrokeSegLib.io import write_image

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "cases" / "dwi-adc-isles22-0001"


def main() -> None:
    """Prints a small table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dwi, adc = _inputs(folder)
        words = ["segment", "--model", "mri", f"dwi={dwi}", f"adc={adc}", "--out", str(folder / "out"), "--json"]
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "StrokeSegLib", *words], capture_output=True, text=True, check=True
        )
        whole = time.perf_counter() - started
    found = json.loads(done.stdout)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1e6 if sys.platform == "darwin" else 1024)
    shape = " x ".join(map(str, found["inputs"]["dwi"]["shape"]))
    print(f"{dwi} ({shape}), backend {found['backend']} on {found['device']}")
    for stage, seconds in found["seconds"].items():
        print(f"  {stage:<12}{seconds:8.2f} s")
    print(f"  {'start-up':<12}{whole - sum(found['seconds'].values()):8.2f} s")
    print(f"  {'whole':<12}{whole:8.2f} s\n  peak memory {peak:7.0f} MB")


def _inputs(folder: Path) -> tuple[Path, Path]:
    if len(sys.argv) == 3:
        return Path(sys.argv[1]), Path(sys.argv[2])
    if REAL.is_dir():
        return REAL / "dwi.nii.gz", REAL / "adc.nii.gz"
    for role, volume in demo_case().images.items():
        write_image(volume, folder / f"{role}.nii.gz")
    return folder / "dwi.nii.gz", folder / "adc.nii.gz"


if __name__ == "__main__":
    main()
