"""The rows of the papers' ablation tables as changes of the paper's preset, and those that are not run, with why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from StrokeSegLib.errors import InputError
from StrokeSegLib.training.presets import Preset
from StrokeSegLib.training.presets.three_projection import PaperThreeProjection
from StrokeSegLib.training.tables import NONCONTRAST_ABLATION, NONCONTRAST_OVERLAP, PROJECTIONS_DICE, Table


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        key: Its word on the command line.
        title: As printed.
        table: The paper's table that it belongs to.
        published: The paper's row to print beside it; None where the paper has none.
        words: ``key=value`` changes of the preset.
        inference: Changes of the trained models' ``inference_settings``.
        with_healthy: Whether cases without a lesion are trained on.
        out_of_fold: Whether each network does without one part of the training patients.
        not_run: Why it is not run; empty where it is.
    """

    key: str
    title: str
    table: Table
    published: str | None
    words: tuple[str, ...] = ()
    inference: Mapping[str, Any] = field(default_factory=dict)
    with_healthy: bool = True
    out_of_fold: bool = False
    not_run: str = ""

    @property
    def training(self) -> tuple[tuple[str, ...], bool, bool]:
        """What the networks of a row depend on: rows that agree share them."""
        return self.words, self.with_healthy, self.out_of_fold


def ablation_rows(preset: Preset) -> tuple[Row, ...]:
    """All rows of a system's tables.

    Args:
        preset: The paper's, perhaps changed; sizes of ensembles are read from it.

    Raises:
        InputError: The system's paper has no ablation.
    """
    if preset.system == "noncontrast-ct":
        return _NONCONTRAST
    if isinstance(preset, PaperThreeProjection):
        return _projections(preset)
    raise InputError(
        f"system {preset.system} has no ablation to repeat; those of noncontrast-ct and three-projection have"
    )


def choose_rows(rows: Sequence[Row], keys: Sequence[str]) -> tuple[Row, ...]:
    """The rows with these keys, in the tables' order; all where no key is given.

    Raises:
        InputError: There is no such row.
    """
    known = [row.key for row in rows]
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise InputError(f"unknown row {', '.join(unknown)}; known: {', '.join(known)}")
    return tuple(row for row in rows if not keys or row.key in keys)


#: The paper's network before the last row of its table; each row says in what it differs.
_BASE = {
    "brain": "components",
    "sampler": "labeled",
    "residual": "true",
    "squeeze_excite": "standard",
    "norm": "minmax_brain",
    "weighted_loss": "false",
}
_PLAIN = {"residual": "false", "squeeze_excite": "none"}


def _noncontrast(key: str, title: str, published: str | None, changes: Mapping[str, str]) -> Row:
    words = tuple(f"{name}={value}" for name, value in {**_BASE, **changes}.items())
    return Row(key, title, NONCONTRAST_ABLATION, published, words)


_LAST = "+ standardization + weighted loss"
_FULL = _noncontrast("full", _LAST, _LAST, {"norm": "zscore_minmax_grey", "weighted_loss": "true"})


def _overlap(percent: int) -> Row:
    published = f"{percent}%"
    inference = {"overlap": percent / 100, "blend": "constant"}
    return Row(f"overlap-{percent}", f"overlap {percent}%", NONCONTRAST_OVERLAP, published, _FULL.words, inference)


_NONCONTRAST = (
    _noncontrast(
        "no-preprocessing", "no preprocessing", "no preprocessing", {**_PLAIN, "sampler": "uniform", "brain": "none"}
    ),
    _noncontrast("preprocessing", "preprocessing", "preprocessing", {**_PLAIN, "sampler": "uniform"}),
    _noncontrast("sampler", "+ weighted sampler", "+ weighted sampler", _PLAIN),
    _noncontrast("residual", "+ residual", "+ residual", {"squeeze_excite": "none"}),
    _noncontrast("se", "+ SE", "+ SE", {}),
    _noncontrast("standardization", "+ SE + standardization (alone)", None, {"norm": "zscore_minmax_grey"}),
    _noncontrast("weighted-loss", "+ SE + weighted loss (alone)", None, {"weighted_loss": "true"}),
    _FULL,
    _overlap(25),
    _overlap(50),
    _overlap(75),
)

