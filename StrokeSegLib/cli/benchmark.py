"""``strokeseg benchmark``: how fast this machine is at the library's long work."""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    """Adds the command's words; each kind of work is a subcommand."""
    benchmark = commands.add_parser("benchmark", help="measure how fast this machine is")
    kinds = benchmark.add_subparsers(required=True, metavar="KIND")
    synth = kinds.add_parser("synth", help="generated volumes per second, one process")
    synth.add_argument("--modality", choices=("ct", "mri", "ctp"), help="one generator only; else all")
    synth.add_argument("--count", type=int, default=5, metavar="N", help="cases a modality (%(default)s)")
    synth.add_argument("--torch", action="store_true", help="with torch on the CPU too, beside numpy and each GPU")
    synth.add_argument("--json", action="store_true", help="print JSON on stdout instead of lines")
    synth.set_defaults(command=_synth)
    training = kinds.add_parser("training", help="our training loop against a plain MONAI loop, and its memory")
    training.add_argument("--system", metavar="NAME", help="one system only; else all")
    training.add_argument("--steps", type=int, default=6, metavar="N", help="steps of each loop (%(default)s)")
    training.add_argument(
        "--full", action="store_true", help="instead: memory of one step of the paper preset, full size"
    )
    training.add_argument("--json", action="store_true", help="print JSON on stdout instead of lines")
    training.set_defaults(command=_training)
    inference = kinds.add_parser("inference", help="a scan of real size: by stage, against plain MONAI, floor, memory")
    inference.add_argument("--system", metavar="NAME", help="one system only; else all")
    inference.add_argument("--model", metavar="ID", help="this model (its id or folder) in place of a system's own")
    inference.add_argument("--full-width", action="store_true", help="the published width, with random weights")
    inference.add_argument("--plot", type=Path, metavar="FILE.png", help="draw cost against volume")
    inference.add_argument("--json", action="store_true", help="print JSON on stdout instead of lines")
    inference.set_defaults(command=_inference)
    batch = kinds.add_parser("batch", help="cases per hour of a batch against one by one")
    batch.add_argument("--model", default="mri", metavar="ID", help="a model's id or its folder (%(default)s)")
    batch.add_argument("--count", type=int, default=20, metavar="N", help="generated cases (%(default)s)")
    batch.add_argument("--json", action="store_true", help="print JSON on stdout instead of lines")
    batch.set_defaults(command=_batch)


