"""Presets: every setting of a training run in one frozen dataclass, two a system; reading them imports no torch.

``paper`` is what the publication says, with its contradictions resolved as the class says; ``bundled`` is what trains
the model in Resources/Models. A preset changed by ``with_settings`` is no longer the paper's, and its name says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from StrokeSegLib.errors import InputError
from StrokeSegLib.training.presets.base import Preset, changed
from StrokeSegLib.training.presets.ct_perfusion import BundledCtPerfusion, PaperCtPerfusion
from StrokeSegLib.training.presets.mri import BundledMri, PaperMri
from StrokeSegLib.training.presets.noncontrast_ct import BundledNoncontrastCt, PaperNoncontrastCt
from StrokeSegLib.training.presets.three_projection import BundledThreeProjection, PaperThreeProjection

__all__ = ["PRESETS", "Preset", "find_preset", "with_settings"]

#: System -> name -> preset.
PRESETS: dict[str, dict[str, Callable[[], Preset]]] = {
    "ct-perfusion": {"paper": PaperCtPerfusion, "bundled": BundledCtPerfusion},
    "mri": {"paper": PaperMri, "bundled": BundledMri},
    "noncontrast-ct": {"paper": PaperNoncontrastCt, "bundled": BundledNoncontrastCt},
    "three-projection": {"paper": PaperThreeProjection, "bundled": BundledThreeProjection},
}


def find_preset(system: str, name: str) -> Preset:
    """The preset of a system, unchanged.

    Args:
        system: ``ct-perfusion``, ``mri``, ``noncontrast-ct`` or ``three-projection``.
        name: ``paper`` or ``bundled``.

    Raises:
        InputError: There is no such system or preset; the message lists those that are.
    """
    if system not in PRESETS:
        raise InputError(f"unknown system {system!r}; known: {', '.join(sorted(PRESETS))}")
    if name not in PRESETS[system]:
        raise InputError(f"unknown preset {name!r} of system {system}; known: {', '.join(PRESETS[system])}")
    return PRESETS[system][name]()


def with_settings(preset: Preset, words: Sequence[str]) -> Preset:
    """A preset with ``key=value`` words applied, the later ones winning.

    Values are read by the key's type: 3, 0.001, true, a word, or numbers or words with commas between them.

    Returns:
        The same preset where nothing differs; else a copy named "paper, modified" or "bundled, modified".

    Raises:
        InputError: A key that the preset has not, a value of another type, or one out of its range.
    """
    return changed(preset, words)
