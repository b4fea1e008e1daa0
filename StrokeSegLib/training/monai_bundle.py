"""A model as a MONAI bundle: a folder that ``python -m monai.bundle run`` runs, weights and network included.

The preparation of images (units, brain mask, working grid) and the way back to the image's grid can not be said in
MONAI's transforms, so the bundle imports them from StrokeSegLib and gives the results of ``strokeseg segment``. The
networks and their weights are plain torch: ``network_def`` and models/*.pt, as other bundles have them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from StrokeSegLib import __version__
from StrokeSegLib.errors import InputError
from StrokeSegLib.models import CARD, ModelCard, ModelNetwork, check_weights
from StrokeSegLib.segmentation import segment
from StrokeSegLib.systems import SYSTEMS

LICENSE = """SPDX-License-Identifier: {licence}

{words}
"""
APACHE = """Licensed under the Apache License, Version 2.0 (the "License"); you may not use these files except in
compliance with the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0. Unless
required by applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS"
BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific
language governing permissions and limitations under the License."""
NOT_STATED = "Whoever trained these weights has not said what they may be used for: ask them."


class TorchNetwork:
    """A torch network as a backend of the library's inference, see ``inference.backends``."""

    name = "torch"

    def __init__(self, net: nn.Module, device: str) -> None:
        self.device = device
        self._net = net.eval().to(device)

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See ``Backend``."""
        with torch.inference_mode():
            logits = self._net(torch.from_numpy(batch).to(self.device))
        result: NDArray[np.float32] = logits.float().cpu().numpy()
        return result


def run_bundle(bundle_root: str, networks: Mapping[str, nn.Module], inputs: Mapping[str, str], output_dir: str) -> None:
    """What configs/inference.json calls: loads the weights, segments one case, writes the result folder.

    Args:
        networks: By name, as built from ``network_def``.
        inputs: Role -> file or DICOM folder; empty for an optional input that is not there.
        output_dir: As that of ``strokeseg segment --out``; results there are replaced.

    Raises:
        InputError: As ``segment``.
    """
    folder = Path(bundle_root) / "models"
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    loaded = {}
    for name, net in networks.items():
        net.load_state_dict(torch.load(folder / _weights_name(name, networks), map_location="cpu", weights_only=True))
        loaded[name] = TorchNetwork(net, device)
    given = {role: path for role, path in inputs.items() if path}
    segment(given, str(folder), networks=loaded).write(Path(output_dir), force=True)


def write_bundle(card: ModelCard, folder: Path) -> None:
    """Writes a model as a MONAI bundle.

    Args:
        folder: Existing and empty.

    Raises:
        InputError: The weights are not the ones that the card names.
    """
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir()
    for network in card.networks:
        check_weights(network)
        torch.save(_state(card, network), folder / "models" / _weights_name(network.name, card.networks))
    content = json.loads((card.folder / CARD).read_text(encoding="utf-8"))
    _write_json(folder / "models" / CARD, content)
    _write_json(folder / "configs" / "metadata.json", bundle_metadata(card, content))
    _write_json(folder / "configs" / "inference.json", bundle_inference(card))
    (folder / "docs" / "README.md").write_text(_readme(card, content), encoding="utf-8")
    words = APACHE if card.licence == "Apache-2.0" else NOT_STATED
    (folder / "LICENSE").write_text(LICENSE.format(licence=card.licence, words=words), encoding="utf-8")


def bundle_inference(card: ModelCard) -> dict[str, Any]:
    """configs/inference.json."""
    definition = {"_target_": "StrokeSegLib.networks.build_network", "key": card.network, "settings": card.settings}
    first, *others = (network.name for network in card.networks)
    return {
        "bundle_root": ".",
        **{role: "" for role in card.roles},
        "output_dir": "$@bundle_root + '/eval'",
        "network_def": definition,
        "networks": {first: "@network_def", **{name: definition for name in others}},
        "inputs": {role: f"@{role}" for role in card.roles},
        "segmenter": {
            "_target_": "StrokeSegLib.training.monai_bundle.run_bundle",
            "_mode_": "callable",
            "bundle_root": "@bundle_root",
            "networks": "@networks",
            "inputs": "@inputs",
            "output_dir": "@output_dir",
        },
        "run": ["$@segmenter()"],
    }


def bundle_metadata(card: ModelCard, content: Mapping[str, Any]) -> dict[str, Any]:
    """configs/metadata.json, with the keys that MONAI's schema of bundles requires.

    Args:
        content: Of model.json.
    """
    system = SYSTEMS[card.system]
    axes = 3 if system.way == "windows" else 2
    outputs = ["background"] * (system.activation == "softmax") + list(system.labels.values())
    shape = [f"{system.size_divisor}*n"] * axes
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json",
        "version": card.version,
        "changelog": {card.version: "exported by StrokeSeg"},
        "monai_version": _version("monai"),
        "pytorch_version": _version("torch").split("+")[0],
        "numpy_version": _version("numpy"),
        "required_packages_version": {"strokeseg": __version__},
        "name": card.title,
        **{
            key: content[key] for key in ("task", "description", "authors", "data_source", "intended_use", "references")
        },
        "copyright": content["authors"],
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "magnitude",
                    "modality": "CT" if "ct" in card.roles else "MR",
                    "num_channels": card.settings.get("in_channels", 1),
                    "spatial_shape": shape,
                    "dtype": "float32",
                    "value_range": [],
                    "is_patch_data": system.way == "windows",
                    "channel_def": {},
                }
            },
            "outputs": {
                "pred": {
                    "type": "probabilities",
                    "format": "segmentation",
                    "num_channels": len(outputs),
                    "spatial_shape": shape,
                    "dtype": "float32",
                    "value_range": [0, 1],
                    "is_patch_data": system.way == "windows",
                    "channel_def": {str(n): name for n, name in enumerate(outputs)},
                }
            },
        },
    }


def _state(card: ModelCard, network: ModelNetwork) -> dict[str, torch.Tensor]:
    """The weights as float32, with the counters of batch normalizations, so that they load strictly."""
    from StrokeSegLib.networks import build_network

    net = build_network(card.network, card.settings)
    stored = {name: value.float() for name, value in load_file(network.weights).items()}
    missing, unexpected = net.load_state_dict(stored, strict=False)
    if unexpected or [name for name in missing if not name.endswith("num_batches_tracked")]:
        raise InputError(f"{network.weights} does not fit network {card.network}; install the model again")
    return net.state_dict()


def _weights_name(name: str, all_of_them: Any) -> str:
    return "model.pt" if len(all_of_them) == 1 else f"{name}.pt"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "1.4.0"  # what the bundle is tested with at least


def _readme(card: ModelCard, content: Mapping[str, Any]) -> str:
    words = " ".join(f"--{i.role} {i.role.upper()}.nii.gz" for i in card.inputs if i.required)
    words = words or f"--{card.roles[0]} {card.roles[0].upper()}.nii.gz"
    return f"""# {card.title}
**{content["intended_use"]}.** {content["description"]}. Trained on: {content["data_source"]}.

Needs `pip install strokeseg monai torch`. From the bundle's folder:

    python -m monai.bundle run --config_file configs/inference.json {words} --output_dir OUT

OUT holds lesion.nii.gz (labels on the first image's grid), the probability of each label and measurements.json, as
`strokeseg segment` writes them. Images have to be given with their full path, or relative to the current folder.

The preparation of the images (units, brain mask, working grid), the way over the image and the way back to its grid can
not be said in MONAI's transforms: this bundle imports them from StrokeSegLib. `network_def` and models/*.pt are plain
torch. The network's input is what StrokeSegLib's preparation makes, not an image; its output are logits, to be divided
by the temperature {card.temperature:g}. models/model.json holds all settings.
"""


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")
