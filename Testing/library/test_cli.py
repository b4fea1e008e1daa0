"""The ``strokeseg`` command as a process: results, one-line errors, exit codes, kills."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from StrokeSegLib.demo import demo_case
from StrokeSegLib.io import write_image
from StrokeSegLib.models import models_folder

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "StrokeSegLib"]
#: A line as the user meets it: what is wrong in one line that starts with the program's name.
Run = Callable[..., subprocess.CompletedProcess[str]]


def strokeseg(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*COMMAND, *map(str, words)], capture_output=True, text=True, env=environment, check=False, **options
    )


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with dwi.nii.gz and adc.nii.gz of a generated head."""
    folder = tmp_path_factory.mktemp("images")
    for role, volume in demo_case().images.items():
        write_image(volume, folder / f"{role}.nii.gz")
    return folder


def pair(folder: Path) -> list[str]:
    return [f"dwi={folder / 'dwi.nii.gz'}", f"adc={folder / 'adc.nii.gz'}"]


def test_segment_writes_results_and_prints_json(images: Path, tmp_path: Path) -> None:
    done = strokeseg("segment", "--model", "mri", *pair(images), "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed == json.loads((tmp_path / "out" / "measurements.json").read_text(encoding="utf-8"))
    assert printed["model"] == "mri"
    assert printed["total_volume_ml"] > 1
    assert printed["inputs"]["dwi"]["path"] == str(images / "dwi.nii.gz")
    assert "progress network" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("strokeseg: ")


def test_segment_needs_no_torch(images: Path, tmp_path: Path) -> None:
    """Any import of torch, monai or vtk raises here."""
    block = "import sys; sys.modules.update(torch=None, monai=None, vtk=None)"
    code = f"{block}; from StrokeSegLib.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "segment", "--model", "mri", *pair(images), "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "lesion.nii.gz").is_file()


def test_models_lists_what_is_bundled() -> None:
    listed = json.loads(strokeseg("models", "--json").stdout)
    mri = next(model for model in listed if model["id"] == "mri")
    assert set(mri) >= {"id", "system", "inputs", "minimum_inputs", "labels", "version", "licence", "sha256"}
    assert mri["inputs"] == [{"role": "dwi", "required": True}, {"role": "adc", "required": True}]
    assert mri["labels"] == [{"value": 1, "name": "ischemic lesion"}]
    assert "mri" in strokeseg("models").stdout


