"""Runs from nodes to nodes, on Slicer's own MRML; the command line is a stand-in that honors its contract."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import slicer
from slicer_phantoms import BLOCK_VOXELS, GRIDS, addAdc, addHead, addRotationTransform, voxelVolumeMl
from stand_in import ROOT
from stand_in_cards import STAND_IN_COMMAND, Card, Input, card
from StrokeSegApp import logic
from StrokeSegApp.progress import STAGE_SHARES, Progress, parseProgress
from StrokeSegApp.scene import storedMeasurements, volumeFromNode

from StrokeSegLib.errors import InputError


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch, scene):
    """Runs keep their temporary files here, where a test can see whether any is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


DATA = ROOT.parent / "shared" / "data"


def inputs(grid="axial", transform=None):
    nodes = {"dwi": addHead("DWI", grid), "adc": addAdc("ADC", grid)}
    for node in nodes.values():
        node.SetAndObserveTransformNodeID(transform.GetID() if transform else None)
    return nodes


def start(behavior, nodes=None):
    return logic.SegmentationRun(nodes or inputs(), card(behavior), STAND_IN_COMMAND)


def wait(run, seconds=20):
    until = time.monotonic() + seconds
    while not run.poll():
        assert time.monotonic() < until, run.progress
        time.sleep(0.02)
    return run


def segmentations():
    return slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("transformed", [False, True])
def test_the_result_lies_on_the_voxels_of_the_first_input_and_its_milliliters_are_those_of_the_table(grid, transformed):
    nodes = inputs(grid, addRotationTransform() if transformed else None)
    segmentation, measurements = wait(start("bright", nodes)).finish()
    truth = slicer.util.arrayFromVolume(nodes["dwi"]) > 200
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "StrokeSeg_1", nodes["dwi"])
    np.testing.assert_array_equal(mask, truth)
    expected = [voxels * voxelVolumeMl(grid) for voxels in BLOCK_VOXELS]
    assert [lesion["volume_ml"] for lesion in measurements["lesions"]] == pytest.approx(expected, rel=1e-5)
    assert measurements["total_volume_ml"] == pytest.approx(mask.sum() * voxelVolumeMl(grid), rel=1e-5)


def test_a_lesion_is_measured_where_the_transformed_volume_stands():
    nodes = inputs("oblique", addRotationTransform())
    _, measurements = wait(start("bright", nodes)).finish()
    center = volumeFromNode(nodes["dwi"]).ijk_to_ras((6, 5, 4))  # the middle of the block [3:6, 4:7, 5:8]
    np.testing.assert_allclose(measurements["lesions"][0]["centroid_ras_mm"], center, atol=1e-3)


def test_the_grid_is_that_of_the_models_first_role_whatever_order_the_caller_gives():
    nodes = {"adc": addAdc("ADC", "oblique"), "dwi": addHead("DWI", "axial")}
    segmentation, _ = wait(start("bright", nodes)).finish()
    assert segmentation.GetName().endswith("DWI")


def test_no_temporary_file_is_left_after_any_end(temporary):
    for behavior in ("bright", "empty", "refuse", "crash", "silent", "shifted"):
        run = wait(start(behavior))
        assert list(temporary.iterdir()) != []
        try:
            run.finish()
        except (InputError, logic.RunError):
            pass
        assert list(temporary.iterdir()) == [], behavior


def test_each_label_becomes_a_segment_of_its_own_with_its_own_voxels_and_milliliters():
    nodes = inputs()
    segmentation, measurements = wait(start("two", nodes)).finish()
    segments = segmentation.GetSegmentation()
    assert [segments.GetNthSegment(index).GetName() for index in range(2)] == ["Ischemic lesion", "Hemorrhage"]
    for value, label in zip((1, 2), measurements["labels"], strict=True):
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, f"StrokeSeg_{value}", nodes["dwi"])
        assert mask.sum() == BLOCK_VOXELS[value - 1]
        assert label["volume_ml"] == pytest.approx(mask.sum() * voxelVolumeMl("axial"))


def test_nothing_found_is_a_result_with_an_empty_segment():
    segmentation, measurements = wait(start("empty")).finish()
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 1
    assert measurements["lesions"] == []


def test_the_childs_one_line_is_the_message_when_it_refuses_the_input():
    with pytest.raises(InputError, match=r"^volume 'DWI' looks like a CT"):
        wait(start("refuse")).finish()
    assert segmentations() == []


