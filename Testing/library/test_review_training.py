"""The whole circle: a model segments, a reader corrects and accepts, the model learns from it and gets better."""

from __future__ import annotations

import json
from pathlib import Path

import head_phantoms
import numpy as np
import pytest
import torch

from StrokeSegLib.case_table import Case, read_case_table, table_sha256
from StrokeSegLib.cli import main
from StrokeSegLib.io import read_image
from StrokeSegLib.metrics import dice
from StrokeSegLib.models import load_card
from StrokeSegLib.review import accept, close_case, correct, create_study, open_case, sign
from StrokeSegLib.segmentation import segment

pytestmark = pytest.mark.slow

#: Infarcts of two weeks: DWI a little bright, ADC as in healthy tissue. The bundled model is trained on acute ones.
SUBACUTE = {"dwi": (0.0, 300.0, 390.0), "adc": (0.0, 800.0, 800.0)}
REVIEWED, HELD_OUT = 4, 3
SETTINGS = ("crop=64", "batch_size=2", "steps=30", "warmup_steps=3", "ema=0.8", "validate_every=0", "seed=1")


def inputs_of(case: Case) -> dict[str, Path]:
    return {role: case.images[role] for role in ("dwi", "adc")}


def mean_dice(model: str, cases: list[Case]) -> float:
    scores = []
    for case in cases:
        assert case.lesion is not None
        found = segment(inputs_of(case), model, "cpu").labels.array > 0
        scores.append(dice(found, read_image(case.lesion).volume.array > 0))
    return float(np.mean(scores))


def test_a_model_learns_from_a_review_and_gets_better_on_heads_that_nobody_reviewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    for role, values in SUBACUTE.items():
        monkeypatch.setitem(head_phantoms.DIFFUSION, role, values)
    cases = head_phantoms.mri_cases(tmp_path, [1] * (REVIEWED + HELD_OUT))
    reviewed, held_out = cases[:REVIEWED], cases[REVIEWED:]

    for case in reviewed:
        segment(inputs_of(case), "mri", "cpu").write(tmp_path / "results" / case.case_id)
    study = create_study(tmp_path / "study", reviewed, tmp_path / "results")
    for number, case in enumerate(reviewed):
        reader = ("AB", "CD")[number % 2]
        assert case.lesion is not None
        open_case(study, reader, case.case_id)
        correct(study, reader, case.case_id, read_image(case.lesion).volume)
        accept(study, reader, case.case_id)
        sign(study, reader, case.case_id)
        close_case(study, reader, case.case_id, 60)

    table, run, model = tmp_path / "reviewed.csv", tmp_path / "run", tmp_path / "model"
    assert main(["review", "table", str(study.folder), "--out", str(table)]) == 0
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    train = ["train", "--system", "mri", "--data", str(table), "--out", str(run), "--init", "mri", "--device", "cpu"]
    assert main([*train, *words]) == 0
    assert main(["export", "--model", str(run), "--format", "model", "--out", str(model)]) == 0

    said = json.loads((model / "model.json").read_text(encoding="utf-8"))
    digest = table_sha256(read_case_table(table))
    assert said["data_source"] == (
        "4 cases of 4 patients, images of the user's own; the truth of 4 was corrected or accepted in a review by "
        f"2 readers (SHA-256 of the case table {digest})"
    )
    assert said["description"].endswith("beginning with the weights of mri")
    assert digest in (model / "README.md").read_text(encoding="utf-8")
    assert load_card(model).id == "model"
    before, after = mean_dice("mri", held_out), mean_dice(str(model), held_out)
    assert after > before, (before, after)
