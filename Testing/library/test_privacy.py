"""Whose scan it is stays in the scan: a named DICOM series goes the whole way, and everything written is searched.

DICOM SEG and SR are left out by name: they belong into the patient's study and carry its identity on purpose. That
they do is checked too, which shows that the search finds what is there.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from report_phantoms import IDENTITY

from StrokeSegLib.demo import CALM
from StrokeSegLib.synth.diffusion import make_case
from StrokeSegLib.synth.procedural import procedural_head
from StrokeSegLib.volume import Volume

pytest.importorskip("highdicom", reason="DICOM results need highdicom")
pytest.importorskip("reportlab", reason="the PDF needs reportlab")
pypdf = pytest.importorskip("pypdf", reason="reading the PDF back needs pypdf")

#: What must not be found, in small letters: names, numbers and dates, as DICOM and as people write them.
NEEDLES = (
    "privacy", "referrer", "id-7319-x", "acc998877", "st4711", "19570203", "1957-02-03", "20210704", "2021-07-04",
)  # fmt: skip
#: They carry the identity of the patient because that is what they are for.
DICOM_RESULTS = ("lesion-seg.dcm", "measurements-sr.dcm")

#: Commands one after the other in one process, as a console would; each prints its exit code.
WALK = """
import sys
from StrokeSegLib.cli import main
for line in sys.stdin.read().splitlines():
    print("exit", main(line.split("|")), flush=True)
