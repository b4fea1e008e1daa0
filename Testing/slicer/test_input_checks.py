"""What the check line says of chosen volumes, on Slicer's own MRML."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from slicer_phantoms import addCt, addHead, addRotationTransform
from stand_in_cards import Card, Input
from StrokeSegApp import parameters
from StrokeSegApp.input_checks import problemOf

MRI = Card(id="mri", inputs=(Input("dwi"), Input("adc"), Input("flair", required=False)))
CT = Card(id="ct", inputs=(Input("ct"),), minimum_inputs=1)


@pytest.fixture
def node(scene):
    return scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


def said(node, model, **chosen):
    for role, volume in chosen.items():
        parameters.setInputVolume(node, role, volume)
    return problemOf(node, model)


def test_right_inputs_give_no_word(node):
    assert said(node, MRI, dwi=addHead("DWI"), adc=addHead("ADC")) == ""
    assert said(node, CT, ct=addCt()) == ""


def test_without_a_model_and_without_a_volume_it_says_so(node):
    assert problemOf(node, None) == "No model is installed."
    assert said(node, MRI, adc=addHead("ADC")) == "Choose a volume for: DWI"


def test_the_same_volume_twice_is_noticed(node):
    head = addHead()
    assert said(node, MRI, dwi=head, adc=head) == "The same volume is chosen for two inputs."


def test_a_ct_for_an_mr_model_and_the_other_way_round_are_told_by_their_values(node):
    assert "DWI looks like a CT (values near -1000 are air in Hounsfield units), an MRI" in said(
        node, MRI, dwi=addCt(), adc=addHead("ADC")
    )
    assert "choose a CT model" in said(node, MRI)
    assert "CT looks like an MRI (it has no air near -1000 HU), a CT is needed" in said(node, CT, ct=addHead())


def test_dicoms_word_for_the_modality_counts_more_than_the_values(node):
    head = addHead("DWI")
    head.SetAttribute("DICOM.Modality", "CT")
    assert "its DICOM modality is CT" in said(node, MRI, dwi=head, adc=addHead("ADC"))


def test_volumes_far_apart_are_told_with_the_cure(node):
    far = addHead("ADC")
    far.SetOrigin(500, 0, 0)
    text = said(node, MRI, dwi=addHead("DWI"), adc=far)
    assert text == "ADC map and DWI do not overlap in space: choose images of one head, or register them first"
    assert said(node, MRI, adc=addHead("ADC 2")) == ""


def test_an_optional_volume_is_checked_as_well(node):
    text = said(node, MRI, dwi=addHead("DWI"), adc=addHead("ADC"), flair=addCt("FLAIR"))
    assert text.startswith("FLAIR looks like a CT")


def test_a_color_volume_is_told(node):
    image = vtk.vtkImageData()
    image.SetDimensions(5, 5, 5)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    color = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "color")
    color.SetAndObserveImageData(image)
    assert "3 components a voxel" in said(node, MRI, dwi=color, adc=addHead("ADC"))


def test_a_non_linear_transform_is_told_and_a_linear_one_is_fine(node):
    dwi, adc = addHead("DWI"), addHead("ADC")
    turn = addRotationTransform()
    for each in (dwi, adc):
        each.SetAndObserveTransformNodeID(turn.GetID())
    assert said(node, MRI, dwi=dwi, adc=adc) == ""
    bend = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "bend")
    bend.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    dwi.SetAndObserveTransformNodeID(bend.GetID())
    assert "non-linear transform 'bend'; harden it" in said(node, MRI)


def test_a_volume_that_moves_away_after_it_was_checked_is_noticed(node):
    dwi, adc = addHead("DWI"), addHead("ADC")
    assert said(node, MRI, dwi=dwi, adc=adc) == ""
    away = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "away")
    adc.SetAndObserveTransformNodeID(away.GetID())
    assert said(node, MRI) == ""
    matrix = np.eye(4)
    matrix[0, 3] = 900
    away.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    assert "do not overlap" in said(node, MRI)


def test_values_that_are_no_diffusion_coefficient_in_any_unit_are_told(node):
    adc = addHead("ADC")
    slicer.util.arrayFromVolume(adc)[:] = 280
    slicer.util.arrayFromVolumeModified(adc)
    assert "fits no ADC unit" in said(node, MRI, dwi=addHead("DWI"), adc=adc)


def test_an_empty_volume_is_told(node):
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    assert "holds no voxels" in said(node, MRI, dwi=empty, adc=addHead("ADC"))
