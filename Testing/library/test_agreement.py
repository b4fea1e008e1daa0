"""`strokeseg agreement` on label maps whose overlap, volume and class are known by construction."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from StrokeSegLib.agreement.consensus import disagreement, staple_consensus
from StrokeSegLib.agreement.pairs import score_pair
from StrokeSegLib.agreement.ratings import class_of_labels, read_ratings_table
from StrokeSegLib.agreement.run import agree
from StrokeSegLib.cli import main
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.metrics import dice
from StrokeSegLib.volume import Volume

SPACING = (2.0, 2.0, 5.0)  # 0.02 mL a voxel
SHAPE = (6, 20, 20)


def block(k: slice, j: slice, i: slice, value: int = 1) -> Volume:
    array = np.zeros(SHAPE, np.uint8)
    array[k, j, i] = value
    return Volume(array, SPACING)


EMPTY = block(slice(0), slice(0), slice(0))
SMALL = block(slice(1, 3), slice(5, 10), slice(5, 10))  # 50 voxels, 1 mL
LARGE = block(slice(1, 3), slice(5, 10), slice(5, 15))  # 100 voxels, 2 mL
BLOOD = block(slice(1, 3), slice(5, 10), slice(5, 10), 2)


def table(folder: Path, rows: list[tuple[str, str, Volume, str]], name: str = "ratings.csv") -> Path:
    lines = ["case_id,rater,path,kind"]
    for case_id, rater, mask, kind in rows:
        file = f"{case_id}-{rater}.nii.gz"
        write_image(mask, folder / file)
        lines.append(f"{case_id},{rater},{file},{kind}")
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def test_a_pair_by_hand() -> None:
    found = score_pair("case", ("A", "B"), (SMALL, LARGE), 1)
    assert found.dice == pytest.approx(2 * 50 / 150)
    assert (found.first_ml, found.second_ml) == pytest.approx((1.0, 2.0))
    assert found.lesion_f1 == 1
    assert found.assd_mm is not None
    assert found.assd_mm > 0
    # The right end of LARGE lies five voxels of 2 mm from SMALL.
    assert found.hd95_mm == pytest.approx(10, abs=2)


def test_lesion_f1_is_the_same_from_both_sides() -> None:
    # One large lesion of A over two of B: F1 is 1 seen from B's two lesions and from A's one.
    two = Volume(SMALL.array | block(slice(1, 3), slice(5, 10), slice(12, 15)).array, SPACING)
    lone = Volume(two.array | block(slice(5, 6), slice(18, 20), slice(18, 20)).array, SPACING)
    one, other = (score_pair("case", ("A", "B"), pair, 1).lesion_f1 for pair in ((LARGE, lone), (lone, LARGE)))
    assert one == other


def test_empty_masks_and_other_grids() -> None:
    nobody = score_pair("case", ("A", "B"), (EMPTY, EMPTY), 1)
    assert nobody.both_empty
    assert nobody.dice is None
    missed = score_pair("case", ("A", "B"), (SMALL, EMPTY), 1)
    assert (missed.dice, missed.lesion_f1, missed.assd_mm) == (0, 0, None)
    moved = Volume(SMALL.array, SPACING, origin=(1.0, 0.0, 0.0))
    apart = score_pair("case", ("A", "B"), (SMALL, moved), 1)
    assert not apart.same_grid
    assert apart.dice is None
    assert apart.first_ml == apart.second_ml == pytest.approx(1)


def test_the_class_of_a_label_map() -> None:
    assert class_of_labels(EMPTY.array) == "healthy"
    assert class_of_labels(SMALL.array) == "ischemic"
    assert class_of_labels(np.maximum(LARGE.array, BLOOD.array)) == "hemorrhagic"


def test_disagreement_is_the_part_of_pairs_that_differ() -> None:
    found = disagreement([SMALL, LARGE, BLOOD]).array
    # In SMALL all three pairs: ischemic twice, blood once, 2 of 3 pairs differ. In the rest of LARGE 1 against 0, 0.
    assert found[1, 5, 5] == pytest.approx(2 / 3)
    assert found[1, 5, 12] == pytest.approx(2 / 3)
    assert found[0, 0, 0] == 0
    assert disagreement([SMALL, BLOOD]).array[1, 5, 5] == 1
    assert not disagreement([SMALL, SMALL]).array.any()


def test_staple_finds_a_known_truth_and_how_good_each_rater_is() -> None:
    rng = np.random.default_rng(0)
    truth = np.zeros((20, 40, 40), bool)
    truth[6:14, 10:30, 12:28] = True
    rates = [(0.95, 0.99), (0.80, 0.95), (0.70, 0.90), (0.90, 0.97), (0.60, 0.99)]
    masks = [
        Volume(np.where(truth, rng.random(truth.shape) < found, rng.random(truth.shape) > right).astype(np.uint8))
        for found, right in rates
    ]
    consensus = staple_consensus(masks)
    assert consensus.sensitivity[1] == pytest.approx([found for found, _ in rates], abs=0.02)
    assert consensus.specificity[1] == pytest.approx([right for _, right in rates], abs=0.01)
    majority = np.sum([mask.array for mask in masks], axis=0) >= 3
    best_rater = max(dice(mask.array, truth) for mask in masks)
    assert dice(consensus.labels.array, truth) > max(best_rater, dice(majority, truth))


def test_consensus_of_several_labels_and_of_nothing() -> None:
    assert not staple_consensus([EMPTY, EMPTY]).labels.array.any()
    found = staple_consensus([SMALL, SMALL, BLOOD]).labels.array
    assert np.array_equal(found, SMALL.array)
    padded = [Volume(np.pad(one.array, 30), SPACING) for one in (SMALL, LARGE, LARGE)]
    plain = staple_consensus([SMALL, LARGE, LARGE]).labels.array
    assert np.array_equal(np.pad(plain, 30), staple_consensus(padded).labels.array)  # air around does not matter
    with pytest.raises(InputError, match="two or more"):
        staple_consensus([SMALL])
    with pytest.raises(InputError, match="one grid"):
        disagreement([SMALL, Volume(SMALL.array, (1.0, 1.0, 1.0))])


def test_a_whole_comparison(tmp_path: Path) -> None:
    rows = [
        ("case-1", "anna", SMALL, "reader"), ("case-1", "ben", LARGE, "reader"), ("case-1", "net", SMALL, "model"),
        ("case-2", "anna", EMPTY, "reader"), ("case-2", "ben", EMPTY, "reader"), ("case-2", "net", EMPTY, "model"),
        ("case-3", "anna", BLOOD, "reader"), ("case-3", "ben", SMALL, "reader"), ("case-3", "net", BLOOD, "model"),
        ("case-4", "anna", SMALL, "reader"),
        ("case-1", "key", SMALL, "reference"), ("case-2", "key", EMPTY, "reference"),
        ("case-3", "key", BLOOD, "reference"),
    ]  # fmt: skip
    out = tmp_path / "out"
    summary = agree(read_ratings_table(table(tmp_path, rows)), out, source="ratings.csv")
    assert json.loads((out / "agreement.json").read_text(encoding="utf-8")) == summary
    assert [(one["name"], one["kind"], one["cases"]) for one in summary["raters"]] == [
        ("anna", "reader", 4), ("ben", "reader", 3), ("net", "model", 3), ("key", "reference", 3),
    ]  # fmt: skip
    pairs = {(pair["first"], pair["second"]): pair for pair in summary["pairs"]}
    anna_ben = pairs["anna", "ben"]
    assert anna_ben["cases"] == 3
    ischemic, blood = anna_ben["labels"]
    # Case 1: 2/3; case 2: both empty; case 3: only ben marked ischemia.
    assert ischemic["dice"]["count"] == 2
    assert ischemic["dice"]["mean"] == pytest.approx((2 / 3 + 0) / 2)
    assert ischemic["both_empty"] == 1
    assert ischemic["assd_mm"]["count"] == 1
    # Differences 1 - 2, 0, 0 - 1 mL.
    assert ischemic["volume_difference_ml"]["bias"] == pytest.approx(-2 / 3)
    assert ischemic["volume_difference_ml"]["cases"] == 3
    assert blood["dice"] == {**blood["dice"], "count": 1, "mean": 0.0}
    # Classes of anna: i, h, b; of ben: i, h, i. Observed 2/3, chance (1*2 + 1*1 + 1*0) / 9 = 1/3.
    assert anna_ben["class"]["cohen_kappa"] == pytest.approx(0.5)
    assert anna_ben["class"]["table"] == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    (group,) = summary["groups"]
    assert group["raters"] == ["anna", "ben", "net"]
    assert group["class"]["cases"] == 3
    assert summary["consensus"]["raters"] == ["anna", "ben"]
    (study,) = summary["reader_study"]
    assert [(row["reader"], row["errors"], row["model_errors"]) for row in study["readers"]] == [
        ("anna", 0, 0), ("ben", 1, 0),
    ]  # fmt: skip
    assert any(note.startswith("1 case was rated by one rater only") for note in summary["notes"])
    assert read_image(out / "consensus-case-1.nii.gz").volume.same_grid(SMALL)
    where = read_image(out / "disagreement-case-1.nii.gz").volume
    assert np.count_nonzero(where.array) == 50
    assert not (out / "consensus-case-4.nii.gz").exists()
    with (out / "agreement.csv").open(encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert len(written) == 3 * 6 * 2  # cases, pairs of four raters, labels
    page = (out / "agreement.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 2  # cases 1 and 3
    assert "anna − ben: ischemic lesion" in page
    assert "<script" not in page


def test_groups_and_reference_by_name(tmp_path: Path) -> None:
    rows = [(f"case-{n}", rater, mask, "reader") for n, mask in enumerate((SMALL, LARGE, EMPTY)) for rater in "abcd"]
    ratings = read_ratings_table(table(tmp_path, rows))
    summary = agree(ratings, tmp_path / "out", groups=[["b", "c", "d"], ["a", "b"]], reference="d")
    assert [group["raters"] for group in summary["groups"]] == [["b", "c", "d"], ["a", "b"]]
    assert summary["consensus"]["raters"] == ["b", "c", "d"]
    assert summary["groups"][0]["labels"][0]["icc_2_1"] == {"cases": 3, "icc": pytest.approx(1), "ci95": None}
    assert {one["name"]: one["kind"] for one in summary["raters"]}["d"] == "reference"
    with pytest.raises(InputError, match="no rater is called nobody"):
        agree(ratings, tmp_path / "other", groups=[["a", "nobody"]])
    assert not (tmp_path / "other").exists()


def test_the_patient_not_the_case_is_drawn(tmp_path: Path) -> None:
    rows = [(f"case-{n}", rater, mask, "reader") for n in range(3) for rater, mask in (("a", SMALL), ("b", LARGE))]
    path = table(tmp_path, rows)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0] + ",patient_id", *[line + ",p" for line in lines[1:]]]), encoding="utf-8")
    summary = agree(read_ratings_table(path), tmp_path / "out")
    assert summary["patients"] == 1
    assert summary["pairs"][0]["labels"][0]["dice"]["ci95"] is None


def test_what_is_refused_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    one = table(tmp_path, [("case-1", "a", SMALL, "reader")], "one.csv")
    twice = table(tmp_path, [("case-1", "a", SMALL, "reader"), ("case-1", "a", SMALL, "reader")], "twice.csv")
    apart = table(tmp_path, [("case-1", "a", SMALL, "reader"), ("case-2", "b", SMALL, "reader")], "apart.csv")
    bad = tmp_path / "bad.csv"
    bad.write_text("case_id,rater\n", encoding="utf-8")
    gone = tmp_path / "gone.csv"
    gone.write_text("case_id,rater,path\nc,a,none.nii\nc,b,none.nii\n", encoding="utf-8")
    probability = table(tmp_path, [("case-1", "a", SMALL, "reader")], "p.csv")
    write_image(Volume(np.full(SHAPE, 0.3, np.float32), SPACING), tmp_path / "p.nii.gz")
    probability.write_text("case_id,rater,path\nc,a,p.nii.gz\nc,b,p.nii.gz\n", encoding="utf-8")
    for path, words in (
        (one, "two or more raters"), (twice, "twice"), (apart, "no case was rated by two"), (bad, "repair the header"),
        (gone, "none.nii"), (probability, "no label map"),
    ):  # fmt: skip
        assert main(["agreement", "--table", str(path), "--out", str(out)]) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith("strokeseg: ")
        assert words in error
    assert main(["agreement", "--out", str(out)]) == 2
    assert not out.exists()


def test_the_command_writes_json_and_replaces_only_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table(tmp_path, [("c", "a", SMALL, "reader"), ("c", "b", LARGE, "reader")])
    words = ["agreement", "--table", str(path), "--out", str(tmp_path / "out"), "--json"]
    assert main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["pairs"][0]["labels"][0]["dice"]["mean"] == pytest.approx(2 / 3)
    # One case: no limits of agreement, no ICC, no interval; said as such.
    assert printed["pairs"][0]["labels"][0]["volume_difference_ml"] is None
    assert printed["pairs"][0]["labels"][0]["icc_2_1"] == {"cases": 1, "icc": None, "ci95": None}
    assert main(words) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0
