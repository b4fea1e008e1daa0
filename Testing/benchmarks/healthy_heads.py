"""False marks on lesion-free generated heads: mL a head, for calm scans (the demo's) and for training's full ranges.

python Testing/benchmarks/healthy_heads.py [--model mri] [--count 40] [--anatomy FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from StrokeSegLib.demo import CALM
from StrokeSegLib.segmentation import segment
from StrokeSegLib.synth.anatomy import Head, load_heads
from StrokeSegLib.synth.diffusion import make_case
from StrokeSegLib.synth.mri_ranges import DIFFUSION
from StrokeSegLib.synth.procedural import procedural_head

#: Far from the seeds of training and calibration.
SEED = 5_000_000


def main() -> None:
    """Prints one line a kind of head and scan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mri")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--anatomy", type=Path, help="label maps; procedural heads alone without")
    words = parser.parse_args()
    maps = load_heads(words.anatomy) if words.anatomy else []
    for kind in ("procedural", *(["label map"] if maps else [])):
        for scan, ranges in (("calm", CALM), ("training's ranges", DIFFUSION)):
            ml = []
            for n in range(words.count):
                rng = np.random.default_rng(SEED + n)
                head: Head = procedural_head(rng) if kind == "procedural" else maps[n % len(maps)]
                case = make_case(rng, head, ranges=ranges, healthy=True)
                ml.append(segment(case.images, words.model, device="cpu").measurements["total_volume_ml"])
            print(
                f"{kind} heads, {scan}: median {np.median(ml):.2f} mL, 90th percentile {np.percentile(ml, 90):.2f} mL, "
                f"largest {max(ml):.2f} mL, {sum(v > 1 for v in ml)} above 1 mL, n = {len(ml)}"
            )


if __name__ == "__main__":
    main()
