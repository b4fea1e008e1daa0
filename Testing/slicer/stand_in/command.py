"""Stand-in for ``python -m StrokeSegLib``: the real worker's server, with a segmentation that needs no network.

``worker``: speaks the worker's protocol; lesions are the voxels above 200 of the first input. The model's id decides
how it behaves: bright (works), two (calls the smaller lesion 2, hemorrhage), empty (finds nothing), refuse (wrong
input), crash (the process dies), full (out of memory), silent (no result), shifted (a result on another grid), slow
(starts a child of its own, and neither ends nor listens), patient (never ends, and obeys a cancel).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from StrokeSegLib.errors import InputError
from StrokeSegLib.worker import serving
from StrokeSegLib.worker.telling import Telling

THRESHOLD = 200
#: The same threshold as a probability, see writeProbabilities.
PROBABILITY = 0.4


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["worker"])
    parser.add_argument("--scratch", type=Path)
    arguments = parser.parse_args(words)
    serving.serve({"segment": method}, idle_s=60, scratch=arguments.scratch)


def method(params: Mapping[str, Any]) -> Callable[[Telling], dict[str, Any]]:
    assert {"model", "inputs", "out", "device", "threshold", "compress"} == set(params)
    return lambda progress: segment(params["model"], params["inputs"], Path(params["out"]), progress)


def segment(model: str, inputs: dict[str, str], out: Path, progress: Telling) -> dict[str, Any]:
    images = {role: sitk.ReadImage(path) for role, path in inputs.items()}
    progress("read", len(images), len(images))
    if model == "refuse":
        raise InputError(f"{inputs['dwi']} looks like a CT (values down to -1000); an MR image is needed: choose a DWI")
    if model == "crash":
        say("Traceback (most recent call last):")
        say("RuntimeError: the weights do not fit the network")
        os._exit(1)
    if model == "full":
        raise MemoryError
    if model == "silent":
        return {}
    if model == "slow":
        nap = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        say(f"grandchild {nap.pid}")
        step = {"id": progress._id, "stage": "network", "done": 1, "total": 4, "eta_s": 30.4}
        progress._send({"method": "progress", "params": step})
        time.sleep(600)
    while model == "patient":
        progress("network", 1, 4)
        time.sleep(0.02)
    write(model, images, out)
    progress("write", 1, 1)
    return {"out": str(out)}


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
    writeProbabilities(model, image, mask, labels, out)
    lesions = measured(components, several=model == "two")
    names = {1: "ischemic lesion", 2: "hemorrhage"} if model == "two" else {1: "ischemic lesion"}
    measurements = {
        "model": model, "version": "0", "sha256": "0" * 64, "system": "stand-in",
        "inputs": {role: {"path": "temporary", "shape": list(each.GetSize())} for role, each in images.items()},
        "labels": [label(value, name, lesions) for value, name in names.items()],
        "lesions": lesions, "total_volume_ml": sum(lesion["volume_ml"] for lesion in lesions),
        "thresholds": {str(value): PROBABILITY for value in names}, "device": "cpu", "backend": "stand-in",
        "seconds": {},
        "midsagittal_plane_lps": [0.0, 0.0, 0.0],
        "needs_review": {"flag": False, "reasons": []}, "warnings": ["adc read as 10-6 mm2/s"],
        "saw": {"argv": sys.argv, "python_path": sys.path},
    }  # fmt: skip
    (out / "measurements.json").write_text(json.dumps(measurements))


def writeProbabilities(model: str, image: sitk.Image, mask: sitk.Image, labels: sitk.Image, out: Path) -> None:
    """The value over 500, so that the lesions' 400 are at 0.8 and the head's 100 at 0.2; and an uncertainty."""
    certain = sitk.Clamp(sitk.Cast(image, sitk.sitkFloat32) / 500, sitk.sitkFloat32, 0, 0.4 if model == "empty" else 1)
    certain.CopyInformation(mask)
    names = {1: "-ischemic-lesion", 2: "-hemorrhage"} if model == "two" else {1: ""}
    for value, suffix in names.items():
        own = certain if model != "two" else sitk.Mask(certain, sitk.Cast(labels == value, sitk.sitkUInt8))
        sitk.WriteImage(own, str(out / f"probability{suffix}.nii.gz"))
    sitk.WriteImage(1 - 2 * sitk.Abs(certain - 0.5), str(out / "uncertainty.nii.gz"))


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
    main(sys.argv[1:])
