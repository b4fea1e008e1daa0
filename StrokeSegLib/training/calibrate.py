"""Temperature, thresholds and smallest lesion of a model, chosen on cases with known truth that training never saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.backends import Backend
from StrokeSegLib.inference.predict import predict
from StrokeSegLib.inference.projections import ISCHEMIA
from StrokeSegLib.io import read_image
from StrokeSegLib.metrics import expected_calibration_error, reliability
from StrokeSegLib.models import ModelCard
from StrokeSegLib.postprocess import HEMORRHAGE
from StrokeSegLib.preprocess.geometry import onto_reference
from StrokeSegLib.systems import SYSTEMS, System
from StrokeSegLib.training.calibrate_classes import VPRED_ABOVE, ClassLimits
from StrokeSegLib.training.calibrate_dice import dice_by_size
from StrokeSegLib.training.calibrate_lesions import dice_of_probable, fitted, marked_lesions
from StrokeSegLib.training.calibrate_planes import PlanesCase, choose_planes, without_denied
from StrokeSegLib.training.pool import SynthSource, generated_case, load_heads
from StrokeSegLib.uncertainty import LesionModel
from StrokeSegLib.volume import Volume

#: Candidates; the mean Dice over the cases decides.
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
#: mL. The smallest emboli that are read on diffusion MRI have 0.02 (3.4 mm); no bleed of 0.3 or more is left out.
SMALLEST_ML = (0.0, 0.02, 0.05, 0.1, 0.3)
#: Seeds of the held-out heads start here; training counts from far below.
HELD_OUT_SEED = 9_000_000
#: A lesion less likely than this to be one is more likely none.
MORE_LIKELY_THAN_NOT = 0.5
#: Brain voxels of a case that the temperature is fitted to.
VOXELS_PER_CASE = 50_000


@dataclass(frozen=True, eq=False)
class KnownCase:
    """Images on one grid by role, and their label map on it."""

    images: Mapping[str, Volume]
    truth: Volume


@dataclass(frozen=True)
class Calibration:
    """What was chosen, and the numbers behind it.

    Attributes:
        temperature, thresholds, min_lesion_ml: For model.json; thresholds by label value.
        error_before, error_after: Expected calibration error of voxel probabilities (15 bins, within the brain).
        dice_raw, dice_post: Mean Dice over cases and labels at threshold 0.5 without, and with the chosen values.
        cases: How many.
        lesion_models: By label, the probability that a marked lesion is one; labels that were never marked have none.
        marked, real: Marked lesions behind these, and how many of them touch a true one.
        classes: Limits of the classifier, where the system has one.
        min_lesion_probability: ``MORE_LIKELY_THAN_NOT`` where dropping what is less likely does not lower the Dice.
        dice_probable: Mean Dice with what is less likely than that dropped.
    """

    temperature: float
    thresholds: dict[int, float]
    min_lesion_ml: float
    error_before: float
    error_after: float
    dice_raw: float
    dice_post: float
    cases: int
    lesion_models: dict[int, LesionModel]
    marked: int
    real: int
    classes: ClassLimits | None = None
    min_lesion_probability: float = 0.0
    dice_probable: float = 0.0


def held_out_cases(
    source: SynthSource,
    system: str,
    count: int,
    seed: int = HELD_OUT_SEED,
    prepare_settings: Mapping[str, Any] | None = None,
) -> Iterator[KnownCase]:
    """Generated cases from seeds that training never uses, with the images that a model with these settings reads."""
    heads = load_heads(source)
    for n in range(count):
        made = generated_case(heads, system, np.random.default_rng(seed + n), prepare_settings)
        yield KnownCase(made.images, made.truth)


def known_cases(cases: Sequence[Case], roles: Sequence[str]) -> Iterator[KnownCase]:
    """Cases of a table that have a truth, all images brought to the first one's grid.

    Raises:
        InputError: None of them has a truth, or a truth lies on another grid than the first image.
    """
    with_truth = [case for case in cases if case.lesion is not None]
    if not with_truth:
        raise InputError(f"none of the {len(cases)} cases has a truth to calibrate with: fill the column 'lesion'")
    for case in with_truth:
        read = {role: read_image(case.images[role]).volume for role in roles if role in case.images}
        if not read or case.lesion is None:
            raise InputError(f"case {case.case_id} has none of {', '.join(roles)}, which the model takes; leave it out")
        reference = next(iter(read.values()))
        truth = read_image(case.lesion).volume
        if not truth.same_grid(reference):
            raise InputError(f"the truth of case {case.case_id} is not on the grid of its first image; resample it")
        yield KnownCase({role: onto_reference(image, reference, role) for role, image in read.items()}, truth)


def calibrate(
    card: ModelCard, backends: Mapping[str, Backend], cases: Sequence[KnownCase], progress: Progress
) -> Calibration:
    """Chooses temperature, thresholds and smallest lesion on cases with known truth.

    A temperature does not change the order of probabilities. So the largest of three planes, each cooled, is the cooled
    largest, and one way serves all systems: three planes are fused at 0.5 here, where fusing is taking the largest.
    """
    system = SYSTEMS[card.system]
    plain = replace(card, temperature=1.0)
    fused_at = 0.5 if system.way == "projections" else None
    maps: list[dict[int, Volume]] = []
    p, y = [], []
    rng = np.random.default_rng(0)
    for number, case in enumerate(cases):
        progress("calibrate", number, len(cases))
        found = predict(case.images, plain, system, backends, _silent, threshold=fused_at)
        where = np.flatnonzero(found.brain.array)
        where = rng.choice(where, min(VOXELS_PER_CASE, len(where)), replace=False)
        for value, volume in found.probability.items():
            p.append(volume.array.ravel()[where].astype(np.float64))
            y.append(case.truth.array.ravel()[where] == value)
        maps.append({value: v.with_array(v.array.astype(np.float32)) for value, v in found.probability.items()})
    progress("calibrate", len(cases), len(cases))
    stated, observed = np.clip(np.concatenate(p), 1e-6, 1 - 1e-6), np.concatenate(y)
    temperature = fitted_temperature(stated, observed)
    cooled = [{value: v.with_array(_cooled(v.array, temperature)) for value, v in m.items()} for m in maps]
    truths = [case.truth for case in cases]
    classes = None
    if system.way == "projections":
        said = _planes(replace(card, temperature=temperature), backends, cases, cooled, progress)
        chosen = choose_planes(said, THRESHOLDS, SMALLEST_ML)
        thresholds, smallest, best, classes = chosen.k, chosen.min_lesion_ml, chosen.dice, chosen.classes
        cooled = without_denied(said, chosen)  # what is not marked teaches nothing of marked lesions
    else:
        thresholds, smallest, best = best_thresholds(cooled, truths, system)
    known = marked_lesions(cooled, truths, thresholds, smallest)
    models = {value: fitted(lesions) for value, lesions in known.items() if lesions}
    whole, probable = (
        dice_of_probable(cooled, truths, thresholds, smallest, models, least) for least in (0.0, MORE_LIKELY_THAN_NOT)
    )
    return Calibration(
        temperature=temperature,
        thresholds=thresholds,
        min_lesion_ml=smallest,
        error_before=expected_calibration_error(reliability(stated, observed)),
        error_after=expected_calibration_error(reliability(_at_temperature(stated, temperature), observed)),
        dice_raw=float(np.mean([_mean_dice(maps, truths, value, 0.5, (0.0,)) for value in system.labels])),
        dice_post=best,
        cases=len(cases),
        lesion_models=models,
        marked=sum(len(lesions) for lesions in known.values()),
        real=sum(lesion.real for lesions in known.values() for lesion in lesions),
        classes=classes,
        min_lesion_probability=MORE_LIKELY_THAN_NOT if probable >= whole else 0.0,
        dice_probable=probable,
    )


def _planes(
    card: ModelCard,
    backends: Mapping[str, Backend],
    cases: Sequence[KnownCase],
    cooled: Sequence[Mapping[int, Volume]],
    progress: Progress,
) -> list[PlanesCase]:
    """What the planes say of each case: where k is 1, Vpred is the sum of their probabilities."""
    system = SYSTEMS[card.system]
    said = []
    for number, (case, highest) in enumerate(zip(cases, cooled, strict=True)):
        progress("calibrate", number, len(cases))
        found = predict(case.images, card, system, backends, _silent, threshold=1.0).projected
        assert found is not None
        said.append(PlanesCase(highest, found.vpred, found.voxel_ml, case.truth))
    progress("calibrate", len(cases), len(cases))
    return said


def _with_k(settings: Mapping[str, Any], thresholds: Mapping[int, float]) -> dict[str, Any]:
    """A card's settings with each label's threshold as the k of all planes, and where the classifier looks."""
    k = dict.fromkeys(("k_axial", "k_coronal", "k_sagittal"), thresholds[ISCHEMIA])
    own = {**k, "hemorrhagic_k": thresholds[HEMORRHAGE], "vpred_above": VPRED_ABOVE}
    return {**settings, "projections": {**settings.get("projections", {}), **own}}


def as_card_keys(found: Calibration, card: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of model.json that a calibration sets."""
    keys: dict[str, Any] = {
        "temperature": found.temperature,
        "min_lesion_ml": found.min_lesion_ml,
        "min_lesion_probability": found.min_lesion_probability,
        "lesion_models": {str(value): model.as_dict() for value, model in found.lesion_models.items()},
    }
    values = list(found.thresholds.values())
    if SYSTEMS[card["system"]].way == "projections":
        settings = _with_k(card.get("inference_settings", {}), found.thresholds)
        if found.classes is not None:
            settings["projections"] |= found.classes.as_constants()
        keys["inference_settings"] = settings
    elif len(values) == 1:
        keys["threshold"] = values[0]
    else:
        keys["thresholds"] = {str(value): threshold for value, threshold in found.thresholds.items()}
    return keys


