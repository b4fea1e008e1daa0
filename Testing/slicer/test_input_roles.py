"""Which role a volume's name speaks of."""

from __future__ import annotations

import numpy as np
import pytest
from StrokeSegApp import input_roles
from StrokeSegApp.input_roles import NO_INPUT, roleOf, roleOfName
from StrokeSegApp.volume_facts import VolumeFacts


def chooseInputs(roles, names, active=None):
    """By name alone, as for volumes without DICOM tags and with values that say nothing."""
    return input_roles.chooseInputs(roles, [roleOfName(name) for name in names], active)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("dwi", "dwi"),
        ("ep2d_diff_3scan_trace_p2_TRACEW", "dwi"),
        ("Ax b=1000", "dwi"),
        ("b1000", "dwi"),
        ("ep2d_diff_ADC", "adc"),
        ("Apparent Diffusion Coefficient (mm2/s)", "adc"),
        ("DWI_adc", "adc"),
        ("AX T2 FLAIR", "flair"),
        ("t2_tirm_tra_dark-fluid", "flair"),
        ("T2 TSE", "t2"),
        ("3: T1 MPRAGE", "t1"),
        ("head CT 5mm", "ct"),
        ("NCCT", "ct"),
        ("CT_TMAX", "tmax"),
        ("rapid CBF", "cbf"),
        ("MTT (s)", "mtt"),
        ("T2000 survey", None),
        ("localizer", None),
        ("fracture", None),
        ("4", None),
    ],
)
def test_a_name_speaks_of_its_role(name, role):
    assert roleOfName(name) == role


@pytest.mark.parametrize(
    "name",
    [
        "ep2d_diff_b0",
        "DWI b0",
        "DWI b=0",
        "5: DWIb0 5mm",
        "Ax DWI B-value 50",
        "trace low b",
        "ep2d_diff_FA",
        "dti color FA",
        "diff_TENSOR",
        "eADC",
        "Exponential ADC",
        "CT perfusion 4D",
        "CTP head",
        "CT angio head",
        "head CT arterial",
        "CT head with contrast",
        "CT MIP",
        "CTA",
    ],
)
def test_what_shares_a_roles_words_and_is_none_is_no_input(name):
    assert roleOfName(name) == NO_INPUT
    assert roleOf(VolumeFacts(name)) == NO_INPUT


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("ep2d_diff_b0_1000_TRACEW", "dwi"),
        ("DWI b0 b1000", "dwi"),
        ("ep2d_diff_b1000_2", "dwi"),
        ("isoDWI 3", "dwi"),
        ("CT head without contrast", "ct"),
        ("CT head non-contrast", "ct"),
        ("CT w/o contrast", "ct"),
        ("precontrast head CT", "ct"),
        ("CT face and head", "ct"),
        ("DWI fast", "dwi"),
    ],
)
def test_words_that_only_look_like_those_change_nothing(name, role):
    assert roleOfName(name) == role


@pytest.mark.parametrize(
    "facts",
    [
        VolumeFacts("5: diff trace", "MR", "diff trace", 0.0),
        VolumeFacts("5: DWI", "MR", "DWI", 50.0),
        VolumeFacts("DWI", "MR", "ep2d_diff", None, "DERIVED\\PRIMARY\\DIFFUSION\\FA"),
        VolumeFacts("5: head", "CT", "Carotid Angio 0.6"),
        VolumeFacts("5: head", "CT", "Head 1.0", contrast="Omnipaque"),
        VolumeFacts("5: head", "CT", "VPCT dynamic"),
        VolumeFacts("5: head", "CT", "Topogram 0.6"),
    ],
)
def test_a_volume_that_dicom_says_is_another_kind_of_image_is_no_input(facts):
    ct = np.full((4, 20, 20), -1000, np.int16)
    ct[:, 5:15, 5:15] = 40
    assert roleOf(facts) == NO_INPUT
    assert roleOf(facts, ct) == NO_INPUT


