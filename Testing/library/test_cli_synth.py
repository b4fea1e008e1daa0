"""``strokeseg synth``: sets that are whole or go on where they stopped, the same for the same seed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from StrokeSegLib.case_table import read_case_table
from StrokeSegLib.cli import DONE, WRONG_INPUT, main
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image
from StrokeSegLib.report.overlay import LABEL_COLORS
from StrokeSegLib.synth.anatomy import Head, Tissue
from StrokeSegLib.synth.sources import Sources, mirrored
from StrokeSegLib.synth_set import ADC_UNITS, SetSettings, adc_unit, make_numbered, write_set

CTP = SetSettings("ctp", seed=5)


def _ball_head() -> Head:
    axis = np.arange(40) * 2 - 39
    distance = axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2
    tissue = np.zeros((40,) * 3, np.uint8)
    for radius, kind in ((38, Tissue.BONE), (34, Tissue.CSF), (32, Tissue.CORTEX), (26, Tissue.WHITE_MATTER)):
        tissue[distance <= radius**2] = kind
    return Head(tissue, 4.0)


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources((_ball_head(),), None, procedural_chance=0.0)


def _contents(folder: Path) -> dict[str, str]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def whole(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "set"
    write_set(out, CTP, sources, count=3)
    return out


def test_a_set_is_a_case_table_with_images_and_truth_on_one_grid(whole: Path) -> None:
    cases = read_case_table(whole / "cases.csv")
    assert [case.case_id for case in cases] == ["ctp-5-00000", "ctp-5-00001", "ctp-5-00002"]
    assert {case.patient_id for case in cases} == {"head-000"}  # one head, one patient
    for case in cases:
        assert list(case.images) == ["ct", "cbf", "cbv", "mtt", "tmax"]
        assert case.lesion is not None
        truth = read_image(case.lesion).volume
        assert set(np.unique(truth.array)) <= {0, 1, 3}
        assert all(read_image(image).volume.same_grid(truth) for image in case.images.values())


def test_a_broken_off_set_goes_on_and_ends_the_same(whole: Path, sources: Sources, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(stage: str, done: int, total: int) -> None:
        assert (stage, total) == ("cases", 3)
        if done == 2:
            raise StopError

    with pytest.raises(StopError):
        write_set(tmp_path / "set", CTP, sources, count=3, progress=stop)
    assert not (tmp_path / "set" / "cases.csv").exists()
    assert not list((tmp_path / "set").glob(".*"))
    kept = _contents(tmp_path / "set")
    assert sum(name.startswith("truth/") and name.endswith(".json") for name in kept) == 2
    seen: list[int] = []
    write_set(tmp_path / "set", CTP, sources, count=3, progress=lambda stage, done, total: seen.append(done))
    assert seen == [2, 3]
    assert _contents(tmp_path / "set") == _contents(whole)


def test_processes_do_not_change_the_set(whole: Path, sources: Sources, tmp_path: Path) -> None:
    write_set(tmp_path / "set", CTP, sources, count=3, processes=2)
    assert _contents(tmp_path / "set") == _contents(whole)


def test_a_set_grows_and_another_seed_is_another_set(whole: Path, sources: Sources, tmp_path: Path) -> None:
    write_set(tmp_path / "set", CTP, sources, count=1)
    write_set(tmp_path / "set", CTP, sources, count=3)
    assert _contents(tmp_path / "set") == _contents(whole)
    assert (
        make_numbered(SetSettings("ctp", 6), sources, 0)[0].parameters != make_numbered(CTP, sources, 0)[0].parameters
    )


def test_what_is_no_such_set_is_left_alone(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.nii.gz").write_text("mine")
    for force in (False, True):
        with pytest.raises(InputError, match="no generated set"):
            write_set(tmp_path, CTP, sources, count=1, force=force)
    assert _contents(tmp_path).keys() == {"images/mine.nii.gz"}


def test_other_settings_need_force_and_replace_the_set(sources: Sources, tmp_path: Path) -> None:
    write_set(tmp_path / "set", CTP, sources, count=2)
    before = _contents(tmp_path / "set")
    other = SetSettings("ctp", seed=6)
    with pytest.raises(InputError, match="other settings"):
        write_set(tmp_path / "set", other, sources, count=1)
    assert _contents(tmp_path / "set") == before
    write_set(tmp_path / "set", other, sources, count=1, force=True)
    assert not any("ctp-5" in name for name in _contents(tmp_path / "set"))
    assert len(read_case_table(tmp_path / "set" / "cases.csv")) == 1


def test_all_cases_can_be_healthy(sources: Sources) -> None:
    for modality in ("ctp", "mri", "ct"):
        case, _, _ = make_numbered(SetSettings(modality, 1, healthy=1.0), sources, 0)
        assert not case.truth.array.any(), modality


def test_adc_comes_in_three_units_and_the_record_says_which(sources: Sources) -> None:
    settings = SetSettings("mri", 2)
    number_of = {adc_unit(settings, number): number for number in range(30)}
    assert set(number_of) == set(ADC_UNITS)
    case, _, _ = make_numbered(settings, sources, number_of[0.001])  # mm2/s
    assert case.parameters["adc_unit"] == 0.001
    adc = case.images["adc"].array
    brain = adc[(adc > 0.3e-3) & (adc < 4e-3)]
    assert 0.5e-3 < np.median(brain) < 1.5e-3


def test_the_series_comes_with_the_maps_behind_it(sources: Sources, tmp_path: Path) -> None:
    write_set(tmp_path / "set", SetSettings("ctp", 9, series=True), sources, count=1)
    name = tmp_path / "set" / "series" / "ctp-9-00000"
    series = sitk.ReadImage(f"{name}_series.nii.gz")
    truth = {role: read_image(f"{name}_true_{role}.nii.gz").volume for role in ("cbf", "cbv", "mtt", "tmax")}
    assert series.GetDimension() == 4
    assert series.GetSize()[:3] == truth["cbf"].size_ijk
    assert series.GetSpacing()[3] == pytest.approx(1.0)
    flows = truth["cbf"].array > 1
    assert np.allclose(truth["mtt"].array[flows], 60 * truth["cbv"].array[flows] / truth["cbf"].array[flows], rtol=1e-4)
    lines = Path(f"{name}_curves.csv").read_text().splitlines()
    assert lines[0] == "time_s,arterial_hu,venous_hu"
    assert len(lines) == 1 + series.GetSize()[3]
    # The maps of the case are those of the same case without its series.
    alone = make_numbered(SetSettings("ctp", 9), sources, 0)[0]
    assert np.array_equal(read_image(tmp_path / "set/truth/ctp-9-00000.nii.gz").volume.array, alone.truth.array)


def test_mirroring_a_head_twice_gives_the_head() -> None:
    head = Head(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), 2.0, np.arange(12.0).reshape(3, 4))
    twice = mirrored(mirrored(head))
    assert np.array_equal(twice.tissue, head.tissue)
    assert twice.to_template == pytest.approx(head.to_template)
    # The voxel at x = 0 of the mirror image is the head's last, at 6 mm.
    assert mirrored(head).to_template @ [0, 0, 0, 1] == pytest.approx(head.to_template @ [6, 0, 0, 1])


def test_the_command_writes_a_set_and_refuses_wrong_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "set")
    assert main(["synth", "--modality", "ctp", "--count", "1", "--out", out, "--processes", "1"]) == DONE
    assert "progress cases 1 1" in capsys.readouterr().err
    assert len(read_case_table(tmp_path / "set" / "cases.csv")) == 1
    for words in (
        ["--modality", "xray"],
        [],
        ["--modality", "mri", "--series"],
        ["--modality", "ctp", "--healthy", "1.5"],
        ["--modality", "ctp", "--count", "0"],
        ["--modality", "ctp", "--lesions", str(tmp_path)],
        ["--modality", "ctp", "--anatomy", str(tmp_path)],
        ["--modality", "ctp", "--processes", "0"],
    ):
        other = tmp_path / "other"
        assert main(["synth", *words, "--out", str(other)]) == WRONG_INPUT, words
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
        assert not other.exists()


def test_a_gallery_shows_images_and_truth(tmp_path: Path, sources: Sources) -> None:
    from StrokeSegLib.report.gallery import write_gallery

    file = write_gallery(tmp_path, SetSettings("ctp", 4, healthy=0.0), sources, count=2)
    pixels = np.asarray(Image.open(file)).reshape(-1, 3)
    assert (pixels == LABEL_COLORS[1]).all(axis=1).any()
    with pytest.raises(InputError, match="--force"):
        write_gallery(tmp_path, CTP, sources, count=1)


def test_the_benchmark_prints_volumes_per_second(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "synth", "--modality", "ctp", "--count", "1", "--json"]) == DONE
    measured = json.loads(capsys.readouterr().out)
    assert {name for name in measured if "cuda" not in name} == {"synth-head", "synth-ctp"}
    ctp = measured["synth-ctp"]
    assert ctp["volumes_per_second"] == pytest.approx(ctp["volumes_per_case"] / ctp["seconds_per_case"])


def test_sets_are_made_without_torch() -> None:
    words = "import sys, StrokeSegLib.synth_set, StrokeSegLib.report.gallery; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", words], check=True)
