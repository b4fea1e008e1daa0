"""report/measurements.py: the keys of the contract, sums that add up, plain JSON, and the reasons for review."""

from __future__ import annotations

import dataclasses
import json
import math
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from StrokeSegLib.measure import Lesion
from StrokeSegLib.report.measurements import (
    ModelRecord,
    RunRecord,
    build_measurements,
    reasons_for_review,
    record_input,
)
from StrokeSegLib.volume import Volume

#: The keys that every system writes, in the order of the architecture's section 4.
KEYS = (
    "model version sha256 system inputs labels lesions total_volume_ml needs_review warnings device backend seconds "
    "software"
).split()
MODEL = ModelRecord("mri", "1.0", "ab" * 32, "mri", {1: "ischemic lesion", 2: "hemorrhage"})
RUN = RunRecord("cpu", "openvino", {"read": 0.12345, "network": 2.0}, ("slice gaps uneven",))


def lesion(volume_ml: float, label: int = 1, mean: float | None = 0.9) -> Lesion:
    return Lesion(label, volume_ml, (-33.6649, 0.04, -0.01), 52.76, "left", mean)


def built(lesions: list[Lesion], **more: Any) -> dict[str, Any]:
    inputs = {"dwi": record_input("scan/dwi.nii.gz", Volume(np.zeros((3, 4, 5)), (0.5, 1.0, 6.0)))}
    return build_measurements(MODEL, inputs, lesions, RUN, **more)


def test_the_keys_and_values_are_those_of_the_contract() -> None:
    content = built([lesion(1.2345)])
    assert list(content) == KEYS
    assert {key: content[key] for key in KEYS[:4]} == {
        "model": "mri", "version": "1.0", "sha256": "ab" * 32, "system": "mri"
    }  # fmt: skip
    assert content["labels"] == [
        {"value": 1, "name": "ischemic lesion", "volume_ml": 1.234, "lesion_count": 1},
        {"value": 2, "name": "hemorrhage", "volume_ml": 0.0, "lesion_count": 0},
    ]
    assert content["lesions"] == [
        {
            "label": 1,
            "volume_ml": 1.234,
            "centroid_ras_mm": [-33.7, 0.0, 0.0],
            "max_diameter_mm": 52.8,
            "side": "left",
            "mean_probability": 0.9,
        }
    ]
    assert content["needs_review"] == {"flag": False, "reasons": []}
    assert content["warnings"] == ["slice gaps uneven"]
    assert (content["device"], content["backend"]) == ("cpu", "openvino")
    assert content["seconds"] == {"read": 0.123, "network": 2.0}


def test_the_shape_is_in_the_order_of_the_spacing() -> None:
    assert built([])["inputs"] == {
        "dwi": {"path": "scan/dwi.nii.gz", "shape": [5, 4, 3], "spacing_mm": [0.5, 1.0, 6.0]}
    }


def test_total_labels_and_lesions_add_up_to_within_their_rounding() -> None:
    volumes = np.random.default_rng(7).lognormal(-2, 2, 60)
    content = built([lesion(float(v), 1 + n % 2) for n, v in enumerate(volumes)])
    total = content["total_volume_ml"]
    assert total == pytest.approx(volumes.sum(), abs=0.0005)
    assert sum(label["volume_ml"] for label in content["labels"]) == pytest.approx(total, abs=0.0005 * 3)
    assert sum(one["volume_ml"] for one in content["lesions"]) == pytest.approx(total, abs=0.0005 * 61)
    assert sum(label["lesion_count"] for label in content["labels"]) == len(content["lesions"]) == 60


def test_no_lesion_is_a_total_of_zero() -> None:
    content = built([])
    assert (content["total_volume_ml"], content["lesions"]) == (0.0, [])