"""


def write_series(folder: Path, volume: Volume, scale: float, study: str, frame: str) -> None:
    """An axial volume as a named MR series."""
    series = generate_uid()
    folder.mkdir(parents=True)
    for k, plane in enumerate(volume.array):
        item = Dataset()
        item.file_meta = FileMetaDataset()
        item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        item.file_meta.MediaStorageSOPClassUID = item.SOPClassUID = MRImageStorage
        item.file_meta.MediaStorageSOPInstanceUID = item.SOPInstanceUID = generate_uid()
        for key, value in IDENTITY.items():
            setattr(item, key, value)
        item.StudyInstanceUID, item.SeriesInstanceUID, item.FrameOfReferenceUID = study, series, frame
        item.Modality, item.SeriesDescription, item.InstanceNumber = "MR", folder.name, k + 1
        item.ImagePositionPatient = [f"{v:.6f}" for v in volume.ijk_to_lps([0, 0, k])]
        item.ImageOrientationPatient = [f"{v:.6f}" for v in volume.direction[:, :2].T.ravel()]
        item.PixelSpacing = [volume.spacing_mm[1], volume.spacing_mm[0]]
        item.SliceThickness = volume.spacing_mm[2]
        item.Rows, item.Columns = plane.shape
        item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
        item.BitsAllocated = item.BitsStored = 16
        item.HighBit, item.PixelRepresentation = 15, 1
        item.PixelData = np.rint(plane * scale).clip(-32768, 32767).astype(np.int16).tobytes()
        item.save_as(folder / f"{k:03d}.dcm", enforce_file_format=True)


def found_in(content: bytes) -> list[str]:
    """The needles that some bytes hold, as one-byte or two-byte characters."""
    small = content.lower()
    return [n for n in NEEDLES if n.encode() in small or n.encode("utf-16-le") in small]


def readable(path: Path) -> bytes:
    """The bytes of a file, and behind them what is packed in it."""
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        return content + gzip.decompress(content)
    if content[:4] == b"%PDF":
        reader = pypdf.PdfReader(path)
        streams = [page.get_contents().get_data() for page in reader.pages]
        text = "".join(page.extract_text() for page in reader.pages) + str(reader.metadata) + str(reader.xmp_metadata)
        return b"".join([content, *streams, text.encode()])
    return content


def test_nothing_that_is_written_tells_whose_scan_it_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(43)
    case = make_case(rng, procedural_head(rng), ranges=CALM, healthy=False, spacing_mm=(3.0, 3.0, 6.0))
    study, frame = generate_uid(), generate_uid()
    scans, home = tmp_path / "scans", tmp_path / "home"
    write_series(scans / "dwi", case.images["dwi"], 1.0, study, frame)
    write_series(
        scans / "adc", case.images["adc"], 1.0 if case.images["adc"].array.max() > 100 else 1000.0, study, frame
    )
    write_series(scans / "cut" / "dwi", case.images["dwi"], 1.0, study, frame)
    cut = scans / "cut" / "dwi" / "003.dcm"
    cut.write_bytes(cut.read_bytes()[:-500])
    write_series(scans / "odd" / "dwi", case.images["dwi"], 1.0, study, frame)
    for path in (scans / "odd" / "dwi").iterdir():  # a name in one part and no date: highdicom would quote both
        odd = path.read_bytes().replace(b"PRIVACY^TEST", b"PRIVACY TEST")
        path.write_bytes(odd.replace(b"20210704", b"PRIVACY!"))

    out, dwi, adc = home / "out", scans / "dwi", scans / "adc"
    steps = [
        (0, ["segment", "--model", "mri", f"dwi={dwi}", f"adc={adc}", "--out", f"{out}", "--device", "cpu", "--json"]),
        (0, ["report", "--result", f"{out}"]),
        (0, ["report", "--result", f"{out}", "--force", "--dicom", "--reader", "Jo Reader"]),
        (2, ["report", "--result", f"{out}"]),
        (2, ["report", "--result", f"{out}", "--out", f"{home / 'a'}", "--dicom", "--source", f"{scans}"]),
        (2, ["report", "--result", f"{out}", "--out", f"{home / 'b'}", "--dicom", "--source", f"{scans / 'odd'}"]),
        (2, ["segment", "--model", "mri", f"dwi={dwi}", "--out", f"{home / 'c'}"]),
        (2, ["segment", "--model", "mri", f"dwi={scans}", f"adc={adc}", "--out", f"{home / 'd'}"]),
        (2, ["segment", "--model", "mri", f"dwi={scans / 'cut'}", f"adc={adc}", "--out", f"{home / 'e'}"]),
        (2, ["segment", "--model", "mri", f"dwi={dwi}", f"adc={dwi / '000.dcm'}", "--out", f"{home}"]),
    ]
    for name in ("tmp", "cache", "config", "data", "state"):
        (home / name).mkdir(parents=True)
    places = {"TMPDIR": "tmp", "TEMP": "tmp", "TMP": "tmp", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config",
              "XDG_DATA_HOME": "data", "XDG_STATE_HOME": "state"}  # fmt: skip
    environment = {**os.environ, "HOME": str(home), **{key: str(home / name) for key, name in places.items()}}
    run = subprocess.run(
        [sys.executable, "-c", WALK], input="\n".join("|".join(words) for _, words in steps).encode(), check=False,
        capture_output=True, timeout=550, env=environment, cwd=home,
    )  # fmt: skip
    codes = [int(line.split()[1]) for line in run.stdout.decode().splitlines() if line.startswith("exit ")]
    assert codes == [code for code, _ in steps], run.stderr.decode("utf-8", "replace")

    assert found_in(run.stdout) == []
    assert found_in(run.stderr) == []
    written = [path for path in home.rglob("*") if path.is_file()]
    names = {path.name for path in written}
    assert {"lesion.nii.gz", "measurements.json", "report.html", "report.pdf", "report.json", *DICOM_RESULTS} <= names
    for path in home.rglob("*"):
        assert found_in(str(path.relative_to(home)).encode()) == []
    for path in written:
        if path.name in DICOM_RESULTS:
            assert "privacy" in found_in(path.read_bytes())
            assert pydicom.dcmread(path).PatientID == IDENTITY["PatientID"]
        else:
            assert found_in(readable(path)) == [], path.relative_to(home)
    assert not any((home / name).exists() for name in "abcde")


def test_the_search_finds_a_name_in_a_packed_file(tmp_path: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    pdf = Canvas(str(tmp_path / "a.pdf"), pageCompression=1)
    pdf.drawString(100, 100, "Privacy, Test")
    pdf.save()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(b"...PRIVACY^TEST..."))
    for path in tmp_path.iterdir():
        assert found_in(path.read_bytes()) == []
        assert found_in(readable(path)) == ["privacy"]
