"""agreement.html: one file with everything in it; every number with its n."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from StrokeSegLib.report.agreement_charts import bland_altman_chart
from StrokeSegLib.report.evaluation_page import RESEARCH_USE
from StrokeSegLib.report.evaluation_style import STYLE

#: Plots of this many pairs and labels; the table has all.
MAX_CHARTS = 12
NONE = "–"


def agreement_page(
    summary: Mapping[str, Any], scores: Sequence[Mapping[str, Any]], pictures: Sequence[tuple[str, bytes]]
) -> str:
    """The page as text.

    Args:
        summary: The content of agreement.json.
        scores: One a case, pair and label, with ``case_id``, ``first``, ``second``, ``label`` and the volumes.
        pictures: Case and PNG of the cases with most disagreement, the worst first.
    """
    parts = [_head(summary), _overlap(summary), _volumes(summary, scores), _classes(summary), _groups(summary)]
    parts += [_errors(study) for study in summary["reader_study"]]
    parts += [_pictures(pictures), _cases(summary), _conventions(summary)]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Agreement of raters</title><style>{STYLE}th {{ white-space: normal }}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _head(summary: Mapping[str, Any]) -> str:
    where = f" of {escape(summary['source'])}" if summary["source"] else ""
    lines = [
        "<h1>Agreement of raters</h1>",
        f"<p>{_count(summary['cases'], 'case')} of {_count(summary['patients'], 'patient')}{where}.</p>",
        f'<div class="use">{RESEARCH_USE}</div>',
        *[f'<p class="quiet">{escape(note)}.</p>' for note in summary["notes"]],
        _table(
            "<tr><th>Rater</th><th>Kind</th><th>Cases</th></tr>",
            [_row(escape(one["name"]), one["kind"], one["cases"]) for one in summary["raters"]],
        ),
    ]
    return "".join(lines)


def _overlap(summary: Mapping[str, Any]) -> str:
    head = (
        "<tr><th>Pair</th><th>Label</th><th>Dice, mean (95% CI)</th><th>n</th><th>Lesion-wise F1</th>"
        "<th>Average surface distance, mm</th><th>Hausdorff 95%, mm</th><th>n</th><th>Both empty</th></tr>"
    )
    lines = []
    for pair in summary["pairs"]:
        for one in pair["labels"]:
            lines.append(
                _row(
                    _pair(pair), escape(one["name"]), _mean(one["dice"], 3, interval=True), _n(one["dice"]),
                    _mean(one["lesion_f1"], 3), _mean(one["assd_mm"], 2), _mean(one["hd95_mm"], 1),
                    _n(one["assd_mm"]), one["both_empty"],
                )
            )  # fmt: skip
    return f"<h2>Where: overlap and distance</h2>{_table(head, lines)}"


def _volumes(summary: Mapping[str, Any], scores: Sequence[Mapping[str, Any]]) -> str:
    head = (
        "<tr><th>Pair</th><th>Label</th><th>n</th><th>Bias, mL (95% CI)</th><th>Lower limit, mL (95% CI)</th>"
        "<th>Upper limit, mL (95% CI)</th><th>ICC(2,1) (95% CI)</th></tr>"
    )
    lines: list[str] = []
    charts: list[str] = []
    for pair in summary["pairs"]:
        for one in pair["labels"]:
            found = one["volume_difference_ml"]
            cells = [
                _limit(found[name], found[f"{name}_ci95"]) if found else NONE
                for name in ("bias", "lower_limit", "upper_limit")
            ]
            lines.append(_row(_pair(pair), escape(one["name"]), one["icc_2_1"]["cases"], *cells, _icc(one["icc_2_1"])))
            if found and len(charts) < MAX_CHARTS:
                rows = [
                    row for row in scores
                    if (row["first"], row["second"], row["label"]) == (pair["first"], pair["second"], one["value"])
                ]  # fmt: skip
                title = f"{pair['first']} − {pair['second']}: {one['name']}"
                charts.append(bland_altman_chart(title, rows, found))
    return (
        f"<h2>How much: volume</h2><p>Differences are first minus second of the pair.</p>{_table(head, lines)}"
        f'<h3>Bland-Altman</h3><div class="charts">{"".join(charts)}</div>'
    )


def _classes(summary: Mapping[str, Any]) -> str:
    head = "<tr><th>Pair</th><th>n</th><th>Same class</th><th>Cohen's kappa (95% CI)</th></tr>"
    lines = []
    for pair in summary["pairs"]:
        one = pair["class"]
        agreed = NONE if one["agreed"] is None else f"{one['agreed']:.1%}"
        lines.append(_row(_pair(pair), one["cases"], agreed, _with_interval(one["cohen_kappa"], one["ci95"], 3)))
    return f"<h2>What: healthy, ischemic or hemorrhagic</h2>{_table(head, lines)}"


def _groups(summary: Mapping[str, Any]) -> str:
    if not summary["groups"]:
        return ""
    head = (
        "<tr><th>Group</th><th>Fleiss' kappa (95% CI)</th><th>n</th><th>Label</th><th>Mean Dice of pairs</th>"
        "<th>Comparisons</th><th>ICC(2,1) of the volume (95% CI)</th><th>n</th></tr>"
    )
    lines = []
    for group in summary["groups"]:
        kappa = _with_interval(group["class"]["fleiss_kappa"], group["class"]["ci95"], 3)
        for one in group["labels"]:
            mean = one["mean_pairwise_dice"]
            lines.append(
                _row(
                    escape(", ".join(group["raters"])), kappa, group["class"]["cases"], escape(one["name"]),
                    NONE if mean is None else f"{mean:.3f}", one["pairwise_dice_comparisons"], _icc(one["icc_2_1"]),
                    one["icc_2_1"]["cases"],
                )
            )  # fmt: skip
    return f"<h2>Groups</h2>{_table(head, lines)}"


def _errors(study: Mapping[str, Any]) -> str:
    head = (
        "<tr><th>Reader</th><th>n</th><th>Errors</th><th>Model's errors</th><th>Fisher p</th><th>Holm</th>"
        "<th>McNemar p</th><th>Holm</th><th>Against the model</th></tr>"
    )
    lines = [
        _row(
            escape(one["reader"]), one["cases"], f"{one['errors']} ({one['errors'] / one['cases']:.1%})",
            f"{one['model_errors']} ({one['model_errors'] / one['cases']:.1%})",
            *[_p(one[name]) for name in ("p", "p_holm", "p_mcnemar", "p_mcnemar_holm")], one["verdict"],
        )
        for one in study["readers"]
    ]  # fmt: skip
    return (
        f"<h2>Errors of the class: readers against {escape(study['model'])}</h2><p>An error is another class than that "
        f"of {escape(study['reference'])}. Fisher's exact test takes reader and model to have read different cases, "
        "McNemar's takes them as the pairs that they are. The verdict follows Fisher's test after Holm's correction "
        f"for the number of readers.</p>{_table(head, lines)}"
    )


def _pictures(pictures: Sequence[tuple[str, bytes]]) -> str:
    figures = [
        f'<figure><img alt="{escape(case_id)}: outlines of the raters and where they disagree" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}"></figure>'
        for case_id, png in pictures
    ]
    if not figures:
        return ""
    return (
        "<h2>Where they disagree most</h2><p>Above everybody's outline; below the part of all pairs of raters that "
        f"gave a voxel different labels, from red (few) to yellow (all).</p>{''.join(figures)}"
    )


def _cases(summary: Mapping[str, Any]) -> str:
    head = (
        "<tr><th>Case</th><th>Raters</th><th>Mean Dice of pairs</th><th>Marked by any, mL</th><th>Disputed, mL</th>"
        "<th>STAPLE consensus</th><th>Disagreement map</th></tr>"
    )
    lines = [
        _row(
            escape(one["case_id"]), len(one["raters"]), f"{one['mean_pairwise_dice']:.3f}",
            f"{one['marked_by_any_ml']:.2f}", f"{one['disputed_ml']:.2f}", escape(one["consensus"]),
            escape(one["disagreement"]),
        )
        for one in summary["consensus"]["cases"]
    ]  # fmt: skip
    raters = escape(", ".join(summary["consensus"]["raters"]))
    return f"<h2>Consensus and disagreement</h2><p>Of {raters}.</p>{_table(head, lines)}"


def _conventions(summary: Mapping[str, Any]) -> str:
    return (
        '<h2>How it was counted</h2><p class="quiet">Overlap and distance: cases in which at least one of the pair '
        "marked the label, on one grid (nothing is resampled); distances need marks of both. Where one marked nothing "
        "Dice and F1 are 0; where both did, the case is counted under “both empty” and enters no mean. Lesions are "
        "26-connected, one common voxel counts as found, F1 is the mean of both directions. Intervals of means and "
        "kappas are bootstrap intervals over patients. Limits of agreement are bias ± 1.96 SD with the intervals of "
        "Bland and Altman (1986). ICC(2,1): two-way random effects, absolute agreement, one rater (Shrout and Fleiss "
        "1979; interval of McGraw and Wong 1996). Kappa is undefined (–) where all cases have one class. The class is "
        "hemorrhagic where any blood is marked, else ischemic where anything is, else healthy, unless a rater stated "
        "one. Fleiss' kappa and the ICC of a group take the cases that all of it rated. STAPLE (Warfield et al. 2004) "
        f'runs on the box around all marks.</p><p class="quiet">StrokeSeg {escape(summary["strokeseg"])}. '
        f"{RESEARCH_USE}.</p>"
    )


def _pair(pair: Mapping[str, Any]) -> str:
    return f"{escape(pair['first'])} – {escape(pair['second'])}"


def _mean(one: Mapping[str, Any] | None, decimals: int, *, interval: bool = False) -> str:
    if one is None:
        return NONE
    return _with_interval(one["mean"], one["ci95"] if interval else None, decimals)


def _n(one: Mapping[str, Any] | None) -> int:
    return one["count"] if one else 0


def _icc(one: Mapping[str, Any]) -> str:
    return _with_interval(one["icc"], one["ci95"], 3)


def _limit(value: float, interval: Sequence[float]) -> str:
    return f"{value:+.2f} ({interval[0]:+.2f} to {interval[1]:+.2f})"


def _with_interval(value: float | None, interval: Sequence[float] | None, decimals: int) -> str:
    if value is None:
        return NONE
    words = f"{value:.{decimals}f}"
    return words if interval is None else f"{words} ({interval[0]:.{decimals}f} to {interval[1]:.{decimals}f})"


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "&lt;0.0001"


def _row(*cells: object) -> str:
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _table(head: str, lines: Sequence[str]) -> str:
    return f'<div class="scroll"><table>{head}{"".join(lines)}</table></div>'


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