def test_everything_is_plain_json_without_nan() -> None:
    odd = Lesion(1, np.float64(1.5), tuple(np.float32([1, 2, 3])), np.float64(2.0), "left", np.float32(0.5))  # type: ignore[arg-type]
    more = {
        "adc_unit": "10^-6 mm2/s",
        "classification": {"class": np.str_("ischemic"), "scores": np.array([0.25, math.nan])},
        "folder": Path("a/b"),
        "perfusion": {"mismatch_ratio": math.inf, "core_ml": np.int64(3)},
    }
    content = built([odd], more=more)
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["classification"] == {"class": "ischemic", "scores": [0.25, None]}
    assert content["perfusion"] == {"mismatch_ratio": None, "core_ml": 3}
    assert content["folder"] == "a/b"
    assert content["lesions"][0]["mean_probability"] == 0.5


def test_a_lesion_without_probability_has_null() -> None:
    assert built([lesion(1.0, mean=None)])["lesions"][0]["mean_probability"] is None


def test_software_names_installed_versions_only() -> None:
    software = built([])["software"]
    assert software["numpy"] == np.__version__
    assert software["scipy"] == metadata.version("scipy")
    assert all(isinstance(version, str) and version for version in software.values())


def test_a_label_that_the_model_lacks_and_a_taken_entry_are_faults() -> None:
    with pytest.raises(ValueError, match=r"labels \[3\]"):
        built([lesion(1.0, label=3)])
    with pytest.raises(ValueError, match="total_volume_ml"):
        built([], more={"total_volume_ml": 1})


def probability(value: float, voxels: int) -> dict[int, Volume]:
    """A voxel is 0.01 mL; the first ``voxels`` of 100 hold ``value``."""
    array = np.zeros((1, 1, 100), np.float32)
    array[0, 0, :voxels] = value
    return {1: Volume(array, (1.0, 2.0, 5.0))}


def test_a_clear_result_needs_no_review() -> None:
    assert reasons_for_review([lesion(1.0, mean=0.7)], [], probability(0.9, 50), {1: 0.5}) == []
    assert reasons_for_review([], [], probability(0.0, 0), {1: 0.5}) == []


def test_each_input_warning_is_a_reason() -> None:
    reasons = reasons_for_review([lesion(1.0)], ["gantry tilt", "uneven gaps"], {}, {})
    assert [reason.startswith("a warning about the input: ") for reason in reasons] == [True, True]


def test_borderline_lesions_are_counted_in_one_reason() -> None:
    lesions = [lesion(1.0, mean=m) for m in (0.69, 0.7, 0.55, None)]
    assert reasons_for_review(lesions, [], {}, {}) == ["borderline: 2 of 4 lesions have a mean probability under 0.7"]


@pytest.mark.parametrize(("value", "voxels", "asks"), [(0.25, 10, True), (0.25, 9, False), (0.24, 100, False)])
def test_no_lesion_with_a_tenth_of_a_milliliter_at_half_the_threshold_asks_for_a_look(
    value: float, voxels: int, asks: bool
) -> None:
    reasons = reasons_for_review([], [], probability(value, voxels), {1: 0.5})
    assert bool(reasons) is asks
    if asks:
        assert "no lesion found, but 10 voxels (0.10 mL) reach the probability 0.25 for label 1" in reasons[0]


def test_near_misses_are_no_reason_once_a_lesion_was_found() -> None:
    assert reasons_for_review([lesion(1.0)], [], probability(0.3, 100), {1: 0.5}) == []


def test_reasons_raise_the_flag() -> None:
    assert built([], review_reasons=["look"])["needs_review"] == {"flag": True, "reasons": ["look"]}


def test_a_lesion_that_is_hardly_one_asks_for_a_look() -> None:
    """Where the model knows how probable a lesion is, that counts and not its mean probability."""
    sure = Lesion(1, 2.0, (0.0, 0.0, 0.0), 10.0, "left", 0.65, 0.9)
    doubtful = dataclasses.replace(sure, probability=0.4, mean_probability=0.95)
    assert reasons_for_review([sure], [], {}, {}) == []
    (reason,) = reasons_for_review([sure, doubtful], [], {}, {})
    assert "1 of 2 lesions have a probability under 0.7 of being one" in reason
