"""A model on generated images whose truth is known, made with settings that training never saw: the card's tables.

python Testing/benchmarks/known_truth.py --model noncontrast-ct --anatomy HEADS --lesions MASKS [--count 12] [--json]

This is agreement with known truth on generated images, never accuracy. Lesions that are not the model's
own (blood for a model of infarcts) must not be marked. The rule beside it is the simplest thing that works (rules.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from held_out_settings import cases, settings_of
from rules import rule_mask
from scipy import ndimage

from StrokeSegLib.errors import InputError
from StrokeSegLib.metrics import dice
from StrokeSegLib.models import find_model
from StrokeSegLib.progress import shown_progress
from StrokeSegLib.segmentation import SegmentationResult, segment
from StrokeSegLib.synth.diffusion import SyntheticCase
from StrokeSegLib.synth.sources import load_sources

SIZES_ML = (0.0, 1.0, 5.0, 20.0, 70.0, np.inf)
PLACES = ("parenchymal", "ventricular", "subdural", "epidural", "subarachnoid")
BLOOD_HU = (36.0, 45.0, 55.0, 65.0, 85.0)
EVERYWHERE = np.ones((3, 3, 3), bool)


@dataclass(frozen=True)
class Score:
    """One label of one case; volumes in mL, Dice None where there is no rule."""

    setting: str
    label: int
    truth_ml: float
    found_ml: float
    post: float
    raw: float
    rule: float | None
    rule_ml: float | None


@dataclass(frozen=True)
class Piece:
    """One true lesion: how much of it was marked; ``place`` and ``hu`` of blood alone."""

    label: int
    volume_ml: float
    part_found: float
    place: str | None
    hu: float | None


def main() -> None:
    """Prints the tables as Markdown, or everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mri")
    parser.add_argument("--anatomy", type=Path, help="label maps of heads; procedural ones without")
    parser.add_argument("--lesions", type=Path, help="lesion masks; grown ones without")
    parser.add_argument("--count", type=int, default=12, help="cases a setting")
    parser.add_argument("--json", action="store_true")
    words = parser.parse_args()
    card = find_model(words.model)
    sources = load_sources(words.anatomy, words.lesions)
    scores: list[Score] = []
    pieces: list[Piece] = []
    settings = settings_of(card)
    with shown_progress() as progress:
        for number, (name, make) in enumerate(settings.items()):
            for done, case in enumerate(cases(make, sources, words.count)):
                progress("cases", number * words.count + done, len(settings) * words.count)
                try:
                    result = segment(case.images, words.model, device="cpu")
                except InputError as error:  # too little brain in view: refused, and counted as such
                    print(f"{name}: refused: {error}", file=sys.stderr)
                    continue
                for label in (one.value for one in card.labels if one.value in result.probability):
                    scores.append(scored(name, label, case, result, card.system))
                    pieces.extend(pieces_of(label, case, result))
    if words.json:
        print(json.dumps({"scores": [asdict(s) for s in scores], "pieces": [asdict(p) for p in pieces]}))
        return
    for label in card.labels:
        own = [s for s in scores if s.label == label.value]
        if own:
            print(f"\n**{label.name}**, {words.count} cases a setting\n")
            print(by_setting(own))
            print(by_size([p for p in pieces if p.label == label.value]))
            print(by_kind([p for p in pieces if p.label == label.value and p.place]))


def scored(setting: str, label: int, case: SyntheticCase, result: SegmentationResult, system: str) -> Score:
    """Post-processed, raw at 0.5, and the rule, against the truth."""
    truth, voxel_ml = case.truth.array == label, case.truth.voxel_volume_ml
    post, raw = result.labels.array == label, result.probability[label].array > 0.5
    rule = rule_mask(system, label, case.images)
    return Score(
        setting,
        label,
        float(truth.sum()) * voxel_ml,
        float(post.sum()) * voxel_ml,
        dice(post, truth),
        dice(raw, truth),
        None if rule is None else dice(rule, truth),
        None if rule is None else float(rule.sum()) * voxel_ml,
    )


def pieces_of(label: int, case: SyntheticCase, result: SegmentationResult) -> list[Piece]:
    """The connected pieces of the truth; those under 0.05 mL are left out."""
    labeled, count = ndimage.label(case.truth.array == label, EVERYWHERE)
    voxel_ml = case.truth.voxel_volume_ml
    places = [place for place in PLACES if case.parameters.get(f"{place}_ml", 0) > 0]
    found = []
    for n in range(1, count + 1):
        piece = labeled == n
        volume_ml = float(piece.sum()) * voxel_ml
        if volume_ml < 0.05:
            continue
        blood = label == 2
        hu = float(np.median(case.images["ct"].array[piece])) if blood else None
        place = (places[0] if len(places) == 1 else "several") if blood else None
        found.append(Piece(label, volume_ml, float((result.labels.array == label)[piece].mean()), place, hu))
    return found


def by_setting(scores: Sequence[Score]) -> str:
    """Dice where there is a lesion, false marks where there is none."""
    lines = [
        "| setting | n with lesion | Dice | raw network (0.5) | rule | n without | median marked | most marked |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for setting in dict.fromkeys(s.setting for s in scores):
        own = [s for s in scores if s.setting == setting]
        having, free = [s for s in own if s.truth_ml > 0], [s for s in own if s.truth_ml == 0]
        rules = [s.rule for s in having if s.rule is not None]
        means = [f"{np.mean(v):.3f}" if v else "–" for v in ([s.post for s in having], [s.raw for s in having], rules)]
        marked = [s.found_ml for s in free]
        ends = [f"{f(marked):.2f} mL" if marked else "–" for f in (np.median, np.max)]
        lines.append(f"| {setting} | {len(having)} | {' | '.join(means)} | {len(free)} | {' | '.join(ends)} |")
    return "\n".join(lines)


def by_size(pieces: Sequence[Piece]) -> str:
    """How many true lesions of each size were touched, and how much of them was marked."""
    lines = ["", "| true lesion | n | touched | marked part, mean |", "|---|---|---|---|"]
    for low, high in pairwise(SIZES_ML):
        own = [p.part_found for p in pieces if low <= p.volume_ml < high]
        name = f"{low:g} to {high:g} mL" if np.isfinite(high) else f"over {low:g} mL"
        if own:
            lines.append(f"| {name} | {len(own)} | {np.mean([p > 0 for p in own]):.2f} | {np.mean(own):.2f} |")
    return "\n".join(lines)


def by_kind(pieces: Sequence[Piece]) -> str:
    """Blood by its place and by its HU."""
    if not pieces:
        return ""
    lines = ["", "| blood | n | touched | marked part, mean |", "|---|---|---|---|"]
    groups = {place: [p.part_found for p in pieces if p.place == place] for place in (*PLACES, "several")}
    groups |= {
        f"{low:g} to {high:g} HU": [p.part_found for p in pieces if p.hu is not None and low <= p.hu < high]
        for low, high in pairwise(BLOOD_HU)
    }
    for name, own in groups.items():
        if own:
            lines.append(f"| {name} | {len(own)} | {np.mean([p > 0 for p in own]):.2f} | {np.mean(own):.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
