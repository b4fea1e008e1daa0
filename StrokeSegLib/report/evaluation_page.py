"""evaluation.html: one file with everything in it, for a radiologist to read; headline numbers first."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from StrokeSegLib.report.evaluation_charts import dice_chart, reliability_chart, volume_chart
from StrokeSegLib.report.evaluation_style import STYLE

RESEARCH_USE = "Research use only, not a medical device"

#: Metric -> words, decimals, unit; in the order of the page.
METRICS = {
    "dice": ("Dice", 3, ""),
    "jaccard": ("Jaccard", 3, ""),
    "sensitivity": ("Sensitivity", 3, ""),
    "precision": ("Precision", 3, ""),
    "specificity": ("Specificity", 4, ""),
    "accuracy": ("Accuracy", 4, ""),
    "accuracy_all_background": ("Accuracy of marking nothing at all", 4, ""),
    "balanced_accuracy": ("Balanced accuracy", 3, ""),
    "hd95_mm": ("Hausdorff distance, 95%", 1, "mm"),
    "assd_mm": ("Average surface distance", 2, "mm"),
    "nsd_2mm": ("Surface Dice within 2 mm", 3, ""),
    "nsd_5mm": ("Surface Dice within 5 mm", 3, ""),
    "absolute_volume_difference_ml": ("Volume difference, absolute", 2, "mL"),
    "volume_difference_ml": ("Volume difference, model − truth", 2, "mL"),
    "lesion_count_difference": ("Lesion count, model − truth", 2, ""),
    "lesion_f1": ("Lesion-wise F1", 3, ""),
    "ece": ("Calibration error", 4, ""),
}
HEADLINES = ("dice", "lesion_f1", "volume_difference_ml")
CASE_COLUMNS = ("dice", "sensitivity", "precision", "lesion_f1", "hd95_mm", "volume_difference_ml")


def evaluation_page(
    summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], pictures: Sequence[tuple[str, bytes]]
) -> str:
    """The page as text.

    Args:
        summary: The content of summary.json.
        rows: Those of evaluation.csv.
        pictures: Case and PNG of the worst cases, the worst first.
    """
    parts = [_head(summary)]
    for label in summary["labels"]:
        of_label = [row for row in rows if row.get("label") == label["name"]]
        parts.append(_label(label, of_label))
    parts += [_pictures(pictures), _cases(summary, rows), _conventions(summary)]
    title = f"{summary['model']['title']}: evaluation"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _head(summary: Mapping[str, Any]) -> str:
    model, data = summary["model"], summary["data"]
    failed = len(summary["errors"])
    where = f" of {escape(data['name'])}" if data["name"] else ""
    thresholds = ", ".join(
        f"{escape(name)} marked from a probability of {t:g}" for name, t in model["thresholds"].items()
    )
    lines = [
        f"<h1>{escape(model['title'])}: evaluation</h1>",
        f"<p>{_count(data['scored'], 'case')} of {_count(data['patients'], 'patient')}{where}; "
        f"model {escape(model['id'])}, version {escape(model['version'])}, {thresholds}.</p>",
        f'<div class="use">{RESEARCH_USE}</div>',
    ]
    if failed:
        lines.append(
            f'<p class="bad">{_count(failed, "case")} of {data["cases"]} could not be evaluated and '
            f"{'is' if failed == 1 else 'are'} in no number below; the reasons stand at the end.</p>"
        )
    lines += [f'<p class="bad">{escape(note)}.</p>' for note in summary["notes"]]
    return "".join(lines)


def _label(label: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    parts = [f"<h2>{escape(label['name'].capitalize())}</h2>"]
    bearing, every = label["lesion_bearing"], label["all_cases"]
    if bearing:
        parts.append(f'<div class="cards">{"".join(_card(name, bearing) for name in HEADLINES)}{_auc(label)}</div>')
    parts.append(f"<p>{_emptiness(label)}</p>")
    if bearing:
        marking_nothing = bearing["accuracy_all_background"]["mean"]
        parts.append(
            f"<p>Accuracy over all voxels is {bearing['accuracy']['mean']:.4f}; marking nothing at all scores "
            f"{marking_nothing:.4f} on the same cases, so accuracy and specificity say little here.</p>"
        )
    parts.append(f'<div class="charts">{volume_chart(rows)}{dice_chart(rows)}')
    parts.append(f"{reliability_chart(label['calibration']['bins'])}</div>")
    parts.append("<h3>By size of the true lesion</h3>" + _sizes(label["sizes"]))
    for words, metrics in (("Cases with a lesion", bearing), ("All cases", every)):
        if metrics and not (metrics is every and label["cases"] == label["lesion_bearing_cases"]):
            parts.append(f"<h3>{words}</h3>{_metrics(metrics)}")
    return "".join(parts)


def _card(name: str, metrics: Mapping[str, Any]) -> str:
    words, decimals, unit = METRICS[name]
    one = metrics[name]
    sign = "+" if "difference" in name else ""
    return (
        f'<div class="card"><span class="what">{words}</span><b>{one["mean"]:{sign}.{decimals}f} {unit}</b>'
        f"<small>mean, 95% CI {_interval(one, decimals)}</small>"
        f"<small>{_count(one['count'], 'case')} with a lesion, {_count(one['patients'], 'patient')}</small></div>"
    )


def _auc(label: Mapping[str, Any]) -> str:
    detection = label["detection_auc"]
    if detection is None:
        return ""
    return (
        f'<div class="card"><span class="what">Detection, area under ROC</span><b>{detection["auc"]:.3f}</b>'
        f"<small>by the highest probability of a case</small>"
        f"<small>{detection['with_lesion']} with, {detection['without_lesion']} without a lesion</small></div>"
    )


def _emptiness(label: Mapping[str, Any]) -> str:
    without = label["cases"] - label["lesion_bearing_cases"]
    words = [
        f"Of {_count(label['lesion_bearing_cases'], 'case')} with a lesion, {label['missed']} "
        f"{'was' if label['missed'] == 1 else 'were'} missed altogether (Dice 0)."
    ]
    if without:
        words.append(
            f"Of {_count(without, 'case')} without one, {label['invented']} got a lesion that is not there (Dice 0); "
            f"{label['both_empty']} {'was' if label['both_empty'] == 1 else 'were'} rightly left empty (Dice 1)."
        )
    return " ".join(words)


def _metrics(metrics: Mapping[str, Any]) -> str:
    head = "<tr><th>Metric</th><th>n</th><th>Mean ± SD</th><th>95% CI of the mean</th><th>Median [quartiles]</th></tr>"
    lines = []
    for name, (words, d, unit) in METRICS.items():
        one = metrics.get(name)
        if one is None:
            continue
        name_cell = f"{words}{', ' + unit if unit else ''}"
        lines.append(
            f"<tr><td>{name_cell}</td><td>{one['count']}</td><td>{one['mean']:.{d}f} ± {one['sd']:.{d}f}</td>"
            f"<td>{_interval(one, d)}</td>"
            f"<td>{one['median']:.{d}f} [{one['q1']:.{d}f}, {one['q3']:.{d}f}]</td></tr>"
        )
    return _table(head, lines)


def _sizes(bins: Sequence[Mapping[str, Any]]) -> str:
    head = "<tr><th>True volume</th><th>n</th><th>Dice (95% CI)</th><th>Sensitivity</th><th>Lesion-wise F1</th></tr>"
    lines = []
    for one in bins:
        low, high = one["from_ml"], one["to_ml"]
        words = f"{low:g} mL and more" if high is None else f"{low:g} to {high:g} mL" if low else f"under {high:g} mL"
        cells = [_mean(one["dice"], interval=True), _mean(one["sensitivity"]), _mean(one["lesion_f1"])]
        lines.append(f"<tr><td>{words}</td><td>{one['cases']}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return _table(head, lines)


def _mean(one: Mapping[str, Any] | None, *, interval: bool = False) -> str:
    if one is None:
        return "–"
    words = f"{one['mean']:.3f}"
    return f"{words} ({_interval(one, 3)})" if interval else words


def _interval(one: Mapping[str, Any], decimals: int) -> str:
    if one["ci95"] is None:
        return "– (one patient)"
    low, high = one["ci95"]
    return f"{low:.{decimals}f} to {high:.{decimals}f}"


def _pictures(pictures: Sequence[tuple[str, bytes]]) -> str:
    if not pictures:
        return ""
    figures = [
        f'<figure><img alt="{escape(case_id)}: truth and model outlined" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}"></figure>'
        for case_id, png in pictures
    ]
    return f"<h2>The {_count(len(pictures), 'case')} with the lowest Dice</h2>{''.join(figures)}"


def _cases(summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    heads = "".join(f"<th>{METRICS[name][0]}</th>" for name in CASE_COLUMNS)
    head = f"<tr><th>Case</th><th>Label</th><th>Truth, mL</th><th>Model, mL</th>{heads}</tr>"
    lines = []
    for row in rows:
        if row["error"]:
            continue
        # Without both outlines there is no distance.
        shown = [name if not (row["one_empty"] and name.endswith("_mm")) else "" for name in CASE_COLUMNS]
        cells = "".join(f"<td>{row[name]:.{METRICS[name][1]}f}</td>" if name else "<td>–</td>" for name in shown)
        lines.append(
            f"<tr><td>{escape(row['case_id'])}</td><td>{escape(row['label'])}</td><td>{row['truth_ml']:.2f}</td>"
            f"<td>{row['predicted_ml']:.2f}</td>{cells}</tr>"
        )
    text = f"<h2>Case by case</h2>{_table(head, lines)}"
    for title, key, words in (("Not evaluated", "errors", "error"), ("Warnings", "warnings", "warning")):
        told = summary[key]
        if told:
            names = [escape(str(one.get("case_id", _count(one.get("cases", 0), "case")))) for one in told]
            lines = [
                f'<tr><td>{name}</td><td class="words">{escape(one[words])}</td></tr>'
                for name, one in zip(names, told, strict=True)
            ]
            text += f"<h2>{title}</h2>{_table('', lines)}"
    return text


def _conventions(summary: Mapping[str, Any]) -> str:
    model = summary["model"]
    return (
        "<h2>How this was measured</h2>"
        "<p>Every metric is taken case by case on the grid of the scan. Intervals are 95% percentile bootstrap "
        "intervals over patients. Where truth and model are both empty Dice is 1, where one is empty 0; distances are "
        "averaged over the cases where both have an outline. Lesions are 26-connected; one common voxel counts as "
        "found. The calibration error covers the voxels in which the model looked for lesions.</p>"
        f"<p>Model {escape(model['id'])} {escape(model['version'])} ({escape(model['system'])}), SHA-256 of the "
        f"weights <code>{escape(model['sha256'])}</code>; StrokeSeg {escape(summary['strokeseg'])}; "
        f"{summary['seconds_per_case']:.1f} s a case. {RESEARCH_USE}.</p>"
    )


def _table(head: str, lines: Sequence[str]) -> str:
    return f'<div class="scroll"><table>{head}{"".join(lines)}</table></div>'


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
