"""Inference's speed on a scan of real size: by stage, beside plain MONAI, beside the machine's best rate.

Two ratios compare with what a user would run instead. ``ratio`` is the whole case: all that plain MONAI does from the
files to the saved label (``plain_case``), over all that we do in a warm run; importing torch and MONAI is not counted.
``ratio_same_stages`` puts only our network stage against MONAI's, and our own reading, preparation and writing on both
sides, so that those bound it.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.inference.backends import Backend
from StrokeSegLib.inference.engine import Engine
from StrokeSegLib.io import write_image
from StrokeSegLib.models import ModelCard, find_model, list_models
from StrokeSegLib.segmentation import SegmentationResult, segment
from StrokeSegLib.speed.floor import best_flop_per_second
from StrokeSegLib.speed.plain import LIMIT_S, paper_overlap
from StrokeSegLib.speed.plain_case import plain_case
from StrokeSegLib.speed.random_model import write_random_model
from StrokeSegLib.speed.recording import Recorded, count_flop
from StrokeSegLib.speed.scans import REAL_SIZES, ScanSize, make_scan
from StrokeSegLib.speed.through_worker import worker_seconds
from StrokeSegLib.training.benchmark_memory import process_memory_mb
from StrokeSegLib.volume import Volume

#: Parts of the scan's slices that the cost is measured on.
PARTS = (0.25, 0.5, 0.75, 1.0)
#: Our stages around the network, in the order of the work.
SHARED = ("read", "preprocess", "restore", "measure", "write")
#: Said where the ratios are printed.
WHAT_RATIO_IS = (
    "ratio: a whole case by MONAI alone, from loading the weights to the saved label, over ours; ratio same stages: "
    "only its network in place of ours; imports of torch and MONAI are not counted"
)


@dataclass(frozen=True)
class Measured:
    """A model's name in the benchmark, and its numbers."""

    name: str
    numbers: dict[str, Any]


def benchmark_model(
    model: str, progress: Progress, scan_size: ScanSize | None = None, limit_s: float = LIMIT_S
) -> Measured:
    """Measures a model that is there: its id, or its folder."""
    card = find_model(model)
    reader = card.reading(card.roles)
    return Measured(card.id, {"weights": "of the model", **_measured(reader, progress, scan_size, limit_s)})


def benchmark_system(
    system: str,
    progress: Progress,
    *,
    full_width: bool = False,
    scan_size: ScanSize | None = None,
    limit_s: float = LIMIT_S,
) -> Measured:
    """Measures a system's bundled model; random weights of the same width where there is none yet.

    Args:
        system: Its name.
        progress: Called with ("measure", done, total).
        full_width: The network of the published width, with random weights.
        scan_size: Of the generated scan; real size when None.
        limit_s: A plain run that would take longer is counted from some windows.
    """
    bundled = [card for card in list_models() if card.system == system]
    if bundled and not full_width:
        return benchmark_model(bundled[0].id, progress, scan_size, limit_s)
    with tempfile.TemporaryDirectory() as folder:
        card = write_random_model(system, Path(folder), ["width=1"] if full_width else [])
        name = f"{system}-full-width" if full_width else system
        return Measured(name, {"weights": "random", **_measured(card, progress, scan_size, limit_s)})


