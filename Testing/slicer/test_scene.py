"""Nodes to Volume and back, on Slicer's own MRML."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import slicer
import vtk
from slicer_phantoms import BLOCK_VOXELS, GRIDS, addHead, addRotationTransform, voxelVolumeMl
from StrokeSegApp import scene as app

from StrokeSegLib.errors import InputError
from StrokeSegLib.io.box import boxed
from StrokeSegLib.terminology import color_rgb, terminology_entry

NAMES = {1: "Ischemic lesion"}


def worldRasOfVoxel(node, ijk):
    """What MRML itself says: the position of a voxel through the node's matrix and its parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    local = matrix.MultiplyPoint((*ijk, 1))[:3]
    world = [0.0, 0.0, 0.0]
    general = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(node.GetParentTransformNode(), None, general)
    general.TransformPoint(local, world)
    return world


def lesionsOf(node):
    """The true labels of addHead, as the library would return them."""
    volume = app.volumeFromNode(node)
    return volume.with_array((volume.array > 200).astype(np.uint8))


def addResult(node, names=NAMES):
    return app.addSegmentation(node, lesionsOf(node), names, "StrokeSeg test 1.0")


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("transformed", [False, True])
def test_a_voxel_of_the_volume_lies_where_mrml_says(scene, grid, transformed):
    node = addHead(grid=grid)
    if transformed:
        node.SetAndObserveTransformNodeID(addRotationTransform().GetID())
    volume = app.volumeFromNode(node)
    assert volume.array.shape == (10, 14, 12)
    for ijk in [(0, 0, 0), (11, 0, 0), (0, 13, 0), (0, 0, 9), (5, 6, 7)]:
        np.testing.assert_allclose(volume.ijk_to_ras(ijk), worldRasOfVoxel(node, ijk), atol=1e-6)
    assert volume.array[3, 4, 5] == 400
    assert volume.array[3, 4, 4] == 100


def test_a_volume_under_a_non_linear_transform_is_refused_with_the_cure(scene):
    node = addHead()
    bend = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "bend")
    spline = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for index, point in enumerate([(0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50), (30, 30, 30)]):
        source.InsertNextPoint(point)
        target.InsertNextPoint(point[0] + 3 * (index == 4), *point[1:])
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    bend.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(bend.GetID())
    with pytest.raises(InputError, match="non-linear transform 'bend'; harden it"):
        app.volumeFromNode(node)


def test_a_shearing_transform_is_refused_by_name(scene):
    node = addHead()
    shear = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shear")
    matrix = np.eye(4)
    matrix[0, 1] = 0.4
    shear.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(shear.GetID())
    with pytest.raises(InputError, match=r"'DWI b1000'.*right angles"):
        app.volumeFromNode(node)


def test_a_volume_without_voxels_is_refused(scene):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    with pytest.raises(InputError, match="'empty' holds no voxels"):
        app.volumeFromNode(node)


def test_a_color_volume_is_refused(scene):
    image = vtk.vtkImageData()
    image.SetDimensions(3, 3, 3)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "color")
    node.SetAndObserveImageData(image)
    with pytest.raises(InputError, match="3 components a voxel"):
        app.volumeFromNode(node)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("transformed", [False, True])
def test_the_segment_covers_exactly_the_labeled_voxels(scene, grid, transformed):
    node = addHead(grid=grid)
    if transformed:
        node.SetAndObserveTransformNodeID(addRotationTransform().GetID())
    truth = lesionsOf(node).array
    segmentation = addResult(node)
    assert segmentation.GetTransformNodeID() == node.GetTransformNodeID()
    assert segmentation.GetNodeReferenceID(segmentation.GetReferenceImageGeometryReferenceRole()) == node.GetID()
    identifier = segmentation.GetSegmentation().GetNthSegmentID(0)
    np.testing.assert_array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, identifier, node), truth)


@pytest.mark.parametrize("grid", GRIDS)
def test_the_segmentations_own_labelmap_has_the_geometry_of_the_volume(scene, grid):
    node = addHead(grid=grid)
    segmentation = addResult(node)
    labelmap = segmentation.GetBinaryLabelmapInternalRepresentation("StrokeSeg_1")
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrix), GRIDS[grid], atol=1e-9)


@pytest.mark.parametrize("grid", GRIDS)
def test_the_voxels_of_the_segment_make_the_hand_computed_milliliters(scene, grid):
    node = addHead(grid=grid)
    segmentation = addResult(node)
    labelmap = segmentation.GetBinaryLabelmapInternalRepresentation("StrokeSeg_1")
    voxels = slicer.util.arrayFromSegmentInternalBinaryLabelmap(segmentation, "StrokeSeg_1").sum()
    volume_ml = voxels * np.prod(labelmap.GetSpacing()) / 1000
    assert volume_ml == pytest.approx(sum(BLOCK_VOXELS) * voxelVolumeMl(grid), rel=1e-9)


