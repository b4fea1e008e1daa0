"""``python -m StrokeSegLib.training.bundle --run RUN --out Resources/Models/mri``: a run becomes a model folder."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from StrokeSegLib.inference.backends import Choice, load_backend
from StrokeSegLib.models import CARD, load_card
from StrokeSegLib.networks import build_network
from StrokeSegLib.systems.mri import MRI
from StrokeSegLib.training.calibrate import calibrate, held_out_cases
from StrokeSegLib.training.config import BundledMri
from StrokeSegLib.training.export import GRAPH, WEIGHTS, write_graph, write_weights
from StrokeSegLib.training.loop import CHECKPOINT, network_settings
from StrokeSegLib.training.pool import Sources, load_sources

VERSION = "0.1.0"


def bundle(run: Path, out: Path, sources: Sources, cases: int = 60) -> dict[str, Any]:
    """Writes weights, graph and a calibrated model.json; returns what the calibration measured."""
    out.mkdir(parents=True, exist_ok=True)
    state = torch.load(run / CHECKPOINT, weights_only=True)
    settings = network_settings(BundledMri(**state["config"]))
    net = build_network(MRI.network, settings)
    net.load_state_dict(state["average"])
    digest = write_weights(net.eval(), out)
    write_graph(net, settings["in_channels"], out)
    card = _card(settings, digest)
    _write_card(out, card)
    loaded = load_card(out)
    found = calibrate(loaded, load_backend(loaded, Choice("openvino", "cpu")), held_out_cases(sources, cases))
    card |= {key: getattr(found, key) for key in ("temperature", "threshold", "min_lesion_ml")}
    _write_card(out, card)
    return {"step": state["step"], **dataclasses.asdict(found)}


def _card(settings: dict[str, Any], digest: str) -> dict[str, Any]:
    return {
        "id": MRI.name,
        "title": MRI.title,
        "version": VERSION,
        "system": MRI.name,
        "licence": "Apache-2.0",
        "task": "Segmentation of acute ischemic stroke lesions on diffusion MRI",
        "description": "A ResNet50-UNet at a quarter of its width; reads each slice of DWI and ADC with its neighbors",
        "authors": "The StrokeSeg contributors",
        "data_source": (
            "Generated images only: SynthSeg training label maps (Apache-2.0) and procedural heads, lesion shapes "
            "of the Stroke Outcome Optimization Project (OpenNeuro ds004889), one diffusion signal model"
        ),
        "intended_use": "Research use only, not a medical device",
        "references": [MRI.citation],
        "inputs": [{"role": role, "required": True} for role in MRI.required],
        "minimum_inputs": len(MRI.required),
        "labels": [{"value": value, "name": name} for value, name in MRI.labels.items()],
        "network": MRI.network,
        "network_settings": settings,
        "networks": [{"name": "axial", "graph": GRAPH, "weights": WEIGHTS, "sha256": digest}],
        "temperature": 1.0,
        "threshold": 0.5,
        "min_lesion_ml": 0.0,
    }


def _write_card(out: Path, card: dict[str, Any]) -> None:
    (out / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Reads the words, writes the folder, prints the calibration."""
    parser = argparse.ArgumentParser(prog="python -m StrokeSegLib.training.bundle", description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--anatomy", type=Path)
    parser.add_argument("--lesions", type=Path)
    parser.add_argument("--cases", type=int, default=60)
    words = parser.parse_args()
    sources = load_sources(words.anatomy, words.lesions)
    print(json.dumps(bundle(words.run, words.out, sources, words.cases), indent=2))


if __name__ == "__main__":
    main()
