"""A study's folder: what is in it, what it refers to, and what never gets into it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from review_studies import LEFT, RIGHT, cases_on_disk, mask, small_study, write_model_result

from StrokeSegLib.case_table import Case
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.review import (
    accept,
    add_result,
    case_files,
    check_study,
    content_hash,
    correct,
    create_study,
    open_study,
    read_segmentation,
    sign,
    study_state,
)
from StrokeSegLib.volume import Volume

#: Who a DICOM series is of: name, id, date of birth and of the scan.
NAMED_TAGS = {"0010|0010": "DOE^JANE", "0010|0020": "MRN-4711", "0010|0030": "19500102", "0008|0020": "20240229"}


def test_a_study_lists_its_cases_in_the_tables_order_with_images_and_results(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    assert study.case_ids == ("case-001", "case-002", "case-003")
    assert study.case("case-002").images["adc"] == tmp_path / "images" / "adc-2.nii.gz"
    (result,) = study.results("case-002")
    assert (result.model, result.model_version, result.folder) == ("mri", "0.1.0", tmp_path / "results" / "case-002")
    assert result.version == content_hash(mask((LEFT, 3), (RIGHT, 2)))
    assert study.measurements(result)["total_volume_ml"] == pytest.approx((27 + 8) * 0.02)
    with pytest.raises(InputError, match="no case 'case-009'"):
        study.case("case-009")


def test_a_study_moves_together_with_its_images_and_results(tmp_path: Path) -> None:
    study = small_study(tmp_path / "here")
    correct(study, "AB", "case-001", mask((LEFT, 2)))
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = open_study(tmp_path / "there" / "study")
    assert case_files(moved, "AB", "case-001").version == content_hash(mask((LEFT, 2)))
    assert check_study(moved) == ()


def test_copied_results_need_no_result_folder_any_more(tmp_path: Path) -> None:
    results = tmp_path / "results"
    write_model_result(results / "case-001", mask((LEFT, 3)), [0.9])
    study = create_study(tmp_path / "study", cases_on_disk(tmp_path / "images", 2), results, copy=True)
    shutil.rmtree(results)
    (result,) = study.results("case-001")
    assert result.folder == study.folder / "cases" / "case-001" / "models" / f"mri-{result.version[:8]}"
    assert int(read_segmentation(study, "case-001", result.version).array.sum()) == 27
    assert study.results("case-002") == ()
    assert check_study(study) == ()


def test_a_result_that_was_changed_since_is_refused_and_named_by_check(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    write_image(mask((LEFT, 2)), tmp_path / "results" / "case-001" / "lesion.nii.gz")
    with pytest.raises(InputError, match="holds another mask"):
        read_segmentation(study, "case-001", study.results("case-001")[0].version)
    (finding,) = check_study(study)
    assert finding.path.startswith("cases/case-001/models/mri-")


def test_a_second_result_of_the_same_model_with_the_same_mask_changes_nothing(tmp_path: Path) -> None:
    study = small_study(tmp_path)
    write_model_result(tmp_path / "again", mask((LEFT, 3)), [0.9])
    write_model_result(tmp_path / "other", mask((LEFT, 2)), [0.9])
    add_result(study, "case-001", tmp_path / "again")
    assert [result.folder.name for result in study.results("case-001")] == ["case-001"]
    add_result(study, "case-001", tmp_path / "other")
    assert len(study.results("case-001")) == 2


def test_patient_ids_truth_and_splits_of_the_table_stay_out_or_become_numbers(tmp_path: Path) -> None:
    cases = [replace(case, split="train") for case in cases_on_disk(tmp_path / "images", 3)]
    truth = tmp_path / "images" / "expert.nii.gz"
    write_image(mask((LEFT, 2)), truth)
    cases[0] = replace(cases[0], lesion=truth)
    study = create_study(tmp_path / "study", cases)
    assert [case.patient for case in study.cases] == ["patient-001", "patient-001", "patient-002"]
    assert {case.split for case in study.cases} == {"train"}
    written = "".join(path.read_text() for path in study.folder.rglob("*.json"))
    assert "MRN" not in written
    assert "expert" not in written


def write_named_series(folder: Path) -> None:
    """Three slices of a CT of Jane Doe."""
    folder.mkdir(parents=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k in range(3):
        image = sitk.GetImageFromArray(np.full((1, 16, 16), 30, np.int16))
        place = {"0020|0032": f"0\\0\\{5 * k}", "0020|0037": "1\\0\\0\\0\\1\\0", "0020|0013": str(k)}
        series = {"0020|000e": "1.2.826.0.1.3680043.8.498.77", "0008|0060": "CT"}
        for tag, value in (NAMED_TAGS | place | series).items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{k}.dcm"))
        writer.Execute(image)


def test_nothing_of_a_dicom_header_is_written(tmp_path: Path) -> None:
    series = tmp_path / "series"
    write_named_series(series)
    study = create_study(tmp_path / "study", [Case("case-001", "DOE19500102", {"ct": series})])
    grid = read_image(study.case("case-001").images["ct"]).volume
    correct(study, "AB", "case-001", grid.with_array((grid.array > 0).astype(np.uint8)))
    accept(study, "AB", "case-001")
    sign(study, "AB", "case-001")
    study_state(open_study(study.folder))
    files = [path for path in study.folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".nrrd", ".sqlite"}
    secrets = [*NAMED_TAGS.values(), "JANE", "DOE", "1.2.826.0.1.3680043.8.498.77"]
    for path in files:
        text = str(path) + path.read_bytes().decode("latin-1")
        assert not [secret for secret in secrets if secret in text.removeprefix(str(tmp_path))], path


@pytest.mark.parametrize("name", ["Jane Doe", "../up", "", "a" * 65, "CON", "case.1", "ä"])
def test_names_that_are_no_folder_names_or_may_be_a_persons_are_refused(tmp_path: Path, name: str) -> None:
    study = small_study(tmp_path, 1)
    with pytest.raises(InputError, match="no name for a reader"):
        correct(study, name, "case-001", mask())
    with pytest.raises(InputError, match="no name for a case"):
        create_study(tmp_path / "new", [replace(cases_on_disk(tmp_path, 1)[0], case_id=name)])
    assert not (tmp_path / "new").exists()
    assert study_state(study) == {}


def test_readers_that_differ_only_in_case_would_share_a_folder_on_some_systems(tmp_path: Path) -> None:
    study = small_study(tmp_path, 1)
    correct(study, "AB", "case-001", mask())
    with pytest.raises(InputError, match="differs only in upper and lower case"):
        correct(study, "ab", "case-001", mask())


def test_a_study_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    cases = cases_on_disk(tmp_path / "images", 2)
    (tmp_path / "results" / "case-002").mkdir(parents=True)
    (tmp_path / "results" / "case-002" / "measurements.json").write_text("{")
    with pytest.raises(InputError, match=r"measurements\.json"):
        create_study(tmp_path / "study", cases, tmp_path / "results")
    cases[1].images["adc"].unlink()
    with pytest.raises(InputError, match=r"case-002: .*does not exist"):
        create_study(tmp_path / "study", cases)
    with pytest.raises(InputError, match="in use"):
        create_study(tmp_path / "images", cases)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "results"]
    with pytest.raises(InputError, match=r"no study\.json"):
        open_study(tmp_path)


def random_grids() -> list[Volume]:
    """Grids as scanners give them: tilted, left-handed, far from the center, with spacings of many digits."""
    rng, grids = np.random.default_rng(3), []
    for number in range(12):
        turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        array = (rng.random((3, 4, 5)) < 0.5).astype(np.uint8)
        spacing, origin = rng.uniform(0.3, 6, 3).round(number), rng.uniform(-200, 200, 3)
        spacing = spacing + 0.1
        grids.append(Volume(array, tuple(spacing), tuple(origin), turned))
    return grids


def test_the_same_mask_has_the_same_name_before_and_after_it_is_stored(tmp_path: Path) -> None:
    cases = cases_on_disk(tmp_path / "images", 1)
    study = create_study(tmp_path / "study", cases)
    for number, labels in enumerate(random_grids()):
        reader = f"R{number}"
        version = correct(study, reader, "case-001", labels).version
        assert version == content_hash(labels)
        kept = read_segmentation(study, "case-001", version)
        assert content_hash(kept) == version
        assert kept.same_grid(labels)
        assert np.array_equal(kept.array, labels.array)
        assert correct(study, reader, "case-001", kept).version == version
        assert len(list(study.segmentations(reader).iterdir())) == 1


def test_another_voxel_value_shape_or_grid_has_another_name() -> None:
    one = mask((LEFT, 2))
    versions = {
        content_hash(one),
        content_hash(one.with_array(one.array * 2)),
        content_hash(one.with_array(one.array[::-1])),
        content_hash(Volume(one.array.reshape(20, 8, 20), one.spacing_mm, one.origin, one.direction)),
        content_hash(Volume(one.array, (2.0, 2.0, 5.001), one.origin, one.direction)),
        content_hash(Volume(one.array, one.spacing_mm, (-19.3, 7.7, 12.2), one.direction)),
    }
    assert len(versions) == 6
    as_bool, as_float = one.with_array(one.array > 0), one.with_array(one.array.astype(np.float32))
    assert content_hash(as_bool) == content_hash(as_float) == content_hash(one)
    with pytest.raises(InputError, match="whole numbers from 0 to 255"):
        content_hash(one.with_array(one.array * 0.5))
    with pytest.raises(InputError, match="whole numbers from 0 to 255"):
        content_hash(one.with_array(one.array.astype(np.int16) - 1))


def test_of_a_mask_that_two_readers_made_one_file_is_enough(tmp_path: Path) -> None:
    study = small_study(tmp_path, 1)
    version = correct(study, "AB", "case-001", mask((LEFT, 2))).version
    assert version is not None
    path = study.segmentations("AB") / f"{version}.seg.nrrd"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError):
        read_segmentation(study, "case-001", version)
    other = correct(study, "CD", "case-001", mask((LEFT, 2)))
    assert other.version == version
    assert np.array_equal(read_segmentation(study, "case-001", version).array, mask((LEFT, 2)).array), "that of CD"
    correct(study, "EF", "case-001", mask((LEFT, 2)))
    (study.segmentations("CD") / path.name).unlink()
    (study.segmentations("EF") / path.name).unlink()
    with pytest.raises(InputError):
        correct(study, "AB", "case-001", mask((LEFT, 3)))
