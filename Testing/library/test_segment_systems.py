"""The whole way of each system with a model folder on the disk: tiny networks with random weights, torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from synthetic_ct import ct_head
from test_ct_perfusion import slab
from test_systems import mr_head

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.models import find_model, load_card
from StrokeSegLib.networks import build_network
from StrokeSegLib.resources import models_folder
from StrokeSegLib.segmentation import segment
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.export import write_weights

WIDTH = 0.05


def write_model(
    folder: Path, system: str, in_channels: int, outputs: int, names: dict[str, str], bias: float = 0.0, **card: Any
) -> Path:
    """A model folder: ``names`` maps each network's name to its weights file; ``bias`` is added to each logit."""
    settings = {"in_channels": in_channels, "out_channels": outputs, "width": WIDTH}
    digests = {}
    for number, weights in enumerate(sorted(set(names.values()))):
        torch.manual_seed(number)
        net = build_network(SYSTEMS[system].network, settings)
        last = [module for module in net.modules() if isinstance(module, torch.nn.Conv2d | torch.nn.Conv3d)]
        for module in last:
            if module.out_channels == outputs and module.bias is not None:
                torch.nn.init.constant_(module.bias, bias)
                torch.nn.init.zeros_(module.weight)
        digests[weights] = write_weights(net.eval(), folder, weights)
    required, optional = SYSTEMS[system].inputs_for(card.get("prepare_settings", {}))
    labels = {**SYSTEMS[system].labels, **SYSTEMS[system].rule_labels}
    text = {key: "" for key in ("task", "description", "authors", "data_source", "intended_use")}
    content = {
        "id": "tiny", "title": "Tiny", "version": "0.0.1", "system": system, "licence": "Apache-2.0", **text,
        "references": [],
        "inputs": [{"role": r, "required": r in required} for r in (*required, *optional)],
        "minimum_inputs": max(1, len(required)),
        "labels": [{"value": value, "name": name} for value, name in labels.items()],
        "network": SYSTEMS[system].network, "network_settings": settings,
        "networks": [
            {"name": name, "graph": "graph.onnx", "weights": weights, "sha256": digests[weights]}
            for name, weights in names.items()
        ],
        "temperature": 1.0, "threshold": 0.5, "min_lesion_ml": 0.0, **card,
    }  # fmt: skip
    jsonschema.validate(content, json.loads((models_folder() / "schema.json").read_text(encoding="utf-8")))
    (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


ONE = {"network": "weights.safetensors"}


def run(inputs: dict[str, Any], model: Path, **kwargs: Any) -> Any:
    return segment(inputs, str(model), device="cpu", backend="torch", **kwargs)


@pytest.mark.parametrize(("bias", "marked"), [(3.0, True), (-3.0, False)])
def test_noncontrast_ct(tmp_path: Path, bias: float, marked: bool) -> None:
    """All weights of the head are 0, so that the probability is the bias's everywhere in the brain."""
    ct, brain, _ = ct_head((2.0, 2.0, 5.0), size_mm=(170.0, 170.0, 30.0))
    settings = {"norm": "minmax_brain", "in_plane_mm": None}
    inference = {"window": [8, 64, 64], "overlap": 0.25, "blend": "constant"}
    model = write_model(
        tmp_path, "noncontrast-ct", 1, 1, ONE, bias, prepare_settings=settings, inference_settings=inference
    )
    result = run({"ct": ct}, model)
    assert result.labels.same_grid(ct)
    assert (result.labels.array[brain] == int(marked)).mean() > 0.95
    assert result.probability[1].array[brain].max() == pytest.approx(1 / (1 + np.exp(-bias)), abs=2e-3)
    assert result.measurements["system"] == "noncontrast-ct"


def test_thresholds_of_each_label(tmp_path: Path) -> None:
    ct, _, _ = ct_head((2.0, 2.0, 5.0), size_mm=(170.0, 170.0, 10.0))
    model = write_model(tmp_path, "noncontrast-ct", 1, 1, ONE, 1.0, thresholds={"1": 0.8})
    result = run({"ct": ct}, model)  # sigmoid(1) = 0.73
    assert not result.labels.array.any()
    assert result.measurements["thresholds"] == {"1": 0.8}
    assert run({"ct": ct}, model, threshold=0.7).labels.array.any()


def test_three_projection(tmp_path: Path) -> None:
    """An ensemble for the axial plane; one file of weights serves both other planes."""
    ct, _, _ = ct_head((2.0, 2.0, 2.0), size_mm=(150.0, 150.0, 40.0))
    names = {
        "axial-1": "a.safetensors",
        "axial-2": "b.safetensors",
        "coronal": "c.safetensors",
        "sagittal": "c.safetensors",
    }
    model = write_model(
        tmp_path,
        "three-projection",
        3,
        2,
        names,
        prepare_settings={"in_plane_mm": 2, "min_slice_mm": 2, "plane_spacing_mm": 2},
    )
    result = run({"ct": ct}, model)
    assert set(result.probability) == {1, 2}
    assert result.labels.same_grid(ct)
    classification = result.measurements["classification"]
    assert set(classification["scores"]) == {"ischemic lesion", "hemorrhage"}
    assert classification["class"] in ("ischemic lesion", "hemorrhage", "no pathology")
    result.write(tmp_path / "out")
    written = {file.name for file in (tmp_path / "out").iterdir()}
    assert {"probability-ischemic-lesion.nii.gz", "probability-hemorrhage.nii.gz", "lesion.seg.nrrd"} <= written


def test_ct_perfusion(tmp_path: Path) -> None:
    """No core found: the penumbra by its rule is all tissue later than 6 s, the core's place included."""
    images, labels = slab(4, (2.0, 2.0, 5.0))
    inference = {"window": [16, 96, 96], "overlap": 0.0}
    model = write_model(tmp_path, "ct-perfusion", 5, 1, ONE, -3.0, inference_settings=inference)
    maps = {role: images[role] for role in ("tmax", "cbf", "cbv", "mtt")}
    result = run(maps, model)
    assert np.array_equal(result.labels.array == 3, labels > 0)
    late_ml = (labels > 0).sum() * images["tmax"].voxel_volume_ml
    perfusion = result.measurements["perfusion"]
    assert perfusion["core_ml"] == 0
    assert perfusion["penumbra_ml"] == pytest.approx(late_ml, abs=0.001)
    assert perfusion["mismatch_ratio"] is None
    assert [(label["value"], label["name"]) for label in result.measurements["labels"]] == [
        (1, "ischemic core"),
        (3, "penumbra"),
    ]
    assert any("no ct" in warning for warning in result.measurements["warnings"])
    result.write(tmp_path / "out")
    assert (tmp_path / "out" / "probability-ischemic-core.nii.gz").is_file()
    assert not (tmp_path / "out" / "probability-penumbra.nii.gz").exists()
    late = read_image(tmp_path / "out" / "delayed.nii.gz").volume
    assert late.same_grid(result.labels)
    assert np.array_equal(late.array, labels > 0)
    assert np.array_equal(read_image(tmp_path / "out" / "lesion.nii.gz").volume.array, result.labels.array)


@pytest.mark.parametrize("roles", [("dwi",), ("t2", "t1"), ("dwi", "adc", "flair", "t1", "t2")])
def test_mri_of_any_sequences(tmp_path: Path, roles: tuple[str, ...]) -> None:
    images, _ = mr_head(skull=False)
    model = write_model(tmp_path, "mri", 30, 2, ONE, prepare_settings={"mode": "any"})
    result = run({role: images[role] for role in roles}, model)
    assert result.labels.same_grid(images[roles[0]])
    assert list(result.measurements["inputs"]) == list(roles)


def test_mri_needs_one_sequence(tmp_path: Path) -> None:
    model = write_model(tmp_path, "mri", 30, 2, ONE, prepare_settings={"mode": "any"})
    with pytest.raises(InputError, match="needs 1 inputs, got nothing"):
        run({}, model)


def test_mri_as_published(tmp_path: Path) -> None:
    images, _ = mr_head(skull=False)
    settings = {"mode": "single", "sequence": "flair", "slice_pixels": 128, "min_slice_mm": 0}
    inference = {"neighbors": 0, "crop_to_brain": False}
    model = write_model(tmp_path, "mri", 3, 2, ONE, prepare_settings=settings, inference_settings=inference)
    assert run({"flair": images["flair"]}, model).labels.same_grid(images["flair"])


def test_the_pair_of_dwi_and_adc_is_read_by_a_network_for_it() -> None:
    card = find_model("mri").reading(("dwi", "adc"))
    assert card.prepare_settings == {"mode": "diffusion"}
    assert card.roles == ("dwi", "adc")
    assert card.threshold_of(1) == card.threshold


def test_a_card_with_unknown_prepare_settings_is_refused_when_used(tmp_path: Path) -> None:
    ct, _, _ = ct_head((2.0, 2.0, 5.0), size_mm=(170.0, 170.0, 10.0))
    model = write_model(tmp_path, "noncontrast-ct", 1, 1, ONE, prepare_settings={"smooth": 1})
    assert load_card(model).prepare_settings == {"smooth": 1}
    with pytest.raises(InputError, match="know no smooth"):
        run({"ct": ct}, model)
