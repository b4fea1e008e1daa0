"""``strokeseg ablate``: the rows say what the papers' rows say, share what they can, and stand beside the papers'."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from head_phantoms import ct_cases
from safetensors.torch import save_file

from StrokeSegLib.cli import main
from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.running import Members
from StrokeSegLib.networks import dpn92_unet
from StrokeSegLib.training.ablate import ablate, training_cases
from StrokeSegLib.training.ablate_rows import Row, ablation_rows, choose_rows
from StrokeSegLib.training.out_of_fold import member_count
from StrokeSegLib.training.presets import find_preset, with_settings
from StrokeSegLib.training.tables import NONCONTRAST_ABLATION, NONCONTRAST_OVERLAP, PROJECTIONS_DICE, THEIRS

SYSTEMS = ("noncontrast-ct", "three-projection")


def rows_of(system: str, *words: str) -> dict[str, Row]:
    return {row.key: row for row in ablation_rows(with_settings(find_preset(system, "paper"), words))}


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_row_of_the_papers_is_run_or_says_why_not(system: str) -> None:
    rows = rows_of(system).values()
    tables = {"noncontrast-ct": (NONCONTRAST_ABLATION, NONCONTRAST_OVERLAP), "three-projection": (PROJECTIONS_DICE,)}
    for table in tables[system]:
        assert {row.published for row in rows if row.table is table} - {None} == set(table.rows)
    assert len({row.key for row in rows}) == len(rows)
    preset = find_preset(system, "paper")
    for row in rows:
        assert bool(row.words) != bool(row.not_run), row.key
        with_settings(preset, row.words)  # each word is one that the preset knows


def test_the_two_changes_of_the_papers_last_row_are_run_apart() -> None:
    rows = rows_of("noncontrast-ct")
    before, both = set(rows["se"].words), set(rows["full"].words)
    assert both - before == {"norm=zscore_minmax_grey", "weighted_loss=true"}
    assert set(rows["standardization"].words) - before == {"norm=zscore_minmax_grey"}
    assert set(rows["weighted-loss"].words) - before == {"weighted_loss=true"}
    # And from row to row one thing is added, as in the paper.
    order = ["no-preprocessing", "preprocessing", "sampler", "residual", "se"]
    steps = [set(rows[b].words) - set(rows[a].words) for a, b in pairwise(order)]
    assert steps == [{"brain=components"}, {"sampler=labeled"}, {"residual=true"}, {"squeeze_excite=standard"}]


def test_rows_that_differ_in_inference_alone_share_their_networks() -> None:
    rows = rows_of("noncontrast-ct")
    assert {rows[key].training for key in ("overlap-25", "overlap-50", "overlap-75")} == {rows["full"].training}
    assert rows["overlap-75"].inference == {"overlap": 0.75, "blend": "constant"}
    rows = rows_of("three-projection")
    assert len({rows[key].training for key in ("coronal", "sagittal", "planes", "closing")}) == 1
    assert rows["coronal"].inference == {"projections": {"closing_radius_mm": 0.0, "k_axial": 1.0, "k_sagittal": 1.0}}
    assert rows["planes"].inference == {"projections": {"closing_radius_mm": 0.0}}
    assert rows["closing"].inference == {}
    assert rows["axial"].training != rows["healthy"].training
    assert rows["tta"].training == rows["axial"].training
    assert rows["tta"].inference == {**rows["axial"].inference, "mirror": True}


class Ramp:
    """A network whose answer is larger the further right and down a pixel lies, whatever the image."""

    name, device = "ramp", "cpu"

    def run(self, batch: np.ndarray) -> np.ndarray:
        rows, columns = np.indices(batch.shape[-2:])
        return np.broadcast_to((rows * 10 + columns).astype(np.float32), (len(batch), 1, *batch.shape[-2:]))


def test_mirror_images_are_turned_back_before_they_are_averaged() -> None:
    batch = np.zeros((2, 3, 2, 2), np.float32)
    found = Members([Ramp()], 1.0, "sigmoid", mirror=True).probability(batch)
    # Logits 0 1 / 10 11 as they are, 1 0 / 11 10 mirrored along rows, 10 11 / 0 1 along columns.
    p = {logit: 1 / (1 + np.exp(-logit)) for logit in (0, 1, 10, 11)}
    expected = np.array([[p[0] + p[1] + p[10], p[1] + p[0] + p[11]], [p[10] + p[11] + p[0], p[11] + p[10] + p[1]]]) / 3
    assert found.shape == (2, 1, 2, 2)
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-6)
    plain = Members([Ramp()], 1.0, "sigmoid").probability(batch)
    np.testing.assert_allclose(plain[1, 0], [[p[0], p[1]], [p[10], p[11]]], rtol=1e-6)


def test_the_ensemble_is_as_large_as_asked_for() -> None:
    assert rows_of("three-projection")["ensemble"].words[0] == "axial_members=6"
    assert rows_of("three-projection", "axial_members=3")["closing"].words[0] == "axial_members=3"
    assert rows_of("three-projection", "axial_members=3")["axial"].words[0] == "axial_members=1"


def test_rows_that_begin_with_weights_run_when_a_file_is_given_and_the_others_stay_random() -> None:
    words = ("encoder_weights=w.pth", "steps=100")
    preset = with_settings(find_preset("three-projection", "paper"), words)
    rows = {key: with_settings(preset, row.words) for key, row in rows_of("three-projection", *words).items()}
    assert {key for key, one in rows.items() if one.encoder_weights} == {"pretrained", "warm-up", "scse"}
    assert {key: one.frozen_steps for key, one in rows.items() if one.frozen_steps} == {"warm-up": 10}
    assert {key for key, one in rows.items() if one.scse} == {"scse"}
    assert all(rows[key].axial_members == 1 for key in ("pretrained", "warm-up", "scse"))
    warmed = rows_of("three-projection", *words, "frozen_steps=7")
    assert "frozen_steps=7" in warmed["warm-up"].words
    assert "frozen_steps=0" in warmed["pretrained"].words


def test_a_wrong_file_of_weights_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"no weights")
    words = [f"encoder_weights={tmp_path / 'w.safetensors'}"]
    with pytest.raises(InputError, match="no file of weights"):
        ablate("three-projection", ct_cases(tmp_path, [1, 2]), tmp_path / "out", words=words, folds=2)
    assert not (tmp_path / "out").exists()


def test_the_out_of_fold_ensemble_shares_no_network_with_the_other_and_has_at_most_one_member_a_patient(
    tmp_path: Path,
) -> None:
    rows = rows_of("three-projection")
    assert rows["oof"].words == rows["ensemble"].words
    assert rows["oof"].training != rows["ensemble"].training
    preset = with_settings(find_preset("three-projection", "paper"), rows["oof"].words)
    cases = ct_cases(tmp_path, [1] * 4)
    assert member_count(preset, cases) == 4
    assert member_count(preset, [*cases, *(replace(case, patient_id=f"{case.patient_id}-b") for case in cases)]) == 6
    assert member_count(with_settings(preset, ["axial_members=3"]), cases) == 3
    with pytest.raises(InputError, match="at least 2 patients"):
        member_count(preset, cases[:1])


def test_only_the_row_that_says_so_learns_from_healthy_cases(tmp_path: Path) -> None:
    cases = ct_cases(tmp_path, [1, 0, 2])
    rows = rows_of("three-projection")
    assert [case.case_id for case in training_cases(rows["axial"], cases, {"case-1"})] == ["case-0", "case-2"]
    assert training_cases(rows["healthy"], cases, {"case-1"}) == cases
    assert training_cases(rows_of("noncontrast-ct")["se"], cases, {"case-1"}) == cases


def test_unknown_rows_and_systems_without_an_ablation_are_refused(tmp_path: Path) -> None:
    rows = tuple(rows_of("noncontrast-ct").values())
    assert [row.key for row in choose_rows(rows, ["se", "sampler"])] == ["sampler", "se"]
    with pytest.raises(InputError, match=r"unknown row senet; known: no-preprocessing, .*overlap-75"):
        choose_rows(rows, ["senet"])
    with pytest.raises(InputError, match="no ablation"):
        ablate("mri", [], tmp_path / "out")


def test_rows_that_are_not_run_are_listed_with_the_reason_beside_the_papers_numbers(tmp_path: Path) -> None:
    cases = ct_cases(tmp_path, [1, 2])
    result = ablate("three-projection", cases, tmp_path / "out", rows=["pretrained", "healthy", "scse"], folds=2)
    assert [row["key"] for row in result["rows"]] == ["pretrained", "healthy", "scse"]
    text = (tmp_path / "out" / "ablation.txt").read_text(encoding="utf-8")
    assert "pretrained: not run, there are no ImageNet weights" in text
    assert text.count("give them by --set encoder_weights=FILE") == 2
    assert "+ healthy: not run, the table holds no case without a lesion" in text
    theirs = [line.split() for line in text.splitlines() if THEIRS in line]
    assert [line[4] for line in theirs] == ["0.652", "0.615", "0.654"]
    assert "(IH + 2 IS) / 3 is 0.535" in text


@pytest.mark.slow
def test_rows_from_ten_patients_to_the_table(tmp_path: Path) -> None:
    """One row of its own, and two that share their networks."""
    torch.set_num_threads(1)
    cases = ct_cases(tmp_path, [1] * 10)
    out, words = tmp_path / "out", ["steps=2", "batch_size=1", "width=0.125", "patch=16,32,32"]
    told: list[str] = []
    options = {"rows": ["sampler", "overlap-25", "overlap-50"], "words": words, "folds": 2, "device": "cpu"}
    result = ablate("noncontrast-ct", cases, out, **options)
    assert sorted(folder.name for folder in (out / "trained").iterdir()) == ["full", "sampler"]
    for key, residual in (("full", True), ("sampler", False)):
        for fold in (1, 2):
            run = json.loads((out / "trained" / key / f"fold-{fold}" / "run" / "run.json").read_text(encoding="utf-8"))
            assert run["settings"]["residual"] is residual
            assert (run["settings"]["steps"], run["data"]["cases"]) == (2, 5)
    for percent in (25, 50):
        for fold in (1, 2):
            row = out / "rows" / f"overlap-{percent}"
            card = json.loads((row / f"fold-{fold}-model" / "model.json").read_text(encoding="utf-8"))
            assert card["inference_settings"]["overlap"] == percent / 100
            summary = json.loads((row / f"fold-{fold}" / "summary.json").read_text(encoding="utf-8"))
            assert summary["data"]["cases"] == 5
    (apart, first, second) = result["rows"]
    assert apart["words"] != first["words"]
    assert len(first["ours"]["labels"]["ischemic lesion"]["dice"]["folds"]) == 2
    assert second["ours"]["seconds_per_case"]["mean"] > 0
    text = (out / "ablation.txt").read_text(encoding="utf-8")
    assert "paper, modified (steps=2, batch_size=1" in text
    ours = next(line.split() for line in text.splitlines() if line.startswith("overlap 50%"))
    dice = second["ours"]["labels"]["ischemic lesion"]["dice"]
    assert ours[3:6] == [f"{dice['mean']:.3f}", "±", f"{dice['sd']:.3f}"]
    theirs = next(line.split() for line in text.splitlines() if THEIRS in line and "0.622" in line)
    assert theirs[4:8] == ["90", "0.622", "±", "0.022"]
    # A second start has nothing left to do.
    again = ablate("noncontrast-ct", cases, out, progress=lambda stage, done, total: told.append(stage), **options)
    assert set(told) == {"check"}
    assert again == result


@pytest.mark.slow
def test_three_projection_rows_with_given_weights_and_out_of_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network of one block a stage: the rows are looked at, not the network."""
    torch.set_num_threads(1)
    monkeypatch.setattr(dpn92_unet, "STAGE_BLOCKS", (1, 1, 1, 1))
    weights, out = tmp_path / "w.safetensors", tmp_path / "out"
    save_file(dpn92_unet.DPN92Encoder(3, 0.0625).state_dict(), weights)
    cases = ct_cases(tmp_path, [1, 2, 1, 2])
    words = ["steps=2", "batch_size=2", "width=0.0625", "slice_pixels=32", "axial_members=2", "validate_every=2"]
    words.append(f"encoder_weights={weights}")
    options = {"rows": ["scse", "oof"], "words": words, "folds": 2, "device": "cpu"}
    result = ablate("three-projection", cases, out, **options)

    for fold in (1, 2):
        run = json.loads((out / "trained" / "scse" / f"fold-{fold}" / "run" / "run.json").read_text(encoding="utf-8"))
        assert (run["settings"]["scse"], run["settings"]["encoder_weights"]) == (True, str(weights))
        assert "the encoder begins with weights that were given" in run["notes"][0]

        folder = out / "trained" / "oof" / f"fold-{fold}"
        outer = json.loads((out / "folds.json").read_text(encoding="utf-8"))["folds"]
        first, second = json.loads((folder / "folds.json").read_text(encoding="utf-8"))["folds"]
        assert not set(first) & set(second)
        assert set(first) | set(second) == set(outer[2 - fold])  # all but the held-out ones
        for member, left_out in ((1, first), (2, second)):
            run = json.loads((folder / f"member-{member}" / "run.json").read_text(encoding="utf-8"))
            assert (run["data"]["cases"], run["data"]["left_out_by_split"]) == (2 - len(left_out), len(left_out))
            assert run["settings"]["seed"] == member
            assert run["settings"]["encoder_weights"] == ""
        card = json.loads((folder / "model" / "model.json").read_text(encoding="utf-8"))
        assert [network["name"] for network in card["networks"]] == ["axial-1", "axial-2"]
        assert len({network["sha256"] for network in card["networks"]}) == 2
        assert card["training"]["checkpoint"] == "best"
        assert card["data_source"].startswith("2 cases of 2 patients")

    assert [len(row["ours"]["both_dice"]["folds"]) for row in result["rows"]] == [2, 2]
    lines = (out / "ablation.txt").read_text(encoding="utf-8").splitlines()
    ours = next(n for n, line in enumerate(lines) if line.startswith("OOF ensemble of 2, no new data"))
    assert "0.5573" in lines[ours + 1]
    told: list[str] = []
    again = ablate("three-projection", cases, out, progress=lambda stage, done, total: told.append(stage), **options)
    assert set(told) == {"check"}
    assert again == result


def test_the_reader_study_is_printed_without_cases(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["ablate", "--reader-study"])
    assert ended.value.code == 0
    assert "3 after correction" in capsys.readouterr().out