def _synth(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.errors import InputError
    from StrokeSegLib.synth.sources import MODALITIES

    if arguments.count < 1:
        raise InputError(f"a benchmark needs at least one case, got --count {arguments.count}")
    modalities = (arguments.modality,) if arguments.modality else MODALITIES
    if arguments.torch and importlib.util.find_spec("torch") is None:
        raise InputError("--torch needs torch; pip install 'strokeseg[gpu]'")
    devices = [*_gpus(), *(["torch-cpu"] if arguments.torch else [])]
    show(synth_speed(arguments.count, modalities, devices), as_json=arguments.json)


def _training(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.errors import InputError
    from StrokeSegLib.progress import shown_progress
    from StrokeSegLib.training.presets import PRESETS, find_preset

    if arguments.steps < 1:
        raise InputError(f"a benchmark needs at least one step, got --steps {arguments.steps}")
    systems = [find_preset(arguments.system, "bundled").system] if arguments.system else list(PRESETS)
    if any(importlib.util.find_spec(package) is None for package in ("torch", "monai")):
        raise InputError("this benchmark needs torch and monai; pip install 'strokeseg[train]'")

    from StrokeSegLib.training.benchmark import training_speed
    from StrokeSegLib.training.benchmark_memory import full_size_memory

    with shown_progress() as progress:
        if arguments.full:
            measured = {f"{system}-paper": full_size_memory(system) for system in systems}
        else:
            measured = {system: training_speed(system, arguments.steps, progress) for system in systems}
    show(measured, as_json=arguments.json)


def _inference(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.errors import InputError
    from StrokeSegLib.models import find_model
    from StrokeSegLib.progress import shown_progress
    from StrokeSegLib.training.presets import PRESETS, find_preset

    if arguments.model and (arguments.system or arguments.full_width):
        raise InputError("--model names what is measured, --system and --full-width do so too: give one of them")
    systems = [find_preset(arguments.system, "bundled").system] if arguments.system else list(PRESETS)
    if arguments.model:
        find_model(arguments.model)
    if arguments.plot and (arguments.plot.suffix != ".png" or not arguments.plot.absolute().parent.is_dir()):
        raise InputError(f"the plot is a picture in a folder that is there, got {arguments.plot}; name a FILE.png")
    if any(importlib.util.find_spec(package) is None for package in ("torch", "monai", "onnx")):
        raise InputError("this benchmark needs torch and monai; pip install 'strokeseg[train]'")

    from StrokeSegLib.speed.inference import benchmark_model, benchmark_system
    from StrokeSegLib.speed.picture import draw_cost

    with shown_progress() as progress:
        if arguments.model:
            found = [benchmark_model(arguments.model, progress)]
        else:
            found = [benchmark_system(each, progress, full_width=arguments.full_width) for each in systems]
    measured = {each.name: each.numbers for each in found}
    if arguments.plot:
        draw_cost(measured, arguments.plot)
    show(measured, as_json=arguments.json)


def _batch(arguments: argparse.Namespace) -> None:
    from StrokeSegLib.errors import InputError
    from StrokeSegLib.models import find_model

    card = find_model(arguments.model)
    if importlib.util.find_spec("torch") is None:
        raise InputError("this benchmark needs torch; pip install 'strokeseg[train]'")

    from StrokeSegLib.progress import shown_progress
    from StrokeSegLib.speed.batch import TURNS, batch_speed

    if arguments.count < TURNS:
        raise InputError(f"this benchmark needs at least {TURNS} cases, got --count {arguments.count}")
    with shown_progress() as progress:
        measured = batch_speed(arguments.model, arguments.count, progress)
    show({f"batch-{card.id}": measured}, as_json=arguments.json)


def synth_speed(count: int, modalities: Sequence[str], devices: Sequence[str] = ()) -> dict[str, dict[str, float]]:
    """Seconds a case, images a case, and images (volumes) per second, by generator; one process, one procedural head.

    The same seeds each time, so two machines (or two versions) make the same cases.

    Args:
        devices: Measured next to numpy, as ``synth-MODALITY-DEVICE``: ``cuda:N``, or ``torch-cpu``.
    """
    import numpy as np

    from StrokeSegLib.synth.compute import Compute, NumpyCompute, computing_on
    from StrokeSegLib.synth.procedural import procedural_head
    from StrokeSegLib.synth.sources import find_maker

    workers: dict[str, Compute] = {"": NumpyCompute()}
    if devices:
        from StrokeSegLib.training.torch_compute import TorchCompute

        workers |= {f"-{device}": TorchCompute(device.removeprefix("torch-")) for device in devices}
    start = time.perf_counter()
    head = procedural_head(np.random.default_rng(0))
    result = {"synth-head": {"seconds": time.perf_counter() - start}}
    for modality in modalities:
        make = find_maker(modality)
        for suffix, worker in workers.items():
            with computing_on(worker):
                make(np.random.default_rng([0, 0]), head, None, None)  # a device's first steps, a head's landmarks
                start = time.perf_counter()
                volumes = sum(len(make(np.random.default_rng([0, n]), head, None, None).images) for n in range(count))
                seconds = time.perf_counter() - start
            result[f"synth-{modality}{suffix}"] = {
                "cases": count,
                "seconds_per_case": seconds / count,
                "volumes_per_case": volumes / count,
                "volumes_per_second": volumes / seconds,
            }
    return result


def _gpus() -> list[str]:
    """The CUDA devices that torch sees, none without torch."""
    if importlib.util.find_spec("torch") is None:
        return []
    import torch

    return [f"cuda:{n}" for n in range(torch.cuda.device_count())]


def show(measured: Mapping[str, Mapping[str, Any]], *, as_json: bool) -> None:
    """Prints what was measured, by name: JSON, or a line of words for each."""
    if as_json:
        print(json.dumps(measured, indent=2))
        return
    for name, numbers in measured.items():
        print(f"{name}: " + ", ".join(_words(numbers)))


def _words(numbers: Mapping[str, Any]) -> Iterator[str]:
    for key, value in numbers.items():
        name = key.replace("_", " ")
        if isinstance(value, Mapping):
            yield from (f"{name} {words}" for words in _words(value))
        elif isinstance(value, float):
            yield f"{name} {value:.3g}"
        else:
            yield f"{name} {'; '.join(map(str, value)) or 'none' if isinstance(value, list) else value}"
