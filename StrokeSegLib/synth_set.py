"""Sets of generated cases on disk: images, truth and a case table, made by several processes, resumed where it stopped.

Case ``n`` depends on the seed and ``n`` alone. Its files are written beside and renamed, the truth last: a case whose
truth is there is whole, and a set is whole when its ``cases.csv`` is there.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.case_table.table import Case, write_case_table, write_text_whole
from StrokeSegLib.disk import DISK_FULL, disk_full
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import write_image
from StrokeSegLib.synth.ctp import render_maps
from StrokeSegLib.synth.ctp_perfusion import Perfusion, draw_perfusion
from StrokeSegLib.synth.ctp_ranges import CTP_RANGES
from StrokeSegLib.synth.ctp_series import CTPSeries, make_series
from StrokeSegLib.synth.diffusion import SyntheticCase
from StrokeSegLib.synth.sources import Sources, find_maker
from StrokeSegLib.volume import Volume, to_sitk

#: ADC as files hold it: um2/ms (1e-3 mm2/s), 1e-6 mm2/s, and mm2/s.
ADC_UNITS = (1.0, 1000.0, 0.001)
#: What a set holds; ``set.json`` is the first that is written, and tells that the others are ours.
SETTINGS_NAME, TABLE_NAME = "set.json", "cases.csv"
FOLDERS = ("images", "truth", "series")
_STAGING = ".staging-"


@dataclass(frozen=True)
class SetSettings:
    """What a set's cases depend on, next to their number.

    Attributes:
        modality: "ct", "mri" or "ctp".
        seed: Of the whole set.
        healthy: Part of the cases without a lesion, 0..1; the generator's own when None.
        series: Write the 4D series of CT perfusion too, and the maps behind it.
        anatomy, lesions: Names of the folders that heads and lesion shapes come from, for the record.
    """

    modality: str
    seed: int
    healthy: float | None = None
    series: bool = False
    anatomy: str | None = None
    lesions: str | None = None


def write_set(
    out: Path,
    settings: SetSettings,
    sources: Sources,
    *,
    count: int,
    processes: int = 1,
    force: bool = False,
    progress: Progress | None = None,
) -> tuple[Case, ...]:
    """Makes the cases that are not there yet, then the table of the first ``count``.

    Args:
        out: New, empty, or with a set of the same settings, which goes on.
        processes: Made side by side; 1 works in this process.
        force: Replace a set of other settings, or of the same ones from the start.
        progress: Called with ("cases", done, count).

    Raises:
        InputError: Wrong settings, ``out`` holds something else, or the disk is full.
    """
    check_settings(settings, count, processes)
    _prepare_folder(out, settings, force)
    missing = [n for n in range(count) if not (out / "truth" / f"{case_name(settings, n)}.json").exists()]
    done = count - len(missing)
    try:
        if progress is not None:
            progress("cases", done, count)
        with closing(_made(out, settings, sources, missing, processes)) as made:
            for _ in made:
                done += 1
                if progress is not None:
                    progress("cases", done, count)
        cases = tuple(_case(out, settings, n) for n in range(count))
        write_case_table(cases, out / TABLE_NAME)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise disk_full(out) from error
        raise
    finally:
        for left in out.glob(f"{_STAGING}*"):
            shutil.rmtree(left, ignore_errors=True)
    return cases


def check_settings(settings: SetSettings, count: int, processes: int = 1) -> None:
    """Refuses what no set can be made of.

    Raises:
        InputError: No such modality, a count or chance out of range, or series of something else than CT perfusion.
    """
    find_maker(settings.modality)
    if count < 1:
        raise InputError(f"a set needs at least one case, got {count}")
    if processes < 1:
        raise InputError(f"a set is made by at least one process, got {processes}")
    if settings.seed < 0:
        raise InputError(f"a seed is a whole number from 0 up, got {settings.seed}")
    if settings.healthy is not None and not 0 <= settings.healthy <= 1:
        raise InputError(f"the part of healthy cases lies between 0 and 1, got {settings.healthy}")
    if settings.series and settings.modality != "ctp":
        raise InputError(f"only CT perfusion (ctp) has a 4D series, got {settings.modality}: leave out --series")


def case_name(settings: SetSettings, number: int) -> str:
    """The id of a case."""
    return f"{settings.modality}-{settings.seed}-{number:05d}"


def adc_unit(settings: SetSettings, number: int) -> float:
    """What a case's ADC in um2/ms is multiplied by: one of ``ADC_UNITS``, as files from different sources differ."""
    return ADC_UNITS[int(np.random.default_rng([settings.seed, number, 2]).integers(len(ADC_UNITS)))]


def make_numbered(settings: SetSettings, sources: Sources, number: int) -> tuple[SyntheticCase, str, Perfusion | None]:
    """Case ``number`` of a set, the id of its patient, and the perfusion behind it where a series is wanted."""
    rng = np.random.default_rng([settings.seed, number])
    head, library, head_number = sources.draw(rng)
    # Cases on one head share a patient, so that a split by patient keeps them together.
    patient = case_name(settings, number) if head_number is None else f"head-{head_number:03d}"
    healthy = None if settings.healthy is None else bool(rng.random() < settings.healthy)
    if settings.series:
        perfusion = draw_perfusion(rng, head, library, ranges=CTP_RANGES, healthy=healthy, spacing_mm=None)
        return render_maps(rng, perfusion), patient, perfusion
    case = find_maker(settings.modality)(rng, head, library, healthy)
    if "adc" in case.images:
        unit = adc_unit(settings, number)
        adc = case.images["adc"]
        case.images["adc"] = adc.with_array((adc.array * np.float32(unit)).astype(np.float32))
        case.parameters["adc_unit"] = unit
    return case, patient, None


