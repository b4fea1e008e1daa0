"""What generated cases are made from: label maps and lesion masks of folders, procedural heads, and the generators."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Protocol

import numpy as np

from StrokeSegLib.errors import InputError
from StrokeSegLib.synth.anatomy import Head, load_heads
from StrokeSegLib.synth.diffusion import SyntheticCase
from StrokeSegLib.synth.lesions import LesionLibrary, load_lesions, register_to_template
from StrokeSegLib.synth.procedural import procedural_head

#: What can be generated.
MODALITIES = ("ct", "mri", "ctp")
#: Part of the cases on procedural heads where there are label maps.
PROCEDURAL_CHANCE = 0.2


@dataclass(frozen=True, eq=False)
class Sources:
    """Heads and lesions to draw from; without heads all are procedural."""

    heads: tuple[Head, ...] = ()
    library: LesionLibrary | None = None
    procedural_chance: float = PROCEDURAL_CHANCE

    def draw(self, rng: np.random.Generator) -> tuple[Head, LesionLibrary | None, int | None]:
        """A head, mirrored half the time, the lesions that fit it, and its number (None for a procedural one)."""
        if not self.heads or rng.random() < self.procedural_chance:
            return procedural_head(rng), None, None
        number = int(rng.integers(len(self.heads)))
        head = self.heads[number]
        return (mirrored(head) if rng.random() < 0.5 else head), self.library, number


def load_sources(anatomy: Path | None, lesions: Path | None) -> Sources:
    """Label maps and lesion masks from folders.

    Raises:
        InputError: Lesions without anatomy (real shapes are placed by the heads' own registration), or a folder without
            what is needed.
    """
    if anatomy is None:
        if lesions is not None:
            raise InputError(f"lesion masks ({lesions}) need heads to lie in, got none: name label maps with --anatomy")
        return Sources()
    heads = load_heads(anatomy)
    if lesions is None:
        return Sources(tuple(heads))
    library = load_lesions(lesions)
    # SimpleITK lets other threads run, and each registration is one thread's work: as many at a time as cores.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return Sources(tuple(pool.map(register_to_template, heads, repeat(library))), library)


def mirrored(head: Head) -> Head:
    """The head mirrored left to right."""
    tissue = np.ascontiguousarray(head.tissue[:, :, ::-1])
    if head.to_template is None:
        return replace(head, tissue=tissue)
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    flip[0, 3] = (head.tissue.shape[2] - 1) * head.spacing_mm
    matrix = np.vstack([head.to_template, [0, 0, 0, 1]]) @ flip
    return replace(head, tissue=tissue, to_template=matrix[:3])


class Maker(Protocol):
    """Makes one case; without ``healthy`` the generator's own chance holds."""

    def __call__(
        self, rng: np.random.Generator, head: Head, library: LesionLibrary | None, healthy: bool | None
    ) -> SyntheticCase: ...


def find_maker(modality: str) -> Maker:
    """The generator of a modality.

    Raises:
        InputError: No such modality.
    """
    makers: dict[str, Maker] = {"mri": _make_mri, "dwi": _make_diffusion, "ctp": _make_ctp, "ct": _make_ct}
    if modality not in makers:
        raise InputError(f"no generator for {modality!r}, needed one of {', '.join(MODALITIES)}")
    return makers[modality]


def _make_mri(
    rng: np.random.Generator, head: Head, library: LesionLibrary | None, healthy: bool | None
) -> SyntheticCase:
    from StrokeSegLib.synth.mri import make_mri_case

    return make_mri_case(rng, head, library, healthy=healthy)


def _make_diffusion(
    rng: np.random.Generator, head: Head, library: LesionLibrary | None, healthy: bool | None
) -> SyntheticCase:
    """DWI and ADC alone: an acute infarct's contrast is drawn by itself, not from a stage.

    The stages have subacute infarcts that are bright with a normal ADC, as bands of EPI are, which must not be marked.
    """
    from StrokeSegLib.synth.diffusion import make_case

    return make_case(rng, head, library, healthy=healthy)


def _make_ctp(
    rng: np.random.Generator, head: Head, library: LesionLibrary | None, healthy: bool | None
) -> SyntheticCase:
    from StrokeSegLib.synth.ctp import make_ctp_case

    return make_ctp_case(rng, head, library, healthy=healthy)


def _make_ct(
    rng: np.random.Generator, head: Head, library: LesionLibrary | None, healthy: bool | None
) -> SyntheticCase:
    from StrokeSegLib.synth.ct import KINDS, make_ct_case
    from StrokeSegLib.synth.ct_ranges import CT_RANGES

    kind = None if healthy is None else KINDS[0]
    if healthy is False:
        shares = np.array(CT_RANGES.kind_shares[1:])
        kind = KINDS[1 + int(rng.choice(len(shares), p=shares / shares.sum()))]
    return make_ct_case(rng, head, library, kind=kind)
