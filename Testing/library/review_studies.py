"""Small studies for tests: coarse heads with balls of lesion, and what a model is said to have found in them.

Run as a script, ``review_studies.py STUDY``, it is readers at work until each is killed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from StrokeSegLib.case_table import Case
from StrokeSegLib.io import write_image
from StrokeSegLib.measure import measure_lesions
from StrokeSegLib.report.measurements import ModelRecord, RunRecord, build_measurements, reasons_for_review
from StrokeSegLib.review import Study, accept, correct, create_study, open_case, open_study
from StrokeSegLib.volume import Volume

SHAPE_KJI = (8, 20, 20)
#: 2 x 2 x 5 mm: a voxel has 0.02 mL. Tilted, so that a grid that is not kept to the last bit shows.
TILT = np.array([[1, 0, 0], [0, np.cos(0.2), -np.sin(0.2)], [0, np.sin(0.2), np.cos(0.2)]])
GRID = Volume(np.zeros(SHAPE_KJI, np.uint8), (2.0, 2.0, 5.0), (-19.3, 7.7, 12.1), TILT)
#: Corners (k, j, i) of boxes.
LEFT, RIGHT = (2, 4, 4), (5, 12, 12)


def mask(*boxes: tuple[tuple[int, int, int], int]) -> Volume:
    """A label map with cubes: (corner, side in voxels)."""
    array = np.zeros(SHAPE_KJI, np.uint8)
    for (k, j, i), side in boxes:
        array[k : k + side, j : j + side, i : i + side] = 1
    return GRID.with_array(array)


def write_model_result(folder: Path, labels: Volume, means: Sequence[float], warnings: Sequence[str] = ()) -> None:
    """A result folder with this mask, whose cubes (largest first) have these mean probabilities."""
    folder.mkdir(parents=True)
    write_image(labels, folder / "lesion.nii.gz")
    probability = labels.array.astype(np.float32)
    lesions = measure_lesions(labels)
    assert len(lesions) == len(means)
    for lesion, mean in zip(lesions, means, strict=True):
        center = labels.lps_to_ijk(np.array(lesion.centroid_ras_mm) * (-1, -1, 1))
        k, j, i = np.indices(SHAPE_KJI)
        near = sum((axis - c) ** 2 for axis, c in zip((i, j, k), center, strict=True)) < 30
        probability[near & (labels.array > 0)] = mean
    volume = labels.with_array(probability)
    write_image(volume, folder / "probability.nii.gz")
    lesions = measure_lesions(labels, {1: volume})
    content = build_measurements(
        ModelRecord("mri", "0.1.0", "0" * 64, "mri", {1: "ischemic lesion"}),
        {},
        lesions,
        RunRecord("cpu", "openvino", {}, warnings),
        review_reasons=reasons_for_review(lesions, warnings, {1: volume}, {1: 0.5}),
    )
    (folder / "measurements.json").write_text(json.dumps(content), encoding="utf-8")


def cases_on_disk(folder: Path, count: int) -> list[Case]:
    """Cases ``case-001`` and so on, two a patient, each with a noise image as DWI and ADC."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for number in range(1, count + 1):
        image = GRID.with_array(np.random.default_rng(number).normal(100, 10, SHAPE_KJI).astype(np.float32))
        paths = {role: folder / f"{role}-{number}.nii.gz" for role in ("dwi", "adc")}
        for path in paths.values():
            write_image(image, path)
        cases.append(Case(f"case-{number:03d}", f"MRN-{(number + 1) // 2}", paths))
    return cases


def small_study(folder: Path, count: int = 3) -> Study:
    """A study in ``folder / "study"`` whose cases have one cube, two cubes, none, and so on.

    Volumes of the cubes: 27 voxels are 0.54 mL, 8 voxels are 0.16 mL.
    """
    results = folder / "results"
    for number in range(1, count + 1):
        kinds = [(mask((LEFT, 3)), [0.9]), (mask((LEFT, 3), (RIGHT, 2)), [0.8, 0.6]), (mask(), [])]
        labels, means = kinds[(number - 1) % 3]
        write_model_result(results / f"case-{number:03d}", labels, means)
    return create_study(folder / "study", cases_on_disk(folder / "images", count), results)


def work(study_folder: str, reader: str) -> None:
    """Corrects and accepts one case after the other; says each decision once it is on the disk."""
    study, rng = open_study(study_folder), np.random.default_rng()
    while True:
        for case_id in study.case_ids:
            labels = GRID.with_array((rng.random(SHAPE_KJI) < 0.1).astype(np.uint8))
            open_case(study, reader, case_id)
            for event in (correct(study, reader, case_id, labels), accept(study, reader, case_id)):
                os.write(1, f"{event.kind} {event.name} {event.version}\n".encode())


def main() -> None:
    """For each reader named on stdin: a process of its own at work; says its number, and "ended" when it was killed."""
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            work(sys.argv[1], line.strip())
        os.write(1, f"{process}\n".encode())
        os.waitpid(process, 0)
        os.write(1, b"ended\n")


if __name__ == "__main__":
    main()