def test_a_crash_gives_one_clear_line_and_the_childs_words_as_details():
    with pytest.raises(logic.RunError, match=r"^The segmentation stopped unexpectedly \(exit code 1\)\.$") as caught:
        wait(start("crash")).finish()
    assert "RuntimeError: the weights do not fit the network" in caught.value.details
    assert segmentations() == []


def test_a_fault_that_the_command_explains_in_its_own_line_is_shown_in_that_line():
    with pytest.raises(logic.RunError, match=r"^out of memory; close other programs"):
        wait(start("full")).finish()


def test_an_end_without_a_result_is_an_error():
    with pytest.raises(logic.RunError, match="without a readable result"):
        wait(start("silent")).finish()


def test_a_result_on_another_grid_is_never_shown():
    with pytest.raises(InputError, match="changed its geometry"):
        wait(start("shifted")).finish()
    assert segmentations() == []


def test_cancel_ends_the_whole_process_tree_within_two_seconds_and_leaves_no_file(temporary):
    run = start("slow")
    until = time.monotonic() + 20
    while run.progress is None or run.progress.stage != "network":
        assert not run.poll()
        assert time.monotonic() < until
    grandchild = int(run._log.split()[-1])
    started = time.monotonic()
    run.cancel()
    assert time.monotonic() - started < 2
    assert list(temporary.iterdir()) == []
    for process in (run._child.process_id, grandchild):
        assert not _alive(process)


def _alive(process):
    for _ in range(50):  # an orphan that was killed stays a zombie until init has seen it
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
        if state.stdout.strip().startswith("Z") or not state.stdout.strip():
            return False
        time.sleep(0.02)
    return True


def test_progress_is_read_from_the_childs_lines():
    run = wait(start("bright"))
    assert run.progress == Progress("write", 1, 1, 0.0)
    assert run.progress.fraction == pytest.approx(1.0)
    run.cancel()


def test_a_progress_line_tells_how_much_of_the_whole_is_done():
    assert parseProgress("progress network 2 4 12.5") == Progress("network", 2, 4, 12.5)
    assert parseProgress("progress read 0 2 -") == Progress("read", 0, 2, None)
    assert parseProgress("Traceback (most recent call last):") is None
    assert sum(STAGE_SHARES.values()) == pytest.approx(1.0)
    assert Progress("network", 2, 4, 12.5).fraction == pytest.approx(0.05 + 0.05 + 0.1 + 0.6 / 2)
    assert Progress("unheard_of", 1, 2, None).fraction is None


def test_a_volume_deleted_during_the_run_is_named_and_nothing_is_added(scene):
    nodes = inputs()
    run = wait(start("bright", nodes))
    scene.RemoveNode(nodes["dwi"])
    with pytest.raises(InputError, match="'DWI' was removed"):
        run.finish()
    assert segmentations() == []


def test_a_scene_closed_during_the_run_stays_empty(scene, temporary):
    run = wait(start("bright"))
    scene.Clear(0)
    with pytest.raises(InputError, match="removed"):
        run.finish()
    assert segmentations() == []
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs dwi, adc as well; got nothing"),
        ({"dwi": "DWI"}, "needs adc as well; got dwi"),
        ({"dwi": "DWI", "adc": "ADC", "ct": "CT"}, "has no input 'ct'; its inputs are dwi, adc, flair"),
    ],
)
def test_wrong_roles_are_refused_before_anything_starts(given, message, temporary):
    with pytest.raises(InputError, match=message):
        start("bright", {role: addHead(name) for role, name in given.items()} or {"dwi": None})
    assert list(temporary.iterdir()) == []


def test_any_two_of_three_optional_inputs_are_enough_when_two_are_the_minimum():
    three = Card(inputs=tuple(Input(role, required=False) for role in ("dwi", "adc", "flair")), minimum_inputs=2)
    assert logic.missingInputs(three, ["flair"]) == ["dwi", "adc"]
    assert logic.missingInputs(three, ["flair", "dwi"]) == []


def test_a_program_that_cannot_start_gives_one_line_and_leaves_no_file(temporary):
    with pytest.raises(logic.RunError, match="could not be started"):
        logic.SegmentationRun(inputs(), card("bright"), ["/no/such/python"])
    assert list(temporary.iterdir()) == []


def test_the_measurements_name_the_volume_instead_of_the_temporary_copy():
    segmentation, measurements = wait(start("bright")).finish()
    assert measurements["inputs"]["dwi"]["path"] == "DWI"
    assert storedMeasurements(segmentation) == measurements


def test_the_child_finds_the_library_first_on_its_python_path():
    _, measurements = wait(start("bright")).finish()
    assert str(ROOT) in measurements["saw"]["python_path"]


