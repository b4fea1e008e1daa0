"""A table that cannot be trained on is refused before anything is written; what a preset reads decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from head_phantoms import ct_cases, mri_cases

from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.training.ablate import ablate
from StrokeSegLib.training.crossval import cross_validate
from StrokeSegLib.training.data import check_data
from StrokeSegLib.training.presets import find_preset, with_settings
from StrokeSegLib.training.recipes import recipe_for

CT = recipe_for(find_preset("noncontrast-ct", "paper"))
MRI_PAPER = find_preset("mri", "paper")


def flair_cases(folder: Path) -> list[Case]:
    """Two patients of whom there is FLAIR and no diffusion."""
    return [replace(c, images={"flair": c.images["dwi"]}) for c in mri_cases(folder, [1, 1])]


def test_the_sequence_that_a_preset_reads_is_enough(tmp_path: Path) -> None:
    cases = flair_cases(tmp_path)
    check_data(cases, recipe_for(MRI_PAPER))
    with pytest.raises(InputError, match="case-0: has no t1, which mri requires"):
        check_data(cases, recipe_for(with_settings(MRI_PAPER, ["sequence=t1"])))
    with pytest.raises(InputError, match="case-0: has no dwi, adc, which mri requires"):
        check_data(cases, recipe_for(find_preset("mri", "bundled")))


def test_cross_validation_asks_for_that_sequence_alone(tmp_path: Path) -> None:
    cases = flair_cases(tmp_path)
    with pytest.raises(InputError, match="2 patients can not be split 3 ways"):  # the images were fine
        cross_validate(MRI_PAPER, cases, tmp_path / "out", folds=3)
    with pytest.raises(InputError, match="case-1: has no t2, which mri requires"):
        cross_validate(with_settings(MRI_PAPER, ["sequence=t2"]), cases, tmp_path / "out", folds=2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("training", ["train", None])
@pytest.mark.parametrize("other", ["val", "test"])
def test_a_patient_of_another_split_is_not_trained_on(training: str | None, other: str, tmp_path: Path) -> None:
    cases = [replace(c, split=s) for c, s in zip(ct_cases(tmp_path, [1, 1]), (training, other), strict=True)]
    check_data(cases, CT)
    cases[1] = replace(cases[1], patient_id=cases[0].patient_id)
    with pytest.raises(InputError, match=f"patient patient-0 is in {' and '.join(sorted(['train', other]))}"):
        check_data(cases, CT)


def test_images_of_the_test_split_need_not_be_here(tmp_path: Path) -> None:
    cases = [replace(c, split=s) for c, s in zip(ct_cases(tmp_path, [1, 1]), ("train", "test"), strict=True)]
    cases[1] = replace(cases[1], lesion=None)
    cases[1].images["ct"].unlink()
    check_data(cases, CT)
    with pytest.raises(InputError, match=r"case-1: has no lesion mask .* and ct: .* does not exist"):
        check_data([replace(c, split=None) for c in cases], CT)


def test_a_table_without_training_cases_says_so(tmp_path: Path) -> None:
    cases = [replace(c, split="test") for c in ct_cases(tmp_path, [1])]
    with pytest.raises(InputError, match="none of the 1 cases is of split train"):
        check_data(cases, CT)


def test_an_ablation_opens_its_images_first(tmp_path: Path) -> None:
    cases = ct_cases(tmp_path, [1, 1])
    cases[1].images["ct"].write_bytes(b"no image")
    with pytest.raises(InputError, match="1 of 2 cases can not be used for noncontrast-ct"):
        ablate("noncontrast-ct", cases, tmp_path / "out", folds=2)
    assert not (tmp_path / "out").exists()
