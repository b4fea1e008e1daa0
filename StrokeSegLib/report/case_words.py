"""The words and tables of a case's report, the same on the page and in the PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

#: Volumes from this up are written with two decimals, smaller ones with three.
TWO_DECIMALS_ML = 0.1
NOT_KNOWN = "–"
UNSIGNED = "Not signed: the result of a model that no reader has accepted."


def volume_words(volume_ml: float) -> str:
    """A volume with its unit."""
    return f"{volume_ml:.{2 if volume_ml >= TWO_DECIMALS_ML or volume_ml == 0 else 3}f} mL"


def headline(content: Mapping[str, Any]) -> str:
    """What was found, in one line."""
    count = len(content["lesions"])
    if not count:
        return "No lesion found"
    return f"{volume_words(content['total_volume_ml'])} in {count} lesion{'' if count == 1 else 's'}"


def signature_words(content: Mapping[str, Any]) -> str:
    """Who signed and when, or that nobody did."""
    signature = content["signature"]
    if signature is None:
        return UNSIGNED
    mask = "after correction" if content["mask"].startswith("corrected") else "as the model made it"
    return f"Accepted {mask} by {signature['reader']}, {time_words(signature['signed_at'])}"


def time_words(iso: str) -> str:
    """A time to the minute, with its offset from UTC."""
    return datetime.fromisoformat(iso).strftime("%Y-%m-%d %H:%M UTC%z").replace("UTC+0000", "UTC")


def totals(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Volume and count a label, then the class and the perfusion volumes where the system has them."""
    rows = []
    for label in content["labels"]:
        count = label["lesion_count"]
        rows.append(
            (
                label["name"].capitalize(),
                f"{volume_words(label['volume_ml'])}, {count} lesion{'' if count == 1 else 's'}",
            )
        )
    if found := content["classification"]:
        scores = ", ".join(
            f"{name} {score:.3f}" for name, score in found.get("scores", {}).items() if score is not None
        )
        rows.append(("Class", found["class"] + (f" ({scores})" if scores else "")))
    if found := content["perfusion"]:
        ratio = found["mismatch_ratio"]
        rows.append(
            (
                "Mismatch",
                f"{volume_words(found['mismatch_ml'])}, ratio {NOT_KNOWN if ratio is None else f'{ratio:.2f}'}",
            )
        )
    if found := content["uncertainty"]:
        rows.append(("Uncertainty", _plain(found)))
    return rows


def lesion_table(content: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows; the model's own numbers only where a lesion has them (one that a reader drew has none)."""
    lesions = content["lesions"]
    heads = ["No.", "Finding", "Side", "Volume", "Largest diameter", "Center R, A, S"]
    rows = [
        [
            str(one["number"]), one["name"], one["side"] or NOT_KNOWN, volume_words(one["volume_ml"]),
            f"{one['max_diameter_mm']:.1f} mm", ", ".join(f"{c:.0f}" for c in one["centroid_ras_mm"]) + " mm",
        ]
        for one in lesions
    ]  # fmt: skip
    for key, head in (("mean_probability", "Mean probability"), ("uncertainty", "Uncertainty")):
        if any(one.get(key) is not None for one in lesions):
            heads.append(head)
            rows = [[*row, _number(one.get(key))] for row, one in zip(rows, lesions, strict=True)]
    return heads, rows


def remarks(content: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Why a human must look, and the warnings of the run; a warning that is a reason already is not said twice."""
    review = content["needs_review"]
    told = [reason for reason in review["reasons"]]
    warnings = [text for text in content["warnings"] if not any(text in reason for reason in told)]
    parts = [("Needs review by a human", told)] if review["flag"] else []
    return [*parts, *([("Warnings", warnings)] if warnings else [])]


def origin(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What made the result, exact enough to make it again."""
    model = content["model"]
    inputs = "; ".join(
        f"{one['role'].upper()} {' × '.join(map(str, one['shape']))} voxels of "
        f"{' × '.join(f'{s:.3g}' for s in one['spacing_mm'])} mm{'' if one['read'] else ', not read by the model'}"
        for one in content["inputs"]
    )
    way = f"{content['algorithm_type'].capitalize()}; mask {content['mask']}"
    return [
        ("Inputs", inputs),
        ("Segmentation", way),
        ("Model", f"{model['model']}, version {model['version']}, system {model['system']}"),
        ("Weights SHA-256", str(model["sha256"])),
        ("Mask SHA-256", str(content["mask_sha256"])),
        ("Software", f"StrokeSeg {content['strokeseg']}, {content['backend']} on {content['device']}"),
        ("Written", time_words(content["written_at"])),
    ]


def _number(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{value:.2f}"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {_plain(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_plain(item) for item in value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)