def test_labels_of_another_grid_are_refused(scene):
    node = addHead()
    labels = lesionsOf(node)
    node.SetOrigin(5, 0, 0)
    with pytest.raises(InputError, match="changed its geometry"):
        app.addSegmentation(node, labels, NAMES, "StrokeSeg test 1.0")
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []


def test_no_temporary_volume_stays_in_the_scene(scene):
    node = addHead()
    before = scene.GetNumberOfNodesByClass("vtkMRMLVolumeNode")
    addResult(node)
    assert scene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == before


def test_the_segment_says_what_it_is_and_that_a_machine_drew_it(scene):
    segment = addResult(addHead()).GetSegmentation().GetSegment("StrokeSeg_1")
    assert segment.GetName() == "Ischemic lesion"
    tag = vtk.mutable("")
    expected = {
        "DICOM.SegmentAlgorithmType": "AUTOMATIC",
        "DICOM.SegmentAlgorithmName": "StrokeSeg test 1.0",
    }
    for name, value in expected.items():
        assert segment.GetTag(name, tag)
        assert str(tag) == value
    entry = slicer.vtkSlicerTerminologyEntry()
    logic = slicer.modules.terminologies.logic()
    assert segment.GetTag(segment.GetTerminologyEntryTagName(), tag)
    assert logic.DeserializeTerminologyEntry(str(tag), entry)
    assert entry.GetTypeObject().GetCodeMeaning() == "Lesion"
    assert entry.GetTypeObject().GetCodeValue() == "52988006"


def test_the_terminology_context_is_loaded_and_has_the_type_that_the_library_writes(scene):
    app.loadTerminology()
    logic = slicer.modules.terminologies.logic()
    category = slicer.vtkSlicerTerminologyCategory()
    context = "Segmentation category and type - StrokeSeg"
    assert logic.GetNthCategoryInTerminology(context, 0, category)
    assert category.GetCodeValue() == "49755003"
    kind = slicer.vtkSlicerTerminologyType()
    assert logic.GetNthTypeInTerminologyCategory(context, category, 0, kind)
    assert terminology_entry(1).split("~")[:3] == [
        context,
        f"SCT^{category.GetCodeValue()}^{category.GetCodeMeaning()}",
        f"SCT^{kind.GetCodeValue()}^{kind.GetCodeMeaning()}",
    ]
    assert tuple(kind.GetRecommendedDisplayRGBValue()) == color_rgb(1)


def test_a_label_that_does_not_occur_becomes_an_empty_segment(scene):
    segmentation = addResult(addHead(), {1: "Ischemic lesion", 2: "Hemorrhage"})
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 2
    assert slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "StrokeSeg_2", addHead()).sum() == 0


def test_a_segment_that_becomes_empty_has_no_voxel_and_no_surface_left_and_vtk_says_nothing(scene, capfd):
    node = addHead()
    labels = lesionsOf(node)
    segmentation = addResult(node)
    segmentation.CreateClosedSurfaceRepresentation()
    nothing = labels.with_array(np.zeros_like(labels.array))
    app.writeLabels(segmentation, boxed(nothing), [1, 7], app.ijkToRas(node))
    assert slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "StrokeSeg_1", node).sum() == 0
    surface = vtk.vtkPolyData()
    segmentation.GetClosedSurfaceRepresentation("StrokeSeg_1", surface)
    assert surface.GetNumberOfPoints() == 0
    app.addSegmentation(node, nothing, {1: "a", 2: "b"}, "StrokeSeg test 1.0").CreateClosedSurfaceRepresentation()
    assert "ERR" not in capfd.readouterr().err


def test_segmentations_that_exist_are_not_touched(scene):
    node = addHead()
    mine = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "DWI b1000 lesions")
    mine.CreateDefaultDisplayNodes()
    mine.SetReferenceImageGeometryParameterFromVolumeNode(node)
    mine.GetSegmentation().AddEmptySegment("StrokeSeg_1", "drawn by hand")
    drawn = np.zeros((10, 14, 12), np.uint8)
    drawn[0, 0, 0] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(drawn, mine, "StrokeSeg_1", node)
    changed = []
    mine.GetSegmentation().AddObserver(vtk.vtkCommand.AnyEvent, lambda *_: changed.append(1))
    result = addResult(node)
    assert result is not mine
    assert result.GetName() != mine.GetName()
    assert changed == []
    np.testing.assert_array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(mine, "StrokeSeg_1", node), drawn)


def test_the_result_joins_the_study_of_its_volume(scene):
    node = addHead()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient")
    study = hierarchy.CreateStudyItem(patient, "study")
    hierarchy.CreateItem(study, node)
    segmentation = addResult(node)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(segmentation)) == study


def test_measurements_travel_on_the_node(scene):
    segmentation = addResult(addHead())
    measurements = {"model": "mri", "version": "1.0", "sha256": "ab", "system": "mri", "total_volume_ml": 0.25}
    app.storeMeasurements(segmentation, measurements)
    assert segmentation.GetAttribute("StrokeSeg.Model") == "mri"
    assert datetime.now(UTC) - datetime.fromisoformat(segmentation.GetAttribute("StrokeSeg.Time")) < timedelta(
        minutes=1
    )
    assert app.storedMeasurements(segmentation) == measurements
    assert app.storedMeasurements(None) is None


