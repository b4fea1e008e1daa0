"""MRI examinations as they come: only some of the sequences, and as truth what these show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from StrokeSegLib.synth.anatomy import Head
from StrokeSegLib.synth.diffusion import SyntheticCase
from StrokeSegLib.synth.lesions import LesionLibrary
from StrokeSegLib.synth.mri import make_mri_case
from StrokeSegLib.synth.mri_sequences import MRI_RANGES, STAGES, MriRanges
from StrokeSegLib.synth.sources import find_maker

#: What is sent for reading, and how often. The diffusion pair decides on acute stroke, so half the cases are that.
EXAMINATIONS: dict[tuple[str, ...], float] = {
    ("dwi", "adc"): 0.46,
    ("dwi", "adc", "flair"): 0.14,
    ("dwi", "adc", "flair", "t1", "t2"): 0.06,
    ("dwi",): 0.05,
    ("adc",): 0.03,
    ("flair",): 0.07,
    ("t2",): 0.07,
    ("t1",): 0.04,
    ("flair", "t1"): 0.02,
    ("t1", "t2"): 0.02,
    ("flair", "t2"): 0.02,
    ("flair", "t1", "t2"): 0.02,
}
#: The same without the pair of DWI and ADC, for a network beside one that reads the pair.
WITHOUT_PAIR: dict[tuple[str, ...], float] = {
    ("dwi",): 0.14,
    ("adc",): 0.05,
    ("dwi", "flair"): 0.12,
    ("dwi", "flair", "t1", "t2"): 0.05,
    ("flair",): 0.17,
    ("t2",): 0.14,
    ("t1",): 0.11,
    ("flair", "t1"): 0.06,
    ("t1", "t2"): 0.05,
    ("flair", "t2"): 0.04,
    ("flair", "t1", "t2"): 0.07,
}
#: Chances of the stages (``STAGES``) where neither DWI nor ADC is there.
WITHOUT_DIFFUSION = (0.1, 0.25, 0.2, 0.45)
#: Pixels of such an examination, mm; finer ones than these are reduced to the network's anyway.
STRUCTURAL_IN_PLANE_MM = (0.9, 1.3)
#: Showers of emboli are what diffusion is for: FLAIR, T1 and T2 alone show the larger of them at best.
STRUCTURAL_SHOWER_CHANCE = 0.12
DIFFUSION_PAIR = ("dwi", "adc")


def draw_taken(
    rng: np.random.Generator, sequences: Sequence[str], examinations: Mapping[tuple[str, ...], float] = EXAMINATIONS
) -> tuple[str, ...]:
    """Some of the sequences, at least one of them where there is one: an examination, or what of it is known."""
    if not sequences:
        return ()
    names, chances = list(examinations), np.array(list(examinations.values()))
    known = [any(role in sequences for role in roles) for roles in names]
    chances = np.where(known, chances, 0)
    if not chances.any():
        return tuple(sequences)
    roles = names[int(rng.choice(len(names), p=chances / chances.sum()))]
    return tuple(role for role in sequences if role in roles)


def make_examination(
    rng: np.random.Generator,
    head: Head,
    library: LesionLibrary | None,
    roles: Sequence[str],
    healthy: bool | None = None,
    ranges: MriRanges = MRI_RANGES,
) -> SyntheticCase:
    """One case with these sequences alone; truth is what can be seen on at least one of them.

    An old infarct on diffusion images alone is none that anybody looks for there: it counts where FLAIR, T1 or T2 show
    it, or where it is bright on DWI.

    Args:
        roles: Of ``dwi``, ``adc``, ``flair``, ``t1`` and ``t2``.
        healthy: No stroke when True, one for sure when False; drawn when None.
        ranges: Of examinations other than the pair.
    """
    if set(roles) == set(DIFFUSION_PAIR):
        return find_maker("dwi")(rng, head, library, healthy)
    if not set(roles) & set(DIFFUSION_PAIR):
        # Old infarcts are what they are sent for: acute ones are looked at with diffusion.
        # FLAIR, T1 and T2 are finer than diffusion images, and resampled to 2 mm less often.
        finer = replace(
            ranges.diffusion,
            in_plane_mm=STRUCTURAL_IN_PLANE_MM,
            isotropic_2mm_chance=0.15,
            shower_chance=STRUCTURAL_SHOWER_CHANCE,
        )
        ranges = replace(ranges, diffusion=finer, stage_chances=WITHOUT_DIFFUSION)
    return only_with(make_mri_case(rng, head, library, ranges=ranges, healthy=healthy), roles)


def only_with(case: SyntheticCase, roles: Sequence[str]) -> SyntheticCase:
    """A case with some of its sequences alone, and as truth what these show."""
    visible = dict(case.visible_on or {})
    old = case.parameters.get("stage") == list(STAGES).index("chronic")
    counted = [role for role in roles if not (role == "adc" and old)]
    seen = np.zeros(case.truth.array.shape, bool)
    for role in counted:
        seen |= visible[role]
    images = {role: case.images[role] for role in roles}
    truth = case.truth.with_array(seen.astype(np.uint8))
    return SyntheticCase(images, truth, case.parameters, {role: visible[role] for role in roles})