def _prepare_folder(out: Path, settings: SetSettings, force: bool) -> None:
    """Makes the folder and writes the settings; or sees that what is there goes with them."""
    file = out / SETTINGS_NAME
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file, a folder is needed for a set: choose another name")
    if file.is_file():
        if not force and _read_settings(file) != asdict(settings):
            raise InputError(
                f"{out} holds a set of other settings (see {file.name}): choose another folder, or --force"
            )
    elif out.is_dir() and any(out.iterdir()):
        raise InputError(
            f"{out} holds files that are no generated set, a new or empty folder is needed: choose another"
        )
    (out / TABLE_NAME).unlink(missing_ok=True)
    if force:
        for name in FOLDERS:
            shutil.rmtree(out / name, ignore_errors=True)
    write_text_whole(file, json.dumps(asdict(settings), indent=2) + "\n")
    for name in FOLDERS[: 3 if settings.series else 2]:
        (out / name).mkdir(exist_ok=True)


def _read_settings(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return None


def _made(
    out: Path, settings: SetSettings, sources: Sources, numbers: list[int], processes: int
) -> Generator[int, None, None]:
    """Writes cases, in any order; yields the number of each that is on the disk."""
    if processes <= 1 or len(numbers) <= 1:
        for number in numbers:
            _write_numbered(out, settings, sources, number)
            yield number
        return
    # Not forked: ITK's threads do not survive that.
    pool = ProcessPoolExecutor(
        min(processes, len(numbers)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(out, settings, sources),
    )
    try:
        with _interrupt_ignored():
            futures = [pool.submit(_work, number) for number in numbers]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise InputError(
            "a process that makes cases was killed, perhaps for lack of memory: use fewer --processes"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupt_ignored() -> Iterator[None]:
    """For processes that start now: Ctrl-C reaches them too, but it is the parent that ends the work in order."""
    if threading.current_thread() is not threading.main_thread():  # handlers can only be set there
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_worker: tuple[Path, SetSettings, Sources] | None = None


def _start_worker(out: Path, settings: SetSettings, sources: Sources) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker = (out, settings, sources)


def _work(number: int) -> int:
    assert _worker is not None
    _write_numbered(*_worker, number)
    return number


def _write_numbered(out: Path, settings: SetSettings, sources: Sources, number: int) -> None:
    """One case's files, staged and renamed; the last one is the record in ``truth/`` that says it is whole."""
    case, patient, perfusion = make_numbered(settings, sources, number)
    name = case_name(settings, number)
    stage = out / f"{_STAGING}{number}-{os.getpid()}"
    stage.mkdir(exist_ok=True)
    for role, image in case.images.items():
        write_image(image, stage / f"images-{name}_{role}.nii.gz")
    if perfusion is not None:
        _write_series(stage, name, perfusion, make_series(np.random.default_rng([settings.seed, number, 1]), perfusion))
    write_image(case.truth, stage / f"truth-{name}.nii.gz")
    record = {"patient_id": patient, "roles": list(case.images), "parameters": case.parameters}
    (stage / f"truth-{name}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    for file in sorted(stage.iterdir(), key=lambda file: file.suffix == ".json"):
        folder, _, rest = file.name.partition("-")
        file.replace(out / folder / rest)
    stage.rmdir()


def _write_series(stage: Path, name: str, perfusion: Perfusion, series: CTPSeries) -> None:
    """The 4D series, the maps behind it, and the input and output curves."""
    grid = perfusion.grid

    def volume(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Volume:
        return Volume(array, grid.spacing_mm, grid.origin, grid.direction)

    step_s = float(series.time_s[1] - series.time_s[0])
    frames = sitk.JoinSeries([to_sitk(volume(frame)) for frame in series.frames], 0.0, step_s)
    sitk.WriteImage(frames, str(stage / f"series-{name}_series.nii.gz"), useCompression=True, compressionLevel=1)
    vessel = (perfusion.artery + perfusion.vein > 0.05).astype(np.uint8)
    truths = {"cbf": perfusion.cbf, "cbv": perfusion.cbv, "mtt": perfusion.mtt, "tmax": perfusion.tmax}
    for role, array in truths.items():
        write_image(volume(array.astype(np.float32)), stage / f"series-{name}_true_{role}.nii.gz")
    write_image(volume(vessel), stage / f"series-{name}_vessels.nii.gz")
    rows = zip(series.time_s, series.arterial, series.venous, strict=True)
    lines = [f"{t:.3f},{arterial:.4f},{venous:.4f}" for t, arterial, venous in rows]
    text = "\n".join(["time_s,arterial_hu,venous_hu", *lines]) + "\n"
    (stage / f"series-{name}_curves.csv").write_text(text, encoding="utf-8")


def _case(out: Path, settings: SetSettings, number: int) -> Case:
    name = case_name(settings, number)
    record = json.loads((out / "truth" / f"{name}.json").read_text(encoding="utf-8"))
    images = {role: out / "images" / f"{name}_{role}.nii.gz" for role in record["roles"]}
    return Case(name, record["patient_id"], images, out / "truth" / f"{name}.nii.gz", None)
