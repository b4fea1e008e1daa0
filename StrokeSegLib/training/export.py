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
from StrokeSegLib.training.graph import GRAPH, WEIGHTS, check_graph, write_graph, write_same_graph, write_weights
from StrokeSegLib.training.run_folder import RUN, read_run
from StrokeSegLib.training.selection import kept_weights, members, validation_iou

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

    The weights are those of the best validation where there was one, else the last; the networks of three planes are
    the best that the paper's ensemble has room for. The card and the README say which.

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
    names, how = _chosen(run, names)
    refuse_existing(out, force=force)
    model_id = re.sub("[^a-z0-9-]+", "-", out.resolve().name.lower()) if model_id is None else model_id
    first = _shared_settings(run, names)
    card = build_card(SYSTEMS[record["system"]], record, first, (), model_id)
    card["training"] |= how
    record["notes"] = [*record["notes"], *_sentences(how)]
    cases = list(calibration)  # what is wrong with them is told before the work begins
    with staged_results(out, force=True) as folder:
        for number, name in enumerate(names):
            tell("export", number, len(names))
            checkpoint = read_checkpoint(kept_weights(run, name))
            graph = folder / card["networks"][0]["graph"] if number else None
            card["networks"].append(_write_network(name, checkpoint, folder, alone=len(names) == 1, first=graph))
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


def read_prepare_settings(run: Path) -> dict[str, Any]:
    """How the images of a run were prepared: which of them its model reads follows from that.

    Raises:
        InputError: No run, or nothing trained yet.
    """
    for name in read_run(run)["networks"]:
        if (run / name / CHECKPOINT).is_file():
            settings: dict[str, Any] = read_checkpoint(run / name / CHECKPOINT)["prepare_settings"]
            return settings
    raise InputError(f"{run} holds no trained network yet; go on with strokeseg train --resume --out {run}")


def _chosen(run: Path, names: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The networks of a run that become the model, and what its card says of the choice."""
    scores = {name: validation_iou(run, name) for name in names}
    chosen = members(names, scores)
    known = {name: score for name in chosen if (score := scores[name]) is not None}
    how: dict[str, Any] = {"checkpoint": "mixed" if known else "last"}
    if len(known) == len(chosen):
        how["checkpoint"] = "best"
    if len(chosen) < len(names):
        how["trained_networks"] = len(names)
    if known:
        how["validation_iou"] = {name: round(score, 4) for name, score in known.items()}
    return chosen, how


def _sentences(how: dict[str, Any]) -> list[str]:
    """The same for people."""
    sentences = []
    if "trained_networks" in how:
        best = f"the {len(how['validation_iou'])} with the best validation IoU of {how['trained_networks']}"
        sentences.append(f"of the networks trained, {best} are in this model")
    for name, iou in how.get("validation_iou", {}).items():
        sentences.append(f"{name}: the weights with the best validation IoU, {iou:.3f}")
    return sentences


def refuse_existing(out: Path, *, force: bool, name: str = CARD) -> None:
    """Refuses a folder that holds what is to be written.

    Raises:
        InputError: ``name`` is there and ``force`` is False.
    """
    if (out / name).exists() and not force:
        raise InputError(f"{out} already holds {name}; choose another folder, or replace it with --force")


def _write_network(
    name: str, checkpoint: dict[str, Any], folder: Path, *, alone: bool, first: Path | None
) -> dict[str, str]:
    """Its entry of the card. All networks of a run are built alike, so tracing the first one's graph is enough."""
    net = build_network(checkpoint["network"], checkpoint["network_settings"])
    net.load_state_dict(checkpoint["average"] or checkpoint["net"])
    in_channels = int(checkpoint["network_settings"]["in_channels"])
    graph, weights = (GRAPH, WEIGHTS) if alone else (f"{name}.onnx", f"{name}.safetensors")
    digest = write_weights(net.eval(), folder, weights)
    if first is None:
        write_graph(net, in_channels, folder, graph=graph, weights=weights)
    else:
        write_same_graph(first, folder, graph=graph, weights=weights)
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
