"""Stand-in for ``python -m StrokeSegLib``: honors the command line's contract without a network.

``segment --model ID ROLE=PATH ... --out DIR --json``; lesions are the voxels above 200 of the first input. The model's
id decides how it behaves: bright (works), two (calls the smaller
lesion 2, hemorrhage), empty (finds nothing), refuse (exit 2), crash and full (exit 1), silent
(exit 0, no result), shifted (a result on another grid), slow (starts a child of its own and never ends).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

THRESHOLD = 200


def main(words: list[str]) -> int:
    assert words[0] == "segment"
    assert words[1] == "--model"
    assert words[-1] == "--json"
    assert words[-3] == "--out"
    model, out = words[2], Path(words[-2])
    inputs = dict(word.split("=", 1) for word in words[3:-3])
    images = {role: sitk.ReadImage(path) for role, path in inputs.items()}
    say(f"progress read {len(images)} {len(images)} 0.0")
    if model == "refuse":
        say(f"strokeseg: {inputs['dwi']} looks like a CT (values down to -1000); an MR image is needed: choose a DWI")
        return 2
    if model == "crash":
        say("Traceback (most recent call last):")
        say("RuntimeError: the weights do not fit the network")
        return 1
    if model == "full":
        say("strokeseg: out of memory; close other programs or use a machine with more")
        return 1
    if model == "silent":
        return 0
    if model == "slow":
        nap = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        say(f"grandchild {nap.pid}")
        say("progress network 1 4 30.4")
        time.sleep(600)
    write(model, images, out)
    say("progress write 1 1 0.0")
    say("strokeseg: done")
    return 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def write(model: str, images: dict[str, sitk.Image], out: Path) -> None:
    image = next(iter(images.values()))
    mask = (image > THRESHOLD) * (model != "empty")
    if model == "shifted":
        mask.SetOrigin([10 + value for value in mask.GetOrigin()])
    components = sitk.RelabelComponent(sitk.ConnectedComponent(mask))  # 1 is the largest
    labels = components if model == "two" else components > 0
    out.mkdir()
    sitk.WriteImage(sitk.Cast(labels, sitk.sitkUInt8), str(out / "lesion.nii.gz"))
    lesions = measured(components, several=model == "two")
    names = {1: "ischemic lesion", 2: "hemorrhage"} if model == "two" else {1: "ischemic lesion"}
    measurements = {
        "model": model, "version": "0", "sha256": "0" * 64, "system": "stand-in",
        "inputs": {role: {"path": "temporary", "shape": list(each.GetSize())} for role, each in images.items()},
        "labels": [label(value, name, lesions) for value, name in names.items()],
        "lesions": lesions, "total_volume_ml": sum(lesion["volume_ml"] for lesion in lesions),
        "needs_review": {"flag": False, "reasons": []}, "warnings": ["adc read as 10-6 mm2/s"],
        "saw": {"argv": sys.argv, "python_path": sys.path},
    }  # fmt: skip
    (out / "measurements.json").write_text(json.dumps(measurements))


def label(value: int, name: str, lesions: list[dict[str, Any]]) -> dict[str, Any]:
    volumes = [lesion["volume_ml"] for lesion in lesions if lesion["label"] == value]
    return {"value": value, "name": name, "volume_ml": sum(volumes), "lesion_count": len(volumes)}


def measured(components: sitk.Image, several: bool) -> list[dict[str, Any]]:
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.ComputeFeretDiameterOn()
    shape.Execute(components)
    found = []
    for value in shape.GetLabels():
        x, y, z = shape.GetCentroid(value)
        found.append({
            "label": value if several else 1, "volume_ml": shape.GetPhysicalSize(value) / 1000,
            "centroid_ras_mm": [-x, -y, z], "max_diameter_mm": float(np.round(shape.GetFeretDiameter(value), 1)),
            "side": "left" if -x < 0 else "right", "mean_probability": 0.9,
        })  # fmt: skip
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
