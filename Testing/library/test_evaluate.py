"""``strokeseg evaluate``: a model on cases with known truth, good ones and bad ones, and the page that tells of it."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from StrokeSegLib.case_table import Case, write_case_table
from StrokeSegLib.demo import demo_case
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import write_image
from StrokeSegLib.metrics import dice
from StrokeSegLib.models import find_model
from StrokeSegLib.report.evaluation_page import evaluation_page
from StrokeSegLib.report.evaluation_picture import PREDICTION_COLOR, TRUTH_COLOR, draw_comparison
from StrokeSegLib.segmentation import segment
from StrokeSegLib.synth.diffusion import SyntheticCase
from StrokeSegLib.training.evaluate import evaluate
from StrokeSegLib.training.evaluate_scores import check_truth, score_label
from StrokeSegLib.training.evaluate_summary import CaseScore, summarize_label
from StrokeSegLib.volume import Volume

ROOT = Path(__file__).resolve().parents[2]


def row(text: str) -> Volume:
    """A label map of one row of voxels of 1 mL; a figure is a label."""
    return Volume(np.array([int(c) for c in text], np.uint8).reshape(1, 1, -1), (10.0, 10.0, 10.0))


def certain(labels: Volume, label: int) -> Volume:
    """The probability of a model that is always sure."""
    return labels.with_array((labels.array == label).astype(np.float32))


def scored(case_id: str, patient: str, predicted: str, truth: str) -> CaseScore:
    p, t = row(predicted), row(truth)
    return CaseScore(case_id, patient, (score_label(1, p, t, certain(p, 1)),), 1.0)


# --- one label of one case


def test_a_label_scored_by_hand() -> None:
    # Label 1: 2 common voxels, 3 predicted, 4 true, of 10; label 2 is another matter.
    predicted, truth = row("1110022000"), row("0111100222")
    score = score_label(1, predicted, truth, certain(predicted, 1))
    assert (score.truth_ml, score.predicted_ml) == pytest.approx((4, 3))
    assert score.values["dice"] == pytest.approx(4 / 7)
    assert score.values["jaccard"] == pytest.approx(2 / 5)
    assert score.values["sensitivity"] == pytest.approx(2 / 4)
    assert score.values["precision"] == pytest.approx(2 / 3)
    assert score.values["specificity"] == pytest.approx(5 / 6)
    assert score.values["accuracy"] == pytest.approx(7 / 10)
    assert score.values["accuracy_all_background"] == pytest.approx(6 / 10)
    assert score.values["volume_difference_ml"] == pytest.approx(-1)
    assert score.values["absolute_volume_difference_ml"] == pytest.approx(1)
    # Voxels are 10 mm: predicted 0 is one off, true 4 is two off, the other five lie on each other or next door.
    assert score.values["hd95_mm"] == pytest.approx(np.percentile([0, 0, 10, 20], 95))
    assert score.values["nsd_5mm"] == pytest.approx(4 / 7)
    assert not score.both_empty
    assert not score.one_empty


def test_empty_cases_are_flagged() -> None:
    nothing, something = row("0000"), row("0110")
    both = score_label(1, nothing, nothing, certain(nothing, 1))
    assert (both.both_empty, both.one_empty, both.values["dice"], both.values["hd95_mm"]) == (True, False, 1, 0)
    for p, t in ((nothing, something), (something, nothing)):
        one = score_label(1, p, t, certain(p, 1))
        assert (one.both_empty, one.one_empty, one.values["dice"], one.values["lesion_f1"]) == (False, True, 0, 0)
        assert one.values["hd95_mm"] == pytest.approx(30)  # the diagonal of the volume


def test_calibration_counts_voxels_where_the_model_looked_or_a_lesion_is() -> None:
    # Stated 0.5 in four voxels of which one is lesion, and 0 in one that is lesion; five outside do not count.
    p = row("0000000000").with_array(np.array([0.5] * 4 + [0.0] * 6, np.float32).reshape(1, 1, -1))
    score = score_label(1, row("0000000000"), row("1000100000"), p)
    assert score.reliability[0].sum() == 5
    assert score.values["ece"] == pytest.approx((abs(4 * 0.5 - 1) + abs(0 - 1)) / 5)


def test_a_truth_with_other_values_or_on_another_grid_is_refused() -> None:
    check_truth(row("0123"), row("0000"))
    with pytest.raises(InputError, match="value 5"):
        check_truth(row("0500"), row("0000"))
    with pytest.raises(InputError, match="one grid"):
        check_truth(row("01"), row("0000"))


# --- many cases


def test_a_summary_tells_lesion_bearing_cases_from_all() -> None:
    cases = [
        scored("found", "p1", "0110", "0110"),
        scored("missed", "p2", "0000", "0110"),
        scored("invented", "p3", "0100", "0000"),
        scored("quiet", "p3", "0000", "0000"),
        CaseScore("broken", "p4", (), 0.1, error="no such file"),
    ]
    label = summarize_label(1, "ischemic lesion", cases)
    assert (label["cases"], label["lesion_bearing_cases"]) == (4, 2)
    assert (label["both_empty"], label["missed"], label["invented"]) == (1, 1, 1)
    assert label["lesion_bearing"]["dice"]["mean"] == pytest.approx((1 + 0) / 2)
    assert label["all_cases"]["dice"]["mean"] == pytest.approx((1 + 0 + 0 + 1) / 4)
    assert label["all_cases"]["dice"]["patients"] == 3
    low, high = label["all_cases"]["dice"]["ci95"]
    assert 0 <= low <= 0.5 <= high <= 1
    assert label["all_cases"]["hd95_mm"]["ci95"] is None  # of one patient
    # Only one case has both outlines.
    assert (label["all_cases"]["hd95_mm"]["count"], label["all_cases"]["hd95_mm"]["mean"]) == (1, 0)
    # Highest probabilities 1 and 0 with a lesion, 1 and 0 without: half.
    assert label["detection_auc"] == {"auc": 0.5, "with_lesion": 2, "without_lesion": 2}


def test_cases_are_binned_by_the_true_volume_lower_edge_included() -> None:
    cases = [scored(f"c{n}", f"p{n}", "1" * n, "1" * n) for n in (1, 9, 10, 69, 70)]
    sizes = summarize_label(1, "x", cases)["sizes"]
    assert [(one["from_ml"], one["to_ml"], one["cases"]) for one in sizes] == [
        (0, 1, 0), (1, 10, 2), (10, 70, 2), (70, None, 1),
    ]  # fmt: skip
    assert sizes[0]["dice"] is None
    assert sizes[1]["dice"]["mean"] == 1


# --- the page


class _Page(HTMLParser):
    """What a page refers to, and its tags that were never closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_no_name_can_break_it(tmp_path: Path) -> None:
    cases = [scored("<b>&a", "p", "0110", "0111"), scored("b", "q", "0000", "0000")]
    summary = {
        "strokeseg": "1",
        "model": {
            "id": "m",
            "title": "T<i>",
            "version": "1",
            "system": "mri",
            "sha256": "ab12",
            "thresholds": {"lesion": 0.5},
        },
        "data": {"name": "t&.csv", "cases": 3, "scored": 2, "patients": 2},
        "labels": [summarize_label(1, "lesion", cases)],
        "seconds_per_case": 1.0,
        "notes": [],
        "warnings": [{"warning": "w<", "cases": 1}],
        "errors": [{"case_id": "c<script>", "error": "<script>"}],
    }
    score = cases[0].scores[0]
    base = {"patient_id": "p", "label": "lesion", "one_empty": 0, "truth_ml": 3.0, "predicted_ml": 2.0, "error": ""}
    text = evaluation_page(summary, [{**base, "case_id": "<b>&a", **score.values}], [("<b>&a", b"png")])
    page = _Page(text)
    assert page.open == []
    assert all(reference.startswith("data:image/png;base64,") for reference in page.references)
    assert "<script" not in text
    assert "&lt;b&gt;&amp;a" in text