def as_sentences(found: Calibration) -> tuple[str, ...]:
    """What was measured, for a model's README.md."""
    classes = found.classes
    of_classes = (
        f"The class of the case: {name} is said of {classes.sensitivity[value]:.0%} of the cases that have it, and of "
        f"{1 - classes.specificity[value]:.0%} of those that have not."
        for value, name in ((ISCHEMIA, "ischemia"), (HEMORRHAGE, "hemorrhage"))
        if classes is not None
    )
    return (
        f"On {found.cases} cases that also chose the values above: mean Dice {found.dice_raw:.3f} for the raw network "
        f"at 0.5, {found.dice_post:.3f} after post-processing.",
        f"Expected calibration error of voxels in the brain {found.error_before:.4f} before and "
        f"{found.error_after:.4f} after the temperature.",
        f"{found.real} of {found.marked} marked lesions touch a true one: a lesion's probability was fitted to these.",
        f"With lesions dropped that are more likely none than one: mean Dice {found.dice_probable:.3f}; "
        + ("so it is done." if found.min_lesion_probability else "they are kept."),
        *of_classes,
    )


def fitted_temperature(p: NDArray[np.float64], y: NDArray[np.bool_]) -> float:
    """The temperature with the smallest log loss, between 0.22 and 4.5, three decimals."""

    def cost(log_t: float) -> float:
        q = np.clip(_at_temperature(p, float(np.exp(log_t))), 1e-12, 1 - 1e-12)
        return float(-np.mean(np.log(np.where(y, q, 1 - q))))

    return round(float(np.exp(minimize_scalar(cost, bounds=(-1.5, 1.5), method="bounded").x)), 3)