def test_a_strongly_weighted_image_of_a_series_is_dwi_and_contrast_matters_for_ct_alone():
    assert roleOf(VolumeFacts("5", "MR", "diff trace", 1000.0)) == "dwi"
    assert roleOf(VolumeFacts("t1", "MR", "", 0.0)) == "t1"
    assert roleOf(VolumeFacts("5", "MR", "t1 mprage", contrast="Gadovist")) == "t1"
    assert roleOf(VolumeFacts("5", "CT", "CBF", contrast="Omnipaque")) == "cbf"


def test_an_angiography_without_dicom_tags_is_not_taken_for_a_ct_by_its_values():
    ct = np.full((4, 20, 20), -1000, np.int16)
    ct[:, 5:15, 5:15] = 40
    assert roleOf(VolumeFacts("CTA head"), ct) == NO_INPUT


def test_the_active_volume_is_not_taken_where_it_is_known_to_be_no_input():
    assert chooseInputs(["dwi", "adc"], ["DWI b0", "ADC"], active=0) == {"adc": 1}


def test_each_volume_is_used_once_and_the_first_of_its_kind_wins():
    assert chooseInputs(["dwi", "adc"], ["DWI 1", "ADC", "DWI 2"]) == {"dwi": 0, "adc": 1}


def test_the_active_volume_wins_over_an_earlier_one_of_the_same_kind():
    assert chooseInputs(["dwi", "adc"], ["DWI 1", "ADC", "DWI 2"], active=2) == {"dwi": 2, "adc": 1}


def test_an_active_volume_whose_name_says_nothing_becomes_the_first_role_unless_a_name_claims_it():
    assert chooseInputs(["dwi", "adc"], ["5: ax", "ADC"], active=0) == {"dwi": 0, "adc": 1}
    assert chooseInputs(["dwi", "adc"], ["5: ax", "DWI"], active=0) == {"dwi": 1}


def test_an_active_ct_is_not_taken_for_an_mr_model():
    assert chooseInputs(["dwi", "adc"], ["head CT"], active=0) == {}


def test_no_volumes_or_no_roles_give_no_choice():
    assert chooseInputs(["dwi"], []) == {}
    assert chooseInputs([], ["DWI"], active=0) == {}


@pytest.mark.parametrize(
    ("facts", "role"),
    [
        (VolumeFacts("5: ax", "MR", "ep2d_diff_ADC"), "adc"),
        (VolumeFacts("5: ax", "MR", "ax", None, "DERIVED\\PRIMARY\\DIFFUSION\\ADC"), "adc"),
        (VolumeFacts("5: ax", "MR", "ax", 1000.0), "dwi"),
        (VolumeFacts("5: ax", "MR", "ax", 0.0), NO_INPUT),
        (VolumeFacts("5: head", "CT"), "ct"),
        (VolumeFacts("T1 bone window", "CT"), "ct"),
        (VolumeFacts("CBF", "CT"), "cbf"),
        (VolumeFacts("fMRI CT study", "MR"), None),
        (VolumeFacts("DWI", "MR", "FLAIR dark fluid"), "flair"),
    ],
)
def test_dicom_tags_speak_before_the_name_and_a_ct_is_never_a_sequence(facts, role):
    assert roleOf(facts) == role


def test_values_speak_where_tags_and_name_are_silent():
    ct = np.full((4, 20, 20), -1000, np.int16)
    ct[:, 5:15, 5:15] = 40
    adc = np.zeros((4, 20, 20), np.float32)
    adc[:, 5:15, 5:15] = 0.0008
    adc[:, 8:10, 8:10] = 0.003
    assert roleOf(VolumeFacts("series 4"), ct) == "ct"
    assert roleOf(VolumeFacts("series 4"), adc) == "adc"
    assert roleOf(VolumeFacts("series 4"), np.full((4, 20, 20), 300, np.int16)) is None
    assert roleOf(VolumeFacts("series 4"), np.zeros((2, 2, 2))) is None
