"""Generated cases from settings that training never saw: noise, thickness, contrast, shapes, and parts of a head."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from StrokeSegLib.models import ModelCard
from StrokeSegLib.synth.ct import make_ct_case
from StrokeSegLib.synth.ct_ranges import ACUTE, CT_RANGES, HYPERACUTE, CtRanges
from StrokeSegLib.synth.ctp import make_ctp_case
from StrokeSegLib.synth.ctp_ranges import CTP_RANGES, CTPRanges
from StrokeSegLib.synth.diffusion import SyntheticCase, make_case
from StrokeSegLib.synth.examinations import WITHOUT_PAIR, draw_taken, make_examination
from StrokeSegLib.synth.mri_ranges import DIFFUSION, DiffusionRanges
from StrokeSegLib.synth.mri_sequences import MRI_RANGES, MriRanges
from StrokeSegLib.synth.sources import Sources
from StrokeSegLib.systems.mri import SEQUENCES
from StrokeSegLib.volume import Volume

#: Far from the seeds of training and calibration.
SEED = 7_000_000

#: A setting: what it changes in the generator's ranges, the voxel size (i, j, k) in mm, and what is done afterwards.
Make = Callable[[np.random.Generator, Sources], SyntheticCase]

CT: dict[str, tuple[CtRanges, tuple[float, float, float] | None]] = {
    "training's own ranges": (CT_RANGES, None),
    "noise 6-9 HU (training: to 5)": (replace(CT_RANGES, noise_hu=(6.0, 9.0)), None),
    "8 mm slices (training: to 6)": (CT_RANGES, (1.0, 1.0, 8.0)),
    "0.7 mm slices (training: from 1)": (CT_RANGES, (0.8, 0.8, 0.7)),
    "faint: early infarcts, pale blood": (
        replace(
            CT_RANGES,
            infarct_ages=(HYPERACUTE, ACUTE),
            infarct_age_shares=(0.6, 0.4),
            pale_blood_chance=1.0,
            pale_blood_hu=(36, 44),
        ),
        None,
    ),
    "skull stripped": (replace(CT_RANGES, skull_stripped_chance=1.0), None),
    "another scanner: gain 0.9 or 1.1, offset 5 HU, sharp": (
        replace(CT_RANGES, gain=(0.9, 1.1), offset_hu=(-5, 5), sharp_kernel_chance=1.0),
        None,
    ),
}

DWI: dict[str, tuple[DiffusionRanges, tuple[float, float, float] | None]] = {
    "training's own ranges": (DIFFUSION, None),
    "noise 0.10-0.14 of white matter (training: to 0.09)": (replace(DIFFUSION, noise=(0.10, 0.14)), None),
    "8 mm slices (training: to 6.5)": (DIFFUSION, (1.5, 1.5, 8.0)),
    "1.2 mm slices (training: from 1.8)": (DIFFUSION, (1.2, 1.2, 1.2)),
    "faint: DWI ratio 1.15-1.4 (training: from 1.25)": (replace(DIFFUSION, lesion_dwi_ratio=(1.15, 1.4)), None),
    "skull stripped": (replace(DIFFUSION, skull_stripped_chance=1.0), None),
    "another scanner: b 600 or 1800 (training: 800-1400)": (replace(DIFFUSION, b_s_per_mm2=(600, 1800)), None),
}

CTP: dict[str, tuple[CTPRanges, tuple[float, float, float] | None]] = {
    "training's own ranges": (CTP_RANGES, None),
    "noise twice as strong": (
        replace(CTP_RANGES, cbf_noise=(7.0, 12.0), cbv_noise=(0.45, 0.8), tmax_noise_s=(0.7, 1.2)),
        None,
    ),
    "12 mm slices (training: to 10)": (CTP_RANGES, (1.5, 1.5, 12.0)),
    "2 mm slices (training: from 3)": (CTP_RANGES, (1.5, 1.5, 2.0)),
    "faint: core CBF 0.28-0.35 of normal (training: to 0.28)": (replace(CTP_RANGES, core_cbf=(0.28, 0.35)), None),
    "skull stripped": (replace(CTP_RANGES, maps_stripped_chance=1.0, ct_stripped_chance=1.0), None),
    "another vendor: CBF gain 0.6 or 1.6": (replace(CTP_RANGES, cbf_gain=(0.6, 1.6)), None),
}


MRI: dict[str, MriRanges] = {
    "training's own ranges": MRI_RANGES,
    "noise 0.08-0.12 of white matter (training: to 0.06)": replace(MRI_RANGES, noise=(0.08, 0.12)),
    "8 mm slices (training: to 6.5)": replace(MRI_RANGES, diffusion=replace(DIFFUSION, slice_mm=(8.0, 8.0))),
    "skull stripped": replace(MRI_RANGES, diffusion=replace(DIFFUSION, skull_stripped_chance=1.0)),
    "shading 0.25-0.35 (training: to 0.20)": replace(MRI_RANGES, bias=(0.25, 0.35)),
}


def settings_of(card: ModelCard) -> dict[str, Make]:
    """By name, how a case of each setting is made for what a model reads."""
    if card.prepare_settings.get("mode") == "rest":
        return _examinations()
    return _of_system(card.system)


def _examinations() -> dict[str, Make]:
    """MRI without the pair of DWI and ADC: by what was scanned, and by settings that training never saw."""

    def make(roles: tuple[str, ...], ranges: MriRanges, *, maps: bool = True) -> Make:
        def one(rng: np.random.Generator, sources: Sources) -> SyntheticCase:
            head, library, _ = (sources if maps else Sources()).draw(rng)
            taken = roles or draw_taken(rng, SEQUENCES, WITHOUT_PAIR)
            return make_examination(rng, head, library, taken, ranges=ranges)

        return one

    result = {name: make((), ranges) for name, ranges in MRI.items()}
    result["procedural heads only"] = make((), MRI_RANGES, maps=False)
    result["the middle third of the slices"] = _then(make((), MRI_RANGES), middle_third)
    result["one slice, the one with the most lesion"] = _then(make((), MRI_RANGES), fullest_slice)
    return result | {f"{' + '.join(roles)} alone": make(roles, MRI_RANGES) for roles in WITHOUT_PAIR}


def _of_system(system: str) -> dict[str, Make]:
    table: Mapping[str, tuple[object, tuple[float, float, float] | None]]
    table, maker = {
        "mri": (DWI, make_case),
        "ct-perfusion": (CTP, make_ctp_case),
        "noncontrast-ct": (CT, make_ct_case),
        "three-projection": (CT, make_ct_case),
    }[system]

    def make(name: str, *, shapes: bool = True, maps: bool = True) -> Make:
        ranges, spacing = table[name]

        def one(rng: np.random.Generator, sources: Sources) -> SyntheticCase:
            head, library, _ = (sources if maps else Sources()).draw(rng)
            return maker(rng, head, library if shapes else None, ranges=ranges, spacing_mm=spacing)  # type: ignore[operator]

        return one

    result = {name: make(name) for name in table}
    result["grown shapes only (training: mostly real ones)"] = make("training's own ranges", shapes=False)
    result["procedural heads only"] = make("training's own ranges", maps=False)
    result["the middle third of the slices"] = _then(make("training's own ranges"), middle_third)
    result["one slice, the one with the most lesion"] = _then(make("training's own ranges"), fullest_slice)
    return result


def cases(make: Make, sources: Sources, count: int) -> Iterator[SyntheticCase]:
    """``count`` cases, the same each time."""
    for n in range(count):
        yield make(np.random.default_rng(SEED + n), sources)


def middle_third(case: SyntheticCase) -> SyntheticCase:
    """A scan that covers a part of the head."""
    third = max(1, case.truth.array.shape[0] // 3)
    return _slices(case, slice(third, 2 * third))


def fullest_slice(case: SyntheticCase) -> SyntheticCase:
    """A scan of one slice."""
    lesion = (case.truth.array > 0).sum(axis=(1, 2))
    k = int(lesion.argmax()) if lesion.any() else len(lesion) // 2
    return _slices(case, slice(k, k + 1))


def _then(make: Make, change: Callable[[SyntheticCase], SyntheticCase]) -> Make:
    return lambda rng, sources: change(make(rng, sources))


def _slices(case: SyntheticCase, which: slice) -> SyntheticCase:
    def cut(volume: Volume) -> Volume:
        x, y, z = volume.ijk_to_lps([(0, 0, which.start)])[0]
        return Volume(volume.array[which].copy(), volume.spacing_mm, (float(x), float(y), float(z)), volume.direction)

    return SyntheticCase({role: cut(v) for role, v in case.images.items()}, cut(case.truth), case.parameters)
