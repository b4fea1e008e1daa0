"""Which map tells best where a model is wrong: area under the ROC curve of wrong against right voxels of the brain.

python Testing/benchmarks/uncertainty.py --model noncontrast-ct --anatomy HEADS --lesions MASKS [--count 12]

Maps of one pass and of two, the second on the mirrored head. Wrong is where the result's own label map differs from
the truth. Areas are of all cases' voxels together, and their mean over cases.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from held_out_settings import cases, settings_of
from numpy.typing import NDArray

from StrokeSegLib.models import find_model
from StrokeSegLib.progress import shown_progress
from StrokeSegLib.segmentation import segment
from StrokeSegLib.statistics import roc_auc
from StrokeSegLib.synth.sources import load_sources
from StrokeSegLib.uncertainty import error_probability, uncertainty_map
from StrokeSegLib.volume import Volume

#: Voxels of a case that are ranked: all wrong ones up to half of them, the rest right ones.
VOXELS = 8000
Maps = dict[str, NDArray[np.float32]]


def main() -> None:
    """Prints one line a map."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mri")
    parser.add_argument("--anatomy", type=Path)
    parser.add_argument("--lesions", type=Path)
    parser.add_argument("--count", type=int, default=12)
    words = parser.parse_args()
    card = find_model(words.model)
    make = settings_of(card)["training's own ranges"]
    pooled: dict[str, list[NDArray[np.float32]]] = {}
    wrong_all: list[NDArray[np.bool_]] = []
    means: dict[str, list[float]] = {}
    with shown_progress() as progress:
        for n, case in enumerate(cases(make, load_sources(words.anatomy, words.lesions), words.count)):
            progress("cases", n, words.count)
            one = segment(case.images, words.model, device="cpu")
            other = segment({role: flipped(v) for role, v in case.images.items()}, words.model, device="cpu")
            values = list(one.probability)
            labels = np.where(np.isin(one.labels.array, values), one.labels.array, 0)
            truth = np.where(np.isin(case.truth.array, values), case.truth.array, 0)
            maps = candidates(
                {v: p.array for v, p in one.probability.items()},
                {v: p.array[..., ::-1] for v, p in other.probability.items()},
                labels,
                case.truth,
            )
            which = ranked_voxels(np.random.default_rng(n), labels != truth, next(iter(case.images.values())).array)
            wrong = (labels != truth).ravel()[which]
            wrong_all.append(wrong)
            for name, each in maps.items():
                pooled.setdefault(name, []).append(each.ravel()[which])
                area = roc_auc(each.ravel()[which], wrong.tolist())
                if area is not None:
                    means.setdefault(name, []).append(area)
    everything = np.concatenate(wrong_all).tolist()
    for name, parts in pooled.items():
        area = roc_auc(np.concatenate(parts), everything)
        print(f"{name}: {area:.5f} together, {np.mean(means[name]):.5f} mean of {len(means[name])} cases")


def candidates(first: Mapping[int, NDArray], second: Mapping[int, NDArray], labels: NDArray, grid: Volume) -> Maps:
    """The maps to choose from, by name; ``first`` made the labels."""
    mean = {value: (first[value] + second[value]) / 2 for value in first}
    apart = np.max([np.abs(first[value] - second[value]) for value in first], axis=0)
    plain = np.max([p * (1 - p) for p in first.values()], axis=0)
    return {
        "p (1 - p), one pass": plain,
        "probability that the label is wrong, one pass": error_probability(first, labels),
        "p (1 - p) of the mean of two": np.max([p * (1 - p) for p in mean.values()], axis=0),
        "difference of two": apart,
        "with surroundings, one pass (what is written)": uncertainty_map(
            {value: grid.with_array(p) for value, p in first.items()}, grid.with_array(labels.astype(np.uint8))
        ).array,
        "with surroundings, mean of two": uncertainty_map(
            {value: grid.with_array(p) for value, p in mean.items()}, grid.with_array(labels.astype(np.uint8))
        ).array,
        "probability that the label is wrong, mean of two": error_probability(mean, labels),
        "the larger of the two probabilities that the label is wrong": np.maximum(
            error_probability(first, labels), error_probability(second, labels)
        ),
    }


def flipped(volume: Volume) -> Volume:
    """The mirrored head: generated images have left and right along i."""
    return volume.with_array(np.ascontiguousarray(volume.array[..., ::-1]))


def ranked_voxels(rng: np.random.Generator, wrong: NDArray[np.bool_], image: NDArray) -> NDArray[np.intp]:
    """Numbers of wrong voxels and of right ones that show tissue."""
    bad = np.flatnonzero(wrong)
    good = np.flatnonzero(~wrong & (image != image.min()))
    bad = rng.choice(bad, min(len(bad), VOXELS // 2), replace=False)
    good = rng.choice(good, min(len(good), VOXELS - len(bad)), replace=False)
    return np.concatenate([bad, good])


if __name__ == "__main__":
    main()