#: Of the published ensemble: the best of 40, chosen on the patients of the table. Ours are not chosen.
PAPER_ENSEMBLE = 6
#: Gaps are closed in the last row alone.
_OPEN = {"closing_radius_mm": 0.0}
#: Steps of the frozen warm-up, which the paper does not say, as a part of all: a tenth.
WARM_UP_PART = 10


def _only(plane: str) -> dict[str, float]:
    """Constants with which one plane marks lesions: no probability exceeds a k of 1."""
    muted = {f"k_{other}": 1.0 for other in ("axial", "coronal", "sagittal") if other != plane}
    return {**_OPEN, **muted}


def _projections(preset: PaperThreeProjection) -> tuple[Row, ...]:
    paper_count = PaperThreeProjection().axial_members
    given = preset.axial_members
    members = PAPER_ENSEMBLE if given == paper_count else given
    all_planes = (members, max(1, preset.coronal_members), max(1, preset.sagittal_members))
    # Weights that are given are for the pretrained rows alone.
    random_encoder = ("encoder_weights=",) if preset.encoder_weights else ()

    def row(key: str, title: str, published: str, counts: tuple[int, int, int], constants: Mapping[str, float]) -> Row:
        inference = {"projections": dict(constants)} if constants else {}
        words = (*_members(counts), *random_encoder)
        return Row(key, title, PROJECTIONS_DICE, published, words, inference, key == "healthy")

    axial = row("axial", "DPN92-UNet", "DPN92-UNet", (1, 0, 0), _OPEN)
    pretrained, warm_up, scse = _pretrained(preset, axial)
    ensemble = row("ensemble", f"ensemble of {members}", "6-model ensemble", (members, 0, 0), _OPEN)
    return (
        axial,
        pretrained,
        warm_up,
        row("healthy", "+ healthy", "+ healthy", (1, 0, 0), _OPEN),
        scse,
        replace(axial, key="tta", title="TTA", published="TTA", inference={**axial.inference, "mirror": True}),
        ensemble,
        replace(
            ensemble,
            key="oof",
            title=f"OOF ensemble of {min(max(2, members), PAPER_ENSEMBLE)}, no new data",
            published="OOF ensemble, new data",
            out_of_fold=True,
        ),
        row("coronal", f"coronal, ensemble of {all_planes[1]}", "coronal", all_planes, _only("coronal")),
        row("sagittal", f"sagittal, ensemble of {all_planes[2]}", "sagittal", all_planes, _only("sagittal")),
        row("planes", "three ensembles", "three ensembles", all_planes, _OPEN),
        row("closing", "+ closing", "+ closing", all_planes, {}),
    )


def _members(counts: tuple[int, int, int]) -> tuple[str, ...]:
    names = ("axial_members", "coronal_members", "sagittal_members")
    return tuple(f"{name}={count}" for name, count in zip(names, counts, strict=True))


def _pretrained(preset: PaperThreeProjection, axial: Row) -> tuple[Row, ...]:
    """The three rows that begin with given weights; a warm-up that is given holds for its own row alone."""
    without = ""
    if not preset.encoder_weights:
        without = (
            "there are no ImageNet weights of a DPN92 in the library; give them by --set encoder_weights=FILE "
            "(timm's dpn92, or another run's, as .safetensors or .pth)"
        )
    frozen = preset.frozen_steps or max(1, preset.steps // WARM_UP_PART)
    rows = (
        ("pretrained", "pretrained", ("frozen_steps=0",)),
        ("warm-up", "pretrained + warm-up", (f"frozen_steps={frozen}",)),
        ("scse", "pretrained + scSE", ("frozen_steps=0", "scse=true")),
    )
    return tuple(
        replace(
            axial,
            key=key,
            title=published if without or key != "warm-up" else f"pretrained + warm-up of {frozen} steps",
            published=published,
            words=() if without else (*_members((1, 0, 0)), *changes),
            not_run=without,
        )
        for key, published, changes in rows
    )