def test_the_console_call_waits_and_gives_node_and_measurements(monkeypatch):
    monkeypatch.setattr(logic, "find_model", card)
    said = []
    tell = lambda stage, done, total: said.append((stage, done, total))  # noqa: E731
    segmentation, measurements = logic.segment(inputs(), "bright", tell, STAND_IN_COMMAND)
    assert segmentation.GetClassName() == "vtkMRMLSegmentationNode"
    assert measurements["labels"][0]["lesion_count"] == 2
    assert said[-1] == ("write", 1, 1)


def test_the_console_call_ends_the_child_when_it_is_interrupted(monkeypatch, temporary):
    monkeypatch.setattr(logic, "find_model", card)

    def interrupt(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        logic.segment(inputs(), "slow", interrupt, STAND_IN_COMMAND)
    assert list(temporary.iterdir()) == []


def test_the_console_call_names_a_missing_package_and_the_cure(monkeypatch):
    monkeypatch.setattr(logic, "find_model", card)
    monkeypatch.setattr(logic.dependencies, "missingRequirements", lambda: ["openvino>=2025.0"])
    with pytest.raises(logic.RunError, match=r"pip_install\('openvino>=2025.0'\)"):
        logic.segment(inputs(), "bright", None, STAND_IN_COMMAND)


def test_slicers_process_imports_neither_torch_nor_openvino_nor_safetensors_in_a_run(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\n"
        f"sys.path[:0] = {[str(Path(__file__).parent), *(p for p in sys.path if p)]!r}\n"
        "from stand_in import application; application.start()\n"
        "from stand_in_cards import card, STAND_IN_COMMAND\n"
        "from slicer_phantoms import addHead\n"
        "from StrokeSegApp import logic\n"
        "import time\n"
        "run = logic.SegmentationRun({'dwi': addHead(), 'adc': addHead()}, card('bright'), STAND_IN_COMMAND)\n"
        "while not run.poll(): time.sleep(0.05)\n"
        "run.finish()\n"
        "import json; print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "StrokeSegLib.io" in loaded
    assert loaded & {"torch", "openvino", "safetensors", "monai"} == set()


def test_the_real_command_is_found_and_its_one_line_is_shown():
    run = logic.SegmentationRun(inputs(), card("no-such-model"))
    with pytest.raises(InputError, match=r"^unknown model 'no-such-model'; known: "):
        wait(run, seconds=60).finish()


needsModel = pytest.mark.skipif(
    not (ROOT / "Resources" / "Models" / "mri" / "model.json").is_file(),
    reason="the bundled model Resources/Models/mri is not in this checkout",
)


@needsModel
def test_the_bundled_model_finds_nothing_absurd_on_a_phantom_and_keeps_its_grid():
    nodes = inputs("oblique", addRotationTransform())
    segmentation, measurements = logic.segment(nodes)
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "StrokeSeg_1", nodes["dwi"])
    assert mask.shape == slicer.util.arrayFromVolume(nodes["dwi"]).shape
    assert measurements["total_volume_ml"] == pytest.approx(mask.sum() * voxelVolumeMl("oblique"), abs=1e-3)


@needsModel
@pytest.mark.data
@pytest.mark.slow
def test_on_a_real_case_slicers_console_and_plain_python_find_the_same():
    from StrokeSegLib import segment

    case = DATA / "cases" / "dwi-adc-isles22-0003"
    if not case.is_dir():
        pytest.skip("the real images (../shared/data) are not here")
    files = {role: case / f"{role}.nii.gz" for role in ("dwi", "adc")}
    load = slicer.modules.volumes.logic().AddArchetypeVolume
    nodes = {role: load(str(path), role) for role, path in files.items()}
    segmentation, inSlicer = logic.segment(nodes)
    plain = segment(files).measurements
    assert inSlicer["total_volume_ml"] == pytest.approx(plain["total_volume_ml"], abs=0.01)
    volumes = [[lesion["volume_ml"] for lesion in each["lesions"]] for each in (inSlicer, plain)]
    assert volumes[0] == pytest.approx(volumes[1], abs=0.002)
    largest = [each["lesions"][0]["centroid_ras_mm"] for each in (inSlicer, plain)]
    np.testing.assert_allclose(largest[0], largest[1], atol=0.2)
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "StrokeSeg_1", nodes["dwi"])
    truth = slicer.util.arrayFromVolume(load(str(case / "lesion.nii.gz"), "truth")) > 0
    dice = 2 * (mask * truth).sum() / (mask.sum() + truth.sum())
    assert dice > 0.75, dice
