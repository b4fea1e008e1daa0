"""The report of a case: what page, PDF and JSON say, with and without the scan, a reader, a correction, a patient."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from dicom_phantoms import LEANING
from report_phantoms import IDENTITY, NAMES, SHA256, head_series, small_result, two_lesions, write_result

from StrokeSegLib.cli import main
from StrokeSegLib.io import read_image, write_image
from StrokeSegLib.report.lesion_parts import number_lesions
from StrokeSegLib.volume import Volume

pypdf = pytest.importorskip("pypdf", reason="reading the PDF back needs pypdf")
pytest.importorskip("reportlab", reason="the PDF needs reportlab")


def report(result: Path, *words: str) -> Path:
    assert main(["report", "--result", str(result), *words]) == 0
    return result / "report"


def pdf_text(folder: Path) -> str:
    """Text of all pages, without line breaks."""
    pages = pypdf.PdfReader(folder / "report.pdf").pages
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pages))


def content_of(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return found


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["report", *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    return said


def test_page_pdf_and_json_say_the_same(tmp_path: Path) -> None:
    folder = report(small_result(tmp_path), "--reader", "Anna Smith", "--signed-at", "2030-01-31T14:05+01:00")
    content = content_of(folder)
    assert content["total_volume_ml"] == pytest.approx(0.512)  # 0.48 + 0.032, see test_dicom_sr
    assert content["signature"] == {"reader": "Anna Smith", "signed_at": "2030-01-31T14:05:00+01:00"}
    assert content["algorithm_type"] == "SEMIAUTOMATIC"
    page, pdf = (folder / "report.html").read_text(encoding="utf-8"), pdf_text(folder)
    for words in (
        "0.51 mL in 2 lesions", "Research use, not a medical device", "Anna Smith, 2030-01-31 14:05 UTC+0100",
        "noncontrast-ct, version 0.1.0", "0.48 mL", "0.032 mL", "14.6 mm", "Hemorrhage",
    ):  # fmt: skip
        assert words in page, words
        assert words in pdf, words
    assert SHA256 in page
    assert SHA256 in pdf.replace(" ", "")  # may go on in the next line
    assert {p.name for p in folder.iterdir()} == {"report.html", "report.json", "report.pdf"}


def test_an_image_that_the_model_did_not_read_is_named(tmp_path: Path) -> None:
    result = small_result(tmp_path)
    file = result / "measurements.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    (role,) = found["inputs"]
    assert "not read" not in (report(result) / "report.html").read_text(encoding="utf-8")
    file.write_text(json.dumps(found | {"inputs_not_read": [role]}), encoding="utf-8")
    page = (report(result, "--force") / "report.html").read_text(encoding="utf-8")
    assert "not read by the model" in page
    assert content_of(result / "report")["inputs"][0]["read"] is False  # type: ignore[index]


def test_the_page_stands_alone(tmp_path: Path) -> None:
    page = (report(small_result(tmp_path)) / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 1
    assert re.findall(r'(?:src|href)="(?!data:)|url\(|<script|https?://', page) == []


def test_an_ordinary_case_is_one_page_of_a4(tmp_path: Path) -> None:
    pages = pypdf.PdfReader(report(small_result(tmp_path)) / "report.pdf").pages
    assert len(pages) == 1
    assert [float(v) for v in pages[0].mediabox] == pytest.approx([0, 0, 595.28, 841.89], abs=0.1)


def test_many_lesions_and_long_warnings_go_on_over_pages_and_nothing_is_cut(tmp_path: Path) -> None:
    source = head_series(tmp_path / "scan", [4.0 * n for n in range(8)])
    grid = read_image(source).volume
    labels = np.zeros(grid.array.shape, np.uint8)
    labels[1:7:2, 6:34:3, 8:52:4] = 1  # 3 x 10 x 11 single voxels that do not touch
    warnings = tuple(f"warning number {n}: {'a' * 150} and more words {'bc ' * 40}end{n}" for n in range(12))
    result = write_result(tmp_path / "result", source, grid.with_array(labels), warnings)
    folder = report(result)
    reader = pypdf.PdfReader(folder / "report.pdf")
    assert len(reader.pages) > 3
    text = pdf_text(folder)
    # Every line of the table: its number, its finding.
    assert all(re.search(rf"\b{n} ischemic lesion ", text) for n in range(1, 331))
    assert all(f"end{n}" in text for n in range(12))
    assert text.replace(" ", "").count("a" * 150) == 12
    assert f"page 1 of {len(reader.pages)}" in text
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<td>ischemic lesion</td>") == 330


def test_no_word_of_the_pdf_leaves_the_page(tmp_path: Path) -> None:
    folder = report(small_result(tmp_path), "--reader", "Name" * 60)
    places: list[tuple[float, float]] = []

    def visit(text: str, cm: list[float], tm: list[float], font: object, size: float) -> None:
        if text.strip():
            places.append((tm[4] * cm[0] + cm[4], tm[5] * cm[3] + cm[5]))

    pypdf.PdfReader(folder / "report.pdf").pages[0].extract_text(visitor_text=visit)
    assert len(places) > 20
    assert all(0 <= x < 595 and 0 < y < 842 for x, y in places)
    assert "Name" * 60 in pdf_text(folder).replace(" ", "")


def test_any_script_is_shown(tmp_path: Path) -> None:
    folder = report(small_result(tmp_path), "--reader", "Żółć Müller Ωμέγα Иванова \U0001f9e0")
    text = pdf_text(folder)
    assert "Żółć Müller" in text
    # What no font of this system has stands as its number, never as nothing.
    for word in ("Ωμέγα", "Иванова", "\U0001f9e0"):
        assert word in text or "".join(f"[U+{ord(c):04X}]" for c in word) in text.replace(" ", ""), word
    assert "Иванова \U0001f9e0" in (folder / "report.html").read_text(encoding="utf-8")


def test_markup_in_a_name_is_text(tmp_path: Path) -> None:
    folder = report(small_result(tmp_path), "--reader", "<script>A&B</script>")
    assert "<script>A&B</script>" in pdf_text(folder)
    assert "<script>" not in (folder / "report.html").read_text(encoding="utf-8")


def test_without_a_lesion(tmp_path: Path) -> None:
    source = head_series(tmp_path / "scan", [0.0, 4.0, 8.0])
    grid = read_image(source).volume
    result = write_result(tmp_path / "result", source, grid.with_array(np.zeros(grid.array.shape, np.uint8)))
    folder = report(result)
    assert "No lesion found" in pdf_text(folder)
    assert "Not signed" in pdf_text(folder)
    assert content_of(folder)["lesions"] == []
    assert content_of(folder)["algorithm_type"] == "AUTOMATIC"


def test_a_tilted_series_warns_by_its_role_and_without_its_path(tmp_path: Path) -> None:
    source = head_series(tmp_path / "scan", [4.0 * n for n in range(8)], LEANING)
    reading = read_image(source)
    warnings = tuple(f"ct: {text}" for text in reading.warnings)
    folder = report(write_result(tmp_path / "result", source, two_lesions(reading.volume), warnings))
    for text in (pdf_text(folder), (folder / "report.html").read_text(), (folder / "report.json").read_text()):
        assert "the ct input has a tilted stack (18.0 degrees" in text
        assert str(tmp_path) not in text
    assert content_of(folder)["needs_review"]["flag"]


def test_class_perfusion_and_uncertainty_are_shown_where_they_are(tmp_path: Path) -> None:
    result = small_result(tmp_path)
    path = result / "measurements.json"
    measurements = json.loads(path.read_text())
    measurements["classification"] = {"class": "hemorrhage", "found": [], "scores": {"hemorrhage": 0.8}}
    for lesion, mean in zip(measurements["lesions"], (0.83, 0.61), strict=True):
        lesion["mean_probability"] = mean
    path.write_text(json.dumps(measurements))
    labels = read_image(result / "lesion.nii.gz").volume
    values = np.where(labels.array == 2, 0.5, 0.25).astype(np.float32)
    write_image(labels.with_array(values), result / "uncertainty.nii.gz")
    folder = report(result)
    assert [one["uncertainty"] for one in content_of(folder)["lesions"]] == [0.25, 0.5]
    text = pdf_text(folder)
    for words in ("Class hemorrhage (hemorrhage 0.800)", "Uncertainty", "Mean probability", "0.83 0.25", "0.61 0.50"):
        assert words in text, words


def test_a_corrected_mask_is_measured_anew(tmp_path: Path) -> None:
    result = small_result(tmp_path)
    labels = read_image(result / "lesion.nii.gz").volume
    corrected = np.zeros(labels.array.shape, np.uint8)
    corrected[1:3, 10:20, 12:22] = 2  # 2 x 10 x 10 voxels of 4 uL, on the patient's right: low x in LPS
    write_image(labels.with_array(corrected), result / "corrected.nii.gz")
    content = content_of(report(result))
    assert content["mask"] == "corrected by a reader"
    assert [one["volume_ml"] for one in content["labels"]] == [0, pytest.approx(0.8)]
    assert [(one["side"], one["mean_probability"]) for one in content["lesions"]] == [("right", None)]
    (tmp_path / "scan").rename(tmp_path / "moved")
    content = content_of(report(result, "--force"))
    assert content["lesions"][0]["side"] is None  # nothing tells where the head's middle is


def test_without_the_scan_it_says_so_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = small_result(tmp_path)
    (tmp_path / "scan").rename(tmp_path / "moved")
    folder = report(result)
    assert "not where it was read from" in capsys.readouterr().err.splitlines()[0]
    page = (folder / "report.html").read_text()
    assert "data:image" not in page
    assert "this report has no picture" in page
    assert "this report has no picture" in pdf_text(folder)


def test_without_the_scan_the_picture_of_the_run_is_shown(tmp_path: Path) -> None:
    from PIL import Image

    result = small_result(tmp_path)
    (tmp_path / "scan").rename(tmp_path / "moved")
    Image.new("RGB", (1176, 500), (20, 20, 20)).save(result / "overlay.png")
    page = (report(result) / "report.html").read_text()
    assert page.count("data:image") == 1
    assert "drawn when the model ran" in page


def test_the_outline_lies_on_the_lesion(tmp_path: Path) -> None:
    """Outline colors are found in the page's own picture, on as many slices as hold a lesion."""
    from base64 import b64decode

    from PIL import Image

    from StrokeSegLib.report.overlay import LABEL_COLORS

    page = (report(small_result(tmp_path)) / "report.html").read_text()
    data = re.search(r"base64,([^\"]+)", page)
    assert data is not None
    picture = np.asarray(Image.open(io.BytesIO(b64decode(data[1]))))
    for value in NAMES:
        assert (np.abs(picture.astype(int) - LABEL_COLORS[value]).max(axis=-1) < 8).sum() > 30