def test_import_is_light() -> None:
    code = (
        "import sys, StrokeSegLib; print([m for m in ('torch', 'SimpleITK', 'openvino', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_demo_finds_draws_and_can_be_repeated(tmp_path: Path) -> None:
    for _ in range(2):
        done = strokeseg("demo", "--out", tmp_path / "demo")
        assert done.returncode == 0, done.stderr
    assert "Dice, on a generated image" in done.stdout
    names = {file.name for file in (tmp_path / "demo").iterdir()}
    results = {"truth.nii.gz", "lesion.nii.gz", "overlay.png", "measurements.json"}
    assert names >= {"dwi.nii.gz", "adc.nii.gz", *results}
    assert {file.name for file in (tmp_path / "demo" / "ct").iterdir()} >= {"ct.nii.gz", *results}
    found = json.loads((tmp_path / "demo" / "ct" / "measurements.json").read_text())["lesions"]
    assert max(found, key=lambda lesion: lesion["volume_ml"])["label"] == 2  # the head has a bleed
    of_perfusion = {file.name for file in (tmp_path / "demo" / "ct-perfusion").iterdir()}
    assert of_perfusion >= {"ct.nii.gz", "cbf.nii.gz", "cbv.nii.gz", "mtt.nii.gz", "tmax.nii.gz", *results}
    perfusion = json.loads((tmp_path / "demo" / "ct-perfusion" / "measurements.json").read_text())["perfusion"]
    assert perfusion["core_ml"] > 0
    assert perfusion["mismatch_ratio"] >= 1


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2, nothing on stdout, one line about it at the end of stderr."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("progress ")]
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("strokeseg: ")
    for word in words:
        assert word in lines[0], lines[0]


WORDS = {
    "no command": ([], ["COMMAND"]),
    "unknown command": (["find"], ["find"]),
    "no model": (["segment", "dwi=a", "--out", "o"], ["--model"]),
    "unknown model": (["segment", "--model", "brain", "dwi=a", "adc=b", "--out", "o"], ["brain", "known:", "mri"]),
    "not role=path": (["segment", "--model", "mri", "a.nii.gz", "--out", "o"], ["ROLE=PATH"]),
    "role without path": (["segment", "--model", "mri", "dwi=", "--out", "o"], ["ROLE=PATH"]),
    "role missing": (["segment", "--model", "mri", "dwi=a", "--out", "o"], ["needs adc", "got dwi"]),
    "role unknown": (["segment", "--model", "mri", "dwi=a", "adc=b", "pet=c", "--out", "o"], ["does not take pet"]),
    "role of another model": (["segment", "--model", "mri", "ct=a", "--out", "o"], ["does not take ct", "dwi, adc"]),
    "role doubled": (["segment", "--model", "mri", "dwi=a", "dwi=b", "--out", "o"], ["twice", "a", "b"]),
    "threshold no number": (
        ["segment", "--model", "mri", "dwi=a", "adc=b", "--out", "o", "--threshold", "x"],
        ["--threshold"],
    ),
    "missing file": (["segment", "--model", "mri", "dwi=a.nii", "adc=b.nii", "--out", "o"], ["a.nii", "not exist"]),
}


@pytest.mark.parametrize("name", WORDS)
def test_wrong_words_get_one_line_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    words, expected = WORDS[name]
    refused(strokeseg(*words, cwd=tmp_path), *expected)
    assert list(tmp_path.iterdir()) == []


def segmented(tmp_path: Path, dwi: Path, adc: Path, **options: object) -> subprocess.CompletedProcess[str]:
    out = tmp_path / "out"
    done = strokeseg("segment", "--model", "mri", f"dwi={dwi}", f"adc={adc}", "--out", out, **options)
    if done.returncode:
        assert not out.exists()
        assert not list(tmp_path.glob(".out*"))
    return done


def test_a_truncated_file_is_refused(images: Path, tmp_path: Path) -> None:
    broken = tmp_path / "dwi.nii.gz"
    broken.write_bytes((images / "dwi.nii.gz").read_bytes()[:50_000])
    refused(segmented(tmp_path, broken, images / "adc.nii.gz"), "dwi.nii.gz")


def test_a_text_file_is_refused(images: Path, tmp_path: Path) -> None:
    text = tmp_path / "dwi.nii"
    text.write_text("not an image")
    refused(segmented(tmp_path, text, images / "adc.nii.gz"), "dwi.nii")


def test_an_empty_folder_is_refused(images: Path, tmp_path: Path) -> None:
    (tmp_path / "dicom").mkdir()
    refused(segmented(tmp_path, tmp_path / "dicom", images / "adc.nii.gz"), "dicom")


def changed(images: Path, role: str, path: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    image = nibabel.load(images / f"{role}.nii.gz")
    nibabel.save(nibabel.Nifti1Image(change(np.asarray(image.dataobj)), image.affine), path)
    return path


def test_an_image_of_nan_is_refused(images: Path, tmp_path: Path) -> None:
    nan = changed(images, "adc", tmp_path / "adc.nii.gz", lambda a: np.full_like(a, np.nan))
    refused(segmented(tmp_path, images / "dwi.nii.gz", nan), "NaN")


def test_some_nan_is_allowed_and_said(images: Path, tmp_path: Path) -> None:
    def some(a: np.ndarray) -> np.ndarray:
        a = a.copy()
        a[:2] = np.nan
        return a

    holes = changed(images, "adc", tmp_path / "adc.nii.gz", some)
    done = segmented(tmp_path, images / "dwi.nii.gz", holes)
    assert done.returncode == 0, done.stderr
    assert "NaN" in (tmp_path / "out" / "measurements.json").read_text()


def test_a_4d_image_is_refused_naming_the_volume_to_extract(images: Path, tmp_path: Path) -> None:
    four = changed(images, "dwi", tmp_path / "dwi.nii.gz", lambda a: np.stack([a * 4, a], axis=-1))
    refused(segmented(tmp_path, four, images / "adc.nii.gz"), "dwi.nii.gz", "2 volumes")


def test_images_of_different_places_are_refused(images: Path, tmp_path: Path) -> None:
    image = nibabel.load(images / "adc.nii.gz")
    affine = image.affine.copy()
    affine[:3, 3] += 1000
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), tmp_path / "adc.nii.gz")
    refused(segmented(tmp_path, images / "dwi.nii.gz", tmp_path / "adc.nii.gz"), "does not overlap")