def test_a_seg_nrrd_round_trip_keeps_voxels_name_terminology_and_tags(scene, tmp_path):
    node = addHead(grid="oblique")
    segmentation = addResult(node)
    path = str(tmp_path / "lesion.seg.nrrd")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(path)
    assert storage.WriteData(segmentation)
    back = slicer.modules.segmentations.logic().LoadSegmentationFromFile(path, True, "back")
    first = back.GetSegmentation().GetNthSegmentID(0)
    np.testing.assert_array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(back, first, node), lesionsOf(node).array)
    old, new = (s.GetSegmentation().GetNthSegment(0) for s in (segmentation, back))
    assert new.GetName() == old.GetName()
    for name in ("DICOM.SegmentAlgorithmType", "DICOM.SegmentAlgorithmName", old.GetTerminologyEntryTagName()):
        was, now = vtk.mutable(""), vtk.mutable("")
        assert old.GetTag(name, was)
        assert new.GetTag(name, now)
        assert str(was) == str(now)


def test_a_scene_bundle_round_trip_keeps_result_measurements_and_transform(scene, tmp_path):
    node = addHead(grid="left_handed")
    node.SetAndObserveTransformNodeID(addRotationTransform().GetID())
    segmentation = addResult(node)
    measurements = {"model": "mri", "lesions": [{"side": 'the "left"; 100 %'}]}
    app.storeMeasurements(segmentation, measurements)
    path = str(tmp_path / "case.mrb")
    assert scene.WriteToMRB(path, None)
    scene.Clear(0)
    assert scene.ReadFromMRB(path)
    back = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0]
    volume = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[0]
    assert back.GetTransformNodeID() == volume.GetTransformNodeID() is not None
    # Slicer turns a left-handed file into a right-handed node on reading: the truth is taken from the volume as read.
    truth = lesionsOf(volume).array
    assert truth.sum() == sum(BLOCK_VOXELS)
    np.testing.assert_array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(back, "StrokeSeg_1", volume), truth)
    assert app.storedMeasurements(back) == measurements


def test_jumping_centers_all_slice_views(scene):
    for name in ("Red", "Green", "Yellow"):
        view = slicer.vtkMRMLSliceNode()
        view.SetName(name)
        view.SetLayoutName(name)
        scene.AddNode(view)
        view.SetOrientation({"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}[name])
    app.jumpTo((12.0, -7.5, 30.0))
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        center = [view.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
        np.testing.assert_allclose(center, (12.0, -7.5, 30.0))


def test_showing_puts_the_volume_behind_and_makes_a_surface(scene):
    composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    node = addHead()
    segmentation = addResult(node)
    app.showResult(segmentation, node)
    assert composite.GetBackgroundVolumeID() == node.GetID()
    surface = vtk.vtkPolyData()
    segmentation.GetClosedSurfaceRepresentation("StrokeSeg_1", surface)
    assert surface.GetNumberOfPoints() > 0


def loadedByDicomModule(first="1.2.3.1"):
    """What Slicer's DICOM module leaves at a volume and in the subject hierarchy."""
    node = addHead("5: Doe Jane DWI")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    names = slicer.vtkMRMLSubjectHierarchyConstants
    item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    hierarchy.SetItemUID(item, names.GetDICOMUIDName(), "1.2.3")
    hierarchy.SetItemUID(item, names.GetDICOMInstanceUIDName(), f"{first} 1.2.3.2 1.2.3.4")
    return node


def test_a_volume_of_slicers_dicom_module_is_named_by_its_uids_and_never_by_the_patient(scene):
    said = "DICOM series 1.2.3 (3 images, the first 1.2.3.1)"
    assert app.sourceOf(loadedByDicomModule()) == said
    node = loadedByDicomModule("1.2.3.9")
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3.1 1.2.3.2 1.2.3.4")  # the node's own come first
    assert app.sourceOf(node) == said
    alone = addHead("Doe Jane")
    alone.SetAttribute("DICOM.instanceUIDs", "1.2.3.1 Unknown")
    assert app.sourceOf(alone) == "DICOM images (1 image, the first 1.2.3.1)"
    assert app.sourceOf(addHead("no DICOM")) == "no DICOM"


def test_a_volume_of_the_dicom_module_that_was_saved_is_named_by_its_file_and_not_by_one_of_its_slices(scene, tmp_path):
    node = loadedByDicomModule()
    node.AddDefaultStorageNode()
    for name, start in (("slice.dcm", bytes(128) + b"DICM"), ("saved.nrrd", b"NRRD0004")):
        (tmp_path / name).write_bytes(start)
        node.GetStorageNode().SetFileName(str(tmp_path / name))
        fromFile = app.sourceOf(node) == str(tmp_path / name)
        assert fromFile == (name == "saved.nrrd")
    node.GetStorageNode().SetFileName(str(tmp_path / "gone.nrrd"))
    assert app.sourceOf(node).startswith("DICOM series 1.2.3")