def test_patient_fields_only_when_asked(tmp_path: Path) -> None:
    result = small_result(tmp_path)
    folder = report(result)
    everything = pdf_text(folder) + (folder / "report.html").read_text() + (folder / "report.json").read_text()
    for text in (*IDENTITY.values(), "PRIVACY", "1957-02-03"):
        assert len(text) == 1 or text not in everything, text
    folder = report(result, "--patient", "--force")
    for everything in (pdf_text(folder), (folder / "report.html").read_text(), (folder / "report.json").read_text()):
        for text in ("PRIVACY, TEST", "ID-7319-X", "1957-02-03", "ACC998877", "2021-07-04"):
            assert text in everything, text


def test_lesions_are_numbered_as_they_are_measured() -> None:
    from StrokeSegLib.measure import measure_lesions

    rng = np.random.default_rng(4)
    labels = Volume((rng.random((12, 14, 16)) > 0.93).astype(np.uint8) * rng.integers(1, 4, (12, 14, 16), np.uint8))
    numbers, of_label = number_lesions(labels)
    lesions = measure_lesions(labels)
    assert len(lesions) > 20
    assert of_label == [lesion.label for lesion in lesions]
    for number, lesion in enumerate(lesions, start=1):
        kji = np.argwhere(numbers == number)
        assert len(kji) * labels.voxel_volume_ml == pytest.approx(lesion.volume_ml)
        assert labels.ijk_to_ras(kji.mean(axis=0)[::-1]) == pytest.approx(lesion.centroid_ras_mm)