def test_the_comparison_shows_truth_and_model_in_two_colors(tmp_path: Path) -> None:
    image = Volume(np.full((1, 60, 60), 100.0, np.float32))
    truth, predicted = (np.zeros((1, 60, 60), np.uint8) for _ in range(2))
    truth[0, 20:30, 5:25] = 1
    predicted[0, 20:30, 35:55] = 1
    draw_comparison(
        image, image.with_array(truth), image.with_array(predicted), tmp_path / "c.png", title="t", values=[1]
    )
    pixels = np.asarray(Image.open(tmp_path / "c.png").convert("RGB")).astype(int)[98:]
    where = {color: np.argwhere(np.abs(pixels - color).max(axis=-1) < 12) for color in (TRUTH_COLOR, PREDICTION_COLOR)}
    assert all(len(found) > 50 for found in where.values())
    assert where[TRUTH_COLOR][:, 1].max() < where[PREDICTION_COLOR][:, 1].min()
    with pytest.raises(InputError, match="one grid"):
        draw_comparison(image, row("01"), image, tmp_path / "d.png", title="t", values=[1])


# --- the whole way, on the bundled model


@pytest.fixture(scope="module")
def case() -> SyntheticCase:
    return demo_case()


@pytest.fixture(scope="module")
def table(case: SyntheticCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One good case, one whose ADC map is not there, one without a truth."""
    folder = tmp_path_factory.mktemp("cases")
    for name, volume in {**case.images, "lesion": case.truth}.items():
        write_image(volume, folder / f"{name}.nii.gz")
    images = {"dwi": folder / "dwi.nii.gz", "adc": folder / "adc.nii.gz"}
    cases = [
        Case("good", "p1", images, folder / "lesion.nii.gz", "test"),
        Case("broken", "p2", {**images, "adc": folder / "gone.nii.gz"}, folder / "lesion.nii.gz", "test"),
        Case("untold", "p3", images, None, "train"),
    ]
    write_case_table(cases, folder / "cases.csv")
    return folder / "cases.csv"


@pytest.fixture(scope="module")
def done(table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The command on the table, where importing torch raises; and its result folder."""
    out = tmp_path_factory.mktemp("evaluated") / "out"
    code = "import sys; sys.modules.update(torch=None, monai=None); from StrokeSegLib.cli import main; sys.exit(main())"
    words = ["evaluate", "--model", "mri", "--data", str(table), "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False), out


def test_one_bad_case_does_not_stop_the_rest_and_the_exit_code_says_it(done) -> None:
    process, out = done
    assert process.returncode == 2, process.stderr
    last = process.stderr.splitlines()[-1]
    assert last.startswith("strokeseg: 2 of 3 cases could not be evaluated")
    assert "gone.nii.gz" in last
    assert re.search(r"^ischemic lesion: Dice 0\.\d+ .*1 cases? with a lesion", process.stdout, re.M)
    names = {file.name for file in out.iterdir()}
    assert names == {"evaluation.html", "evaluation.csv", "summary.json", "evaluation-good.png"}
    assert "progress evaluate" in process.stderr


def test_the_rows_hold_every_case_and_the_good_one_scores_what_segment_finds(done, case: SyntheticCase) -> None:
    with (done[1] / "evaluation.csv").open(newline="", encoding="utf-8") as file:
        rows = {line["case_id"]: line for line in csv.DictReader(file)}
    assert list(rows) == ["good", "broken", "untold"]
    assert "gone.nii.gz" in rows["broken"]["error"]
    assert "no truth" in rows["untold"]["error"]
    assert rows["untold"]["dice"] == ""
    expected = dice(segment(case.images, "mri").labels.array == 1, case.truth.array == 1)
    assert float(rows["good"]["dice"]) == pytest.approx(expected, abs=1e-5)
    d, j = float(rows["good"]["dice"]), float(rows["good"]["jaccard"])
    assert j == pytest.approx(d / (2 - d), abs=1e-5)


def test_the_summary_says_which_model_and_what_may_flatter_it(done) -> None:
    summary = json.loads((done[1] / "summary.json").read_text(encoding="utf-8"))
    card = find_model("mri")
    assert summary["model"]["sha256"] == card.sha256
    assert summary["model"]["version"] == card.version
    assert summary["data"] == {"name": "cases.csv", "cases": 3, "scored": 1, "patients": 1}
    assert [error["case_id"] for error in summary["errors"]] == ["broken", "untold"]
    assert "1 of 3 cases are marked train or val" in summary["notes"][0]


def test_the_page_says_it_all_in_one_file(done) -> None:
    text = (done[1] / "evaluation.html").read_text(encoding="utf-8")
    page = _Page(text)
    card = find_model("mri")
    assert page.open == []
    assert len(page.references) == 1
    assert page.references[0].startswith("data:image/png;base64,")
    for words in (
        "Research use only",
        card.sha256,
        f"version {card.version}",
        "95% CI",
        "marking nothing at all",
        "gone",
    ):
        assert words in text, words
    assert text.index("95% CI") < text.index("<table")


def test_what_cannot_be_evaluated_at_all_is_refused_and_nothing_is_written(table: Path, tmp_path: Path) -> None:
    images = {"dwi": table.parent / "gone.nii.gz", "adc": table.parent / "gone.nii.gz"}
    truth = table.parent / "lesion.nii.gz"
    for cases, words in (
        ([Case("a", "p", images)], "none of the 1 cases has a truth"),
        ([Case("a", "p", images, truth), Case("b", "p", images, truth)], "none of the 2 cases could be evaluated; a: "),
    ):
        with pytest.raises(InputError, match=re.escape(words)):
            evaluate("mri", cases, tmp_path / "out")
    with pytest.raises(InputError, match="unknown model"):
        evaluate("brain", [Case("a", "p", images, truth)], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


class _CancelError(Exception):
    """What a caller raises to stop."""


def test_a_cancel_within_a_case_stops_at_once_and_leaves_nothing(table: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []

    def cancel(stage: str, done: int, total: int) -> None:
        told.append((stage, done, total))
        if len(told) == 3:
            raise _CancelError

    images = {role: table.parent / f"{role}.nii.gz" for role in ("dwi", "adc")}
    cases = [Case(name, name, images, table.parent / "lesion.nii.gz") for name in ("a", "b")]
    with pytest.raises(_CancelError):
        evaluate("mri", cases, tmp_path / "out", progress=cancel)
    assert len(told) == 3
    assert all(stage == "evaluate" and total == 200 for stage, _, total in told)
    assert list(tmp_path.iterdir()) == []


def test_results_are_not_overwritten_without_force(table: Path, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("mine")
    images = {role: table.parent / f"{role}.nii.gz" for role in ("dwi", "adc")}
    with pytest.raises(InputError, match="--force"):
        evaluate("mri", [Case("a", "p", images, table.parent / "lesion.nii.gz")], tmp_path)
    assert (tmp_path / "summary.json").read_text() == "mine"
