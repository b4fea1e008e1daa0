"""The MONAI bundle runs as a process of MONAI's and gives the voxels of ``strokeseg segment``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from StrokeSegLib.cli import main
from StrokeSegLib.demo import demo_case
from StrokeSegLib.inference.backends import TorchBackend
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.models import find_model
from StrokeSegLib.segmentation import segment

pytest.importorskip("monai")
pytest.importorskip("fire", reason="python -m monai.bundle needs fire")

#: What MONAI's schema of metadata.json requires.
REQUIRED = {"version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "task"} | {
    "description",
    "authors",
    "copyright",
    "network_data_format",
    "changelog",
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "mri"
    assert main(["export", "--model", "mri", "--format", "monai-bundle", "--out", str(folder)]) == 0
    return folder


def test_monai_runs_it_and_finds_the_same_voxels(bundle: Path, tmp_path: Path) -> None:
    case = demo_case()
    words = []
    for role, image in case.images.items():
        write_image(image, tmp_path / f"{role}.nii.gz")
        words += [f"--{role}", str(tmp_path / f"{role}.nii.gz")]
    command = [sys.executable, "-W", "ignore", "-m", "monai.bundle", "run", "--config_file", "configs/inference.json"]
    done = subprocess.run(
        [*command, *words, "--output_dir", str(tmp_path / "out")],
        cwd=bundle,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    images = {role: tmp_path / f"{role}.nii.gz" for role in case.images}
    ours = segment(images, "mri", "cpu", backend="torch")
    theirs = read_image(tmp_path / "out" / "lesion.nii.gz").volume
    assert theirs.same_grid(ours.labels)
    assert ours.labels.array.any()
    assert (theirs.array == ours.labels.array).all()
    probability = read_image(tmp_path / "out" / "probability.nii.gz").volume
    assert abs(probability.array - ours.probability[1].array).max() <= 0.0005 + 1e-6  # written with three decimals


def test_the_folder_is_a_bundle(bundle: Path) -> None:
    assert (bundle / "LICENSE").read_text().startswith("SPDX-License-Identifier: Apache-2.0")
    assert "StrokeSegLib" in (bundle / "docs" / "README.md").read_text()
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert set(metadata) >= REQUIRED
    data = metadata["network_data_format"]
    assert data["inputs"]["image"]["num_channels"] == 6
    assert data["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "ischemic lesion"}


def test_its_network_is_plain_torch(bundle: Path) -> None:
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    net = parser.get_parsed_content("network_def")
    net.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
    x = torch.randn(1, 6, 32, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        seen = net.eval()(x).numpy()
    assert abs(seen - TorchBackend(find_model("mri"), "cpu").run(x.numpy())).max() == 0


def test_a_folder_that_holds_a_bundle_is_refused(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--model", "mri", "--format", "monai-bundle", "--out", str(bundle)]) == 2
    assert "already holds configs, models, docs" in capsys.readouterr().err