# --- refused ----------------------------------------------------------------------------------------------------------


def test_what_is_no_result_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "measurements.json" in refused(capsys, "--result", str(tmp_path))
    result = small_result(tmp_path)
    (result / "measurements.json").write_text("{")
    assert "damaged" in refused(capsys, "--result", str(result))


def test_a_report_is_not_replaced_without_force_and_never_is_the_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = small_result(tmp_path)
    report(result)
    before = (result / "report" / "report.json").read_bytes()
    assert "--force" in refused(capsys, "--result", str(result))
    assert (result / "report" / "report.json").read_bytes() == before
    assert "result folder itself" in refused(capsys, "--result", str(result), "--out", str(result), "--force")
    assert (result / "lesion.nii.gz").is_file()


def test_a_mask_that_was_changed_in_place_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = small_result(tmp_path)
    labels = read_image(result / "lesion.nii.gz").volume
    changed = labels.array.copy()
    changed[0, 0, 0] = 1
    write_image(labels.with_array(changed), result / "lesion.nii.gz")
    assert "corrected.nii.gz" in refused(capsys, "--result", str(result))


def test_a_corrected_mask_must_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = small_result(tmp_path)
    labels = read_image(result / "lesion.nii.gz").volume
    write_image(Volume(labels.array), tmp_path / "elsewhere.nii.gz")
    assert "grid" in refused(capsys, "--result", str(result), "--mask", str(tmp_path / "elsewhere.nii.gz"))
    write_image(labels.with_array(labels.array * 7), tmp_path / "seven.nii.gz")
    assert "the values [7, 14]" in refused(capsys, "--result", str(result), "--mask", str(tmp_path / "seven.nii.gz"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--signed-at", "2030-01-31"], "--reader"),
        (["--reader", " "], "empty"),
        (["--reader", "Jo", "--signed-at", "yesterday"], "2030-01-31T14:05+01:00"),
    ],
)
def test_a_signature_needs_a_name_and_a_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert told in refused(capsys, "--result", str(tmp_path), *words)


def test_without_reportlab_there_is_a_page_and_a_word_about_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = small_result(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "reportlab"] + ["reportlab"]:
        monkeypatch.setitem(sys.modules, name, None)
    folder = report(result)
    assert {p.name for p in folder.iterdir()} == {"report.html", "report.json"}
    assert "no PDF was written: the PDF needs the Python package reportlab" in capsys.readouterr().err
