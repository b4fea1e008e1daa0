"""The table of a reader study, as in the DPN92-UNet paper: each reader's errors against a model's.

The paper uses Fisher's exact test, which takes both to have read different cases. They read the same, and here it is
known which ones were wrong: McNemar's exact test, which is meant for that, stands beside it. Both are corrected for the
number of readers by Holm's method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from StrokeSegLib.errors import InputError
from StrokeSegLib.statistics import fisher_p, holm

#: From this corrected p value on no difference is claimed.
ALPHA = 0.05


@dataclass(frozen=True)
class ReaderErrors:
    """One reader against the model, over the cases that both and the reference have a class for.

    Attributes:
        reader: Name.
        cases: Number of those cases.
        errors, model_errors: How many of them each got wrong.
        only_reader, only_model: How many only one of the two got wrong.
        p: Of Fisher's exact test, two-sided.
        p_holm: The same, corrected for the number of readers.
        p_mcnemar, p_mcnemar_holm: Of McNemar's exact test.
        verdict: ``worse`` or ``better`` than the model where ``p_holm`` is below 0.05, else ``no difference shown``.
    """

    reader: str
    cases: int
    errors: int
    model_errors: int
    only_reader: int
    only_model: int
    p: float
    p_holm: float
    p_mcnemar: float
    p_mcnemar_holm: float
    verdict: str


def reader_errors(
    readers: Mapping[str, Mapping[str, str]], model: Mapping[str, str], reference: Mapping[str, str]
) -> tuple[ReaderErrors, ...]:
    """Each reader's errors against the model's. A reader without a shared case is left out.

    Args:
        readers: Name -> case -> class.
        model: Case -> class.
        reference: Case -> the true class.
    """
    shared = {name: sorted(set(classes) & set(model) & set(reference)) for name, classes in readers.items() if classes}
    counted = []
    for name, cases in shared.items():
        if not cases:
            continue
        wrong = {case for case in cases if readers[name][case] != reference[case]}
        model_wrong = {case for case in cases if model[case] != reference[case]}
        counted.append((name, len(cases), wrong, model_wrong))
    p = [fisher_p(len(wrong), n, len(model_wrong), n) for _, n, wrong, model_wrong in counted]
    paired = [mcnemar_p(len(wrong - model_wrong), len(model_wrong - wrong)) for _, _, wrong, model_wrong in counted]
    rows = zip(counted, p, holm(p), paired, holm(paired), strict=True)
    return tuple(
        ReaderErrors(
            name, n, len(wrong), len(model_wrong), len(wrong - model_wrong), len(model_wrong - wrong),
            fisher, fisher_holm, mcnemar, mcnemar_holm, _verdict(len(wrong), len(model_wrong), fisher_holm),
        )
        for (name, n, wrong, model_wrong), fisher, fisher_holm, mcnemar, mcnemar_holm in rows
    )  # fmt: skip


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Two-sided p value of McNemar's exact test: the sign test on the cases that only one of the two got wrong.

    Raises:
        InputError: A number is negative.
    """
    if only_first < 0 or only_second < 0:
        raise InputError(f"McNemar's test needs counts of 0 or more, got {only_first} and {only_second}")
    from scipy import stats  # slow to import

    both = only_first + only_second
    return float(stats.binomtest(only_first, both, 0.5).pvalue) if both else 1.0


def _verdict(errors: int, model_errors: int, p_holm: float) -> str:
    if p_holm >= ALPHA:
        return "no difference shown"
    return "worse" if errors > model_errors else "better"
