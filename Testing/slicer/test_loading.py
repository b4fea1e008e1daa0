"""Loading files and DICOM folders into volume nodes, on Slicer's own MRML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import slicer
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from slicer_phantoms import GRIDS, addHead
from StrokeSegApp import loading
from StrokeSegApp import scene as app
from StrokeSegApp.input_roles import NO_INPUT, roleOf
from StrokeSegApp.volume_facts import factsOf

from StrokeSegLib.errors import InputError
from StrokeSegLib.io import write_image


def writeSeries(
    folder: Path, description: str, modality: str = "MR", slices: int = 4, uid: str | None = None, **tags: object
) -> str:
    """Slices of 6 x 5 pixels, 2 x 2 x 5 mm, whose value is 100 and the slice's number; gives the series UID."""
    folder.mkdir(parents=True, exist_ok=True)
    uid = uid or generate_uid()
    for number in range(slices):
        one = pydicom.Dataset()
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, generate_uid()
        one.SeriesInstanceUID, one.Modality, one.SeriesDescription = uid, modality, description
        one.PatientName, one.PatientID = "Secret^Name", "12345"
        one.ImagePositionPatient, one.ImageOrientationPatient = [10, 20, 30 + 5 * number], [1, 0, 0, 0, 1, 0]
        one.PixelSpacing, one.SliceThickness = [2, 2], 5
        one.Rows, one.Columns, one.SamplesPerPixel, one.PhotometricInterpretation = 5, 6, 1, "MONOCHROME2"
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation = 15, 1
        one.RescaleSlope, one.RescaleIntercept = 1, 0
        one.PixelData = np.full((5, 6), 100 + number, np.int16).tobytes()
        for name, value in tags.items():
            setattr(one, name, value)
        one.file_meta = pydicom.dataset.FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.save_as(folder / f"{uid[-6:]}-{number}.dcm", enforce_file_format=True)
    return uid


def test_the_one_series_of_a_folder_lies_where_dicom_says(scene, tmp_path):
    writeSeries(tmp_path / "dicom", "ep2d trace", DiffusionBValue=1000.0)
    (series,) = loading.seriesIn(str(tmp_path / "dicom"))
    node, warnings = loading.loadSeries(str(tmp_path / "dicom"), series)
    assert warnings == ()
    assert node.GetName() == "ep2d trace"
    volume = app.volumeFromNode(node)
    assert volume.spacing_mm == pytest.approx((2, 2, 5))
    np.testing.assert_allclose(volume.ijk_to_lps((0, 0, 2)), (10, 20, 40))
    assert volume.array[2, 0, 0] == 102
    assert slicer.app.applicationLogic().GetSelectionNode().GetActiveVolumeID() == node.GetID()


def test_several_series_are_listed_and_each_can_be_loaded_and_tells_its_role(scene, tmp_path):
    folder = tmp_path / "dicom"
    writeSeries(folder / "a", "ax", DiffusionBValue=1000.0)
    writeSeries(folder / "b", "ax", slices=3, ImageType=["DERIVED", "PRIMARY", "ADC"])
    writeSeries(folder / "c", "head", modality="CT")
    found = loading.seriesIn(str(folder))
    assert sorted((each.description, each.modality, each.images) for each in found) == [
        ("ax", "MR", 3),
        ("ax", "MR", 4),
        ("head", "CT", 4),
    ]
    nodes = [loading.loadSeries(str(folder), each)[0] for each in found]
    assert sorted(roleOf(factsOf(node)) for node in nodes) == ["adc", "ct", "dwi"]
    assert len({node.GetName() for node in nodes}) == 3


def writeTwoBValues(folder: Path, description: str = "ep2d_diff", **tags: object) -> str:
    """A series as clinical scanners write DWI: b0 and b1000 in one."""
    uid = writeSeries(folder / "0", description, DiffusionBValue=0.0, **tags)
    return writeSeries(folder / "1000", description, uid=uid, DiffusionBValue=1000.0, **tags)


def test_each_b_value_of_a_series_is_listed_and_loaded_by_itself_and_only_the_high_one_is_dwi(scene, tmp_path):
    uid = writeTwoBValues(tmp_path)
    found = loading.seriesIn(str(tmp_path))
    assert [(each.description, each.images) for each in found] == [("ep2d_diff b1000", 4), ("ep2d_diff b0", 4)]
    nodes = [loading.loadSeries(str(tmp_path), each)[0] for each in found]
    assert [node.GetName() for node in nodes] == ["ep2d_diff b1000", "ep2d_diff b0"]
    assert [roleOf(factsOf(node)) for node in nodes] == ["dwi", NO_INPUT]
    assert app.sourceOf(nodes[0]) == f"{tmp_path}#{uid}:b1000"


def test_a_ct_with_contrast_is_loaded_and_is_no_input(scene, tmp_path):
    writeSeries(tmp_path, "head 1.0", modality="CT", ContrastBolusAgent="Omnipaque")
    (series,) = loading.seriesIn(str(tmp_path))
    node, _warnings = loading.loadSeries(str(tmp_path), series)
    assert roleOf(factsOf(node)) == NO_INPUT


def test_nothing_that_names_the_patient_comes_into_the_scene(scene, tmp_path):
    writeSeries(tmp_path / "dicom", "trace")
    (series,) = loading.seriesIn(str(tmp_path / "dicom"))
    loading.loadSeries(str(tmp_path / "dicom"), series)
    scene.SetSaveToXMLString(1)
    try:
        scene.Commit()
        text = scene.GetSceneXMLString()
    finally:
        scene.SetSaveToXMLString(0)  # or no later test could write a scene to a file
    assert "trace" in text
    assert "Secret" not in text
    assert "12345" not in text


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_file_lies_where_the_library_reads_it_and_remembers_its_path(scene, tmp_path, grid, suffix):
    volume = app.volumeFromNode(addHead(grid=grid))
    path = tmp_path / f"my DWI é{suffix}"
    write_image(volume, path)
    node = loading.loadFile(str(path))
    assert node.GetName().startswith("my DWI é")
    assert app.sourceOf(node) == str(path)
    read = app.volumeFromNode(node)
    places = [read.ijk_to_ras(np.argwhere(read.array == 400)[:, ::-1]) for read in (volume, read)]
    np.testing.assert_allclose(np.sort(places[0], axis=0), np.sort(places[1], axis=0), atol=1e-3)


def test_a_single_dicom_file_is_loaded_as_one_slice(scene, tmp_path):
    writeSeries(tmp_path, "one", slices=1)
    node = loading.loadFile(str(next(tmp_path.glob("*.dcm"))))
    assert slicer.util.arrayFromVolume(node).shape == (1, 5, 6)


def test_what_is_no_image_is_refused_in_one_line(scene, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        loading.loadFile(str(tmp_path / "nothing.nii"))
    (tmp_path / "text.nii").write_text("no image")
    before = scene.GetNumberOfNodes()
    with pytest.raises(InputError):
        loading.loadFile(str(tmp_path / "text.nii"))
    assert scene.GetNumberOfNodes() == before
    with pytest.raises(InputError, match="no DICOM image"):
        loading.seriesIn(str(tmp_path))
