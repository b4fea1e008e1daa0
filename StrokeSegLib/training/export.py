"""From a trained run to a model folder: weights, graphs, card, calibrated where cases are given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.backends import Choice, load_backends
from StrokeSegLib.inference.running import Progress
from StrokeSegLib.models import CARD, ModelCard, load_card
from StrokeSegLib.networks import build_network
from StrokeSegLib.result_folder import staged_results
from StrokeSegLib.systems import SYSTEMS
from StrokeSegLib.training.calibrate import KnownCase, as_card_keys, as_sentences, calibrate
from StrokeSegLib.training.card import build_card, card_text
from StrokeSegLib.training.checkpoint import CHECKPOINT, read_checkpoint
from StrokeSegLib.training.graph import GRAPH, WEIGHTS, check_graph, write_graph, write_weights
from StrokeSegLib.training.run_folder import RUN, read_run

__all__ = ["GRAPH", "WEIGHTS", "check_graph", "export_run", "is_run", "write_graph", "write_weights"]

README = "README.md"
#: What all networks of a model share, and its card says once.
SHARED = ("system", "network", "network_settings", "prepare_settings", "inference_settings")


def is_run(folder: Path) -> bool:
    """Whether a folder is a run of ``strokeseg train``."""
    return (folder / RUN).is_file()


def export_run(
    run: Path,
    out: Path,
    *,
    model_id: str | None = None,
    calibration: Iterable[KnownCase] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> ModelCard:
    """Writes the model folder of a run, which ``strokeseg segment --model DIR`` takes.

    Each graph is run beside its network before the folder appears.

    Args:
        run: Run folder; a run that was stopped gives a model that says so.
        out: New folder. Its README.md, where there is one, stays.
        model_id: On the command line; the folder's name when None.
        calibration: Cases with known truth that training never saw: they choose temperature, thresholds and the
            smallest lesion. None leave 1, 0.5 and 0.
        force: Replace a model that is there.
        progress: Called with (stage, done, total); it may raise to cancel, and then nothing is written.

    Raises:
        InputError: No run, nothing trained yet, networks that do not belong together, or ``out`` holds a model.
    """
    tell: Progress = progress or (lambda stage, done, total: None)
    record = read_run(run)
    names = [name for name in record["networks"] if (run / name / CHECKPOINT).is_file()]
    if not names:
        raise InputError(f"{run} holds no trained network yet; go on with strokeseg train --resume --out {run}")
    refuse_existing(out, force=force)
    model_id = re.sub("[^a-z0-9-]+", "-", out.resolve().name.lower()) if model_id is None else model_id
    first = _shared_settings(run, names)
    card = build_card(SYSTEMS[record["system"]], record, first, (), model_id)
    cases = list(calibration)  # what is wrong with them is told before the work begins
    with staged_results(out, force=True) as folder:
        for number, name in enumerate(names):
            tell("export", number, len(names))
            checkpoint = read_checkpoint(run / name / CHECKPOINT)
            card["networks"].append(_write_network(name, checkpoint, folder, alone=len(names) == 1))
        tell("export", len(names), len(names))
        _write_card(folder, card)
        measured: tuple[str, ...] = ()
        if cases:
            loaded = load_card(folder)
            found = calibrate(loaded, load_backends(loaded, Choice("openvino", "cpu")), cases, tell)
            card |= as_card_keys(found, card)
            measured = as_sentences(found)
            _write_card(folder, card)
        if not (out / README).exists():
            (folder / README).write_text(card_text(card, record, measured), encoding="utf-8")
    return load_card(out)


def refuse_existing(out: Path, *, force: bool, name: str = CARD) -> None:
    """Refuses a folder that holds what is to be written.

    Raises:
        InputError: ``name`` is there and ``force`` is False.
    """
    if (out / name).exists() and not force:
        raise InputError(f"{out} already holds {name}; choose another folder, or replace it with --force")


def _write_network(name: str, checkpoint: dict[str, Any], folder: Path, *, alone: bool) -> dict[str, str]:
    net = build_network(checkpoint["network"], checkpoint["network_settings"])
    net.load_state_dict(checkpoint["average"] or checkpoint["net"])
    in_channels = int(checkpoint["network_settings"]["in_channels"])
    graph, weights = (GRAPH, WEIGHTS) if alone else (f"{name}.onnx", f"{name}.safetensors")
    digest = write_weights(net.eval(), folder, weights)
    write_graph(net, in_channels, folder, graph=graph, weights=weights)
    check_graph(net, in_channels, folder, graph=graph, weights=weights)
    return {"name": name, "graph": graph, "weights": weights, "sha256": digest}


def _shared_settings(run: Path, names: list[str]) -> dict[str, Any]:
    """What the networks of a run have in common, and the fewest steps that one of them was trained for.

    Raises:
        InputError: They do not belong together.
    """
    first: dict[str, Any] = {}
    for name in names:
        checkpoint = read_checkpoint(run / name / CHECKPOINT)
        plain = {key: checkpoint[key] for key in (*SHARED, "step")}
        first = first or plain
        differ = [key for key in SHARED if first[key] != plain[key]]
        if differ:
            raise InputError(f"{run}: network {name} has another {', '.join(differ)} than the first; export them apart")
        first["step"] = min(first["step"], plain["step"])
    return first


def _write_card(folder: Path, card: dict[str, Any]) -> None:
    (folder / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