def _measured(card: ModelCard, progress: Progress, scan_size: ScanSize | None, limit_s: float) -> dict[str, Any]:
    size = scan_size or REAL_SIZES[card.system]
    steps = 5
    progress("measure", 0, steps)
    scan = make_scan(card.system, card.roles, size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {role: folder / f"{role}.nii.gz" for role in scan}
        for role, path in paths.items():
            write_image(scan[role], path)
        progress("measure", 1, steps)
        ours = _our_run(card, paths, folder / "out")
        progress("measure", 2, steps)
        through_worker = worker_seconds(str(card.folder.resolve()), paths, folder / "worker")
        progress("measure", 3, steps)
        whole_plain = plain_case(card, paths, folder / "plain", limit_s)
    progress("measure", 4, steps)
    networks, _ = Engine(keep=1).ready(card, "auto", "auto")
    cost = [_cost(card, scan, networks, part) for part in PARTS]
    progress("measure", 5, steps)
    seconds, plain = ours["seconds"], whole_plain.network
    plain_seconds = {f"plain_{stage}": s for stage, s in whole_plain.seconds.items()}
    plain_seconds["plain_total"] = sum(plain_seconds.values())
    overhead = through_worker.pop("worker_overhead")
    return {
        "ratio": plain_seconds["plain_total"] / seconds["total"],
        "ratio_same_stages": (sum(seconds[stage] for stage in SHARED) + plain.seconds) / seconds["total"],
        "ratio_network": plain.seconds / (seconds["network"] + seconds["stitch"]),
        "floor_fraction": ours["floor_s"] / seconds["network"],
        "worker_overhead": overhead,
        "seconds": {**seconds, "floor": ours["floor_s"], **plain_seconds, **through_worker},
        **({} if ours["peak_memory_mb"] is None else {"peak_memory_mb": ours["peak_memory_mb"]}),
        "size_ijk": list(size.size_ijk),
        "backend": ours["backend"],
        "device": ours["device"],
        "precision": ours["precision"],
        "network_gflop": ours["flop"] / 1e9,
        "best_gflop_per_second": ours["rate"] / 1e9,
        "plain": {
            "what": WHAT_RATIO_IS,
            "windows": plain.windows,
            "windows_run": plain.run,
            "extrapolated": plain.extrapolated,
            "overlap": paper_overlap(card.system),
        },
        "cost": cost,
    }


def _our_run(card: ModelCard, paths: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """The second run of a process, by stage, with what the network had to compute and how fast it could be."""
    _forget_peak_memory()
    started = time.perf_counter()
    loaded, _ = Engine(keep=1).ready(card, "auto", "auto")
    networks = {name: Recorded(backend) for name, backend in loaded.items()}
    load_s = time.perf_counter() - started
    first = next(iter(networks.values()))
    precision = getattr(first, "precision", "fp32")
    rate = best_flop_per_second(first.name, precision, first.device)
    result, first_s = _run(card, paths, networks, out)
    peak_mb = process_memory_mb("VmHWM")
    for each in networks.values():
        each.forget()
    result, _ = _run(card, paths, networks, out)
    rate = max(rate, best_flop_per_second(first.name, precision, first.device))
    stages = result.measurements["seconds"]
    in_network = sum(each.seconds for each in networks.values())
    # Names that share their files share the network too, each under an observer of its own: nothing counts twice.
    flop = sum(count_flop(card, each.shapes) for each in networks.values())
    seconds = {stage: stages[stage] for stage in SHARED}
    seconds |= {"network": in_network, "stitch": stages["network"] - in_network}
    seconds["total"] = sum(seconds.values())
    return {
        "seconds": {**seconds, "load": load_s, "first_run": load_s + first_s},
        "floor_s": flop / rate,
        "flop": flop,
        "rate": rate,
        "peak_memory_mb": None if peak_mb is None else round(peak_mb),
        "backend": first.name,
        "device": first.device,
        "precision": precision,
    }


def _run(
    card: ModelCard, paths: Mapping[str, Path], networks: Mapping[str, Backend], out: Path
) -> tuple[SegmentationResult, float]:
    started = time.perf_counter()
    result = segment({role: str(path) for role, path in paths.items()}, str(card.folder), networks=networks)
    result.write(out, force=True)
    return result, time.perf_counter() - started


def _cost(
    card: ModelCard, scan: Mapping[str, Volume], networks: Mapping[str, Backend], part: float
) -> dict[str, float]:
    """Seconds of all stages but reading and writing, on the middle slices of the scan."""
    slices = next(iter(scan.values())).array.shape[0]
    keep = max(1, round(part * slices))
    first = (slices - keep) // 2
    cut = {role: _slab(volume, first, first + keep) for role, volume in scan.items()}
    stages = segment(cut, str(card.folder), networks=networks).measurements["seconds"]
    voxels = next(iter(cut.values())).array.size
    return {"million_voxels": voxels / 1e6, "seconds": sum(s for name, s in stages.items() if name != "read")}


def _slab(volume: Volume, first: int, end: int) -> Volume:
    x, y, z = (float(v) for v in volume.ijk_to_lps([[0, 0, first]])[0])
    return Volume(volume.array[first:end], volume.spacing_mm, (x, y, z), volume.direction)


def _forget_peak_memory() -> None:
    """So that VmHWM is the peak from now on; where the system can not (not Linux), there is no such number."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