def test_ct_given_as_dwi_is_refused(images: Path, tmp_path: Path) -> None:
    def to_hu(a: np.ndarray) -> np.ndarray:
        return np.where(a > np.percentile(a, 60), 35.0, -1000.0).astype(np.float32)

    ct = changed(images, "dwi", tmp_path / "dwi.nii.gz", to_hu)
    refused(segmented(tmp_path, ct, images / "adc.nii.gz"), "looks like CT")


def test_the_dwi_given_as_adc_too_is_refused(images: Path, tmp_path: Path) -> None:
    dwi = changed(images, "dwi", tmp_path / "adc.nii.gz", lambda a: a / np.median(a[a > a.mean()]) * 300)
    refused(segmented(tmp_path, images / "dwi.nii.gz", dwi), "dwi and adc are the same image")


@pytest.mark.data
def test_a_dicom_folder_of_ct_is_refused_by_its_modality(images: Path, tmp_path: Path, data: Path) -> None:
    refused(
        segmented(tmp_path, data / "cases" / "ct-dicom-tilted", images / "adc.nii.gz"),
        "looks like CT",
        "modality is CT",
    )


def test_weights_that_were_changed_are_refused(images: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models_folder() / "mri", tmp_path / "mri"))
    with (folder / "weights.safetensors").open("ab") as file:
        file.write(b"x")
    done = strokeseg("segment", "--model", folder, *pair(images), "--out", tmp_path / "out")
    refused(done, "SHA-256", "install the model again")


def test_results_are_not_overwritten_without_force(images: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "measurements.json").write_text("mine")
    words = ["segment", "--model", "mri", *pair(images), "--out", tmp_path / "out"]
    refused(strokeseg(*words), "--force")
    assert (tmp_path / "out" / "measurements.json").read_text() == "mine"
    assert strokeseg(*words, "--force").returncode == 0
    assert json.loads((tmp_path / "out" / "measurements.json").read_text())["model"] == "mri"


def test_an_output_path_under_a_file_is_refused(images: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    refused(strokeseg("segment", "--model", "mri", *pair(images), "--out", tmp_path / "file" / "out"), "file")


def test_a_full_disk_is_one_line_and_nothing_stays(images: Path, tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    refused(segmented(tmp_path, images / "dwi.nii.gz", images / "adc.nii.gz", preexec_fn=small_files), "disk full")


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_the_old_results(images: Path, tmp_path: Path) -> None:
    """Killed at different moments of the run; each time the old results are whole, or the new ones are."""
    out = tmp_path / "out"
    words = [*COMMAND, "segment", "--model", "mri", *pair(images), "--out", str(out), "--force"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(words, env=environment, check=True, capture_output=True)
    names = {file.name for file in out.iterdir()}
    started = time.monotonic()
    subprocess.run(words, env=environment, check=True, capture_output=True)
    whole = time.monotonic() - started
    for part in (0.3, 0.6, 0.8, 0.9, 0.95, 1.0):
        process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(part * whole)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert {file.name for file in out.iterdir()} == names
        json.loads((out / "measurements.json").read_text())
        assert nibabel.load(out / "lesion.nii.gz").get_fdata().max() == 1
    # The next run clears what the killed ones left.
    subprocess.run(words, env=environment, check=True, capture_output=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