def best_thresholds(
    maps: Sequence[Mapping[int, Volume]], truths: Sequence[Volume], system: System
) -> tuple[dict[int, float], float, float]:
    """Chooses by the mean Dice over cases and labels; of equals, the higher threshold and size.

    Args:
        maps: Of each case, label value -> probability; on one grid with the truths.
        truths: Label maps.
        system: Its labels.

    Returns:
        Thresholds by label, the smallest lesion in mL, and their mean Dice.
    """
    best: tuple[float, float, tuple[float, ...]] = (-1.0, 0.0, ())
    table = np.array(
        [[_mean_dice(maps, truths, value, t, SMALLEST_ML) for t in THRESHOLDS] for value in system.labels]
    )  # (labels, thresholds, sizes)
    for number, smallest in enumerate(SMALLEST_ML):
        scores = table[:, :, number]
        last_best = scores.shape[1] - 1 - scores[:, ::-1].argmax(axis=1)
        chosen = tuple(THRESHOLDS[n] for n in last_best)
        best = max(best, (float(scores.max(axis=1).mean()), smallest, chosen))
    return dict(zip(system.labels, best[2], strict=True)), best[1], best[0]


def _mean_dice(
    maps: Sequence[Mapping[int, Volume]],
    truths: Sequence[Volume],
    value: int,
    threshold: float,
    smallest_ml: Sequence[float],
) -> NDArray[np.float64]:
    """Of each smallest size, over all cases."""
    scores = [
        dice_by_size(m[value], truth.array == value, threshold, smallest_ml)
        for m, truth in zip(maps, truths, strict=True)
    ]
    return np.asarray(np.mean(scores, axis=0))


def _cooled(p: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    return np.asarray(_at_temperature(np.clip(p, 1e-6, 1 - 1e-6).astype(np.float64), temperature), np.float32)


def _at_temperature(p: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.log(p / (1 - p)) / temperature)), np.float64)


def _silent(stage: str, done: int, total: int) -> None:
    """No progress shown."""
