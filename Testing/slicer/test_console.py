"""The console's calls on a warm worker, and that nothing of it keeps the event loop waiting: a Qt stand-in's timers."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time

import numpy as np
import pytest
import slicer
from slicer_phantoms import BLOCK_VOXELS, addAdc, addHead, addRotationTransform
from stand_in import ROOT
from stand_in_cards import STAND_IN_COMMAND, card
from StrokeSegApp.scene import volumeFromNode
from StrokeSegApp.worker_client import RunError

from StrokeSegLib.case_table import Case, write_case_table
from StrokeSegLib.errors import InputError
from StrokeSegLib.io import read_image, write_image

#: Longer than any machine needs, however busy.
PATIENCE_S = 60
#: Handing the volumes over, and bringing the result into the scene.
STEP_S = 1.0
signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch, scene):
    """Temporary files come here, where a test can see whether any is left."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


@pytest.fixture
def console(monkeypatch):
    """The module's logic, with the stand-in worker and its models."""
    import StrokeSeg

    behaviors = ("bright", "empty", "refuse", "crash", "silent", "slow", "patient")
    monkeypatch.setattr(StrokeSeg.StrokeSegLogic, "models", lambda self: [card(behavior) for behavior in behaviors])
    logic = StrokeSeg.StrokeSegLogic()
    logic.command = STAND_IN_COMMAND
    yield logic
    logic.close()


def inputs(transform=None):
    nodes = {"dwi": addHead("DWI", "oblique"), "adc": addAdc("ADC", "oblique")}
    for node in nodes.values():
        node.SetAndObserveTransformNodeID(transform.GetID() if transform else None)
    return nodes


def process(console):
    return console.worker().child.process_id


def until(condition, events=None):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        if events is not None:
            events()
        time.sleep(0.01)


def voxels(segmentation, reference):
    return int(slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "StrokeSeg_1", reference).sum())


def test_two_runs_share_one_process_and_close_ends_it_and_leaves_no_file(console, temporary):
    nodes = inputs()
    first, _ = console.segment(nodes, "bright")
    before = process(console)
    second, measurements = console.segment(nodes, "bright")
    assert process(console) == before
    assert first.GetID() != second.GetID()
    assert voxels(second, nodes["dwi"]) == sum(BLOCK_VOXELS)
    assert measurements["inputs"]["dwi"]["path"] == "DWI"
    child = console.worker().child
    console.close()
    assert child.exit_code() is not None
    assert list(temporary.iterdir()) == []
    console.segment(nodes, "bright")  # and again
    assert process(console) != before


def test_two_runs_at_once_are_both_brought_to_their_end(console):
    nodes = inputs()
    runs = [console.start(nodes, card("bright")) for _ in range(2)]
    until(lambda: all([run.poll() for run in runs]))
    found = [run.finish()[0] for run in reversed(runs)]
    assert [voxels(each, nodes["dwi"]) for each in found] == [sum(BLOCK_VOXELS)] * 2


@signals
def test_a_killed_worker_is_one_clear_line_and_the_next_run_works(console):
    nodes = inputs()
    run = console.start(nodes, card("patient"))
    until(lambda: run.poll() or run.progress is not None)
    os.kill(process(console), signal.SIGKILL)
    until(run.poll)
    with pytest.raises(
        RunError,
        match=r"^The segmentation stopped unexpectedly \(exit code -9\)\. The system ended it, .*lack of memory: .*\.$",
    ):
        run.finish()
    segmentation, _ = console.segment(nodes, "bright")
    assert voxels(segmentation, nodes["dwi"]) == sum(BLOCK_VOXELS)


def test_a_run_that_obeys_a_cancel_leaves_the_worker_warm(console):
    run = console.start(inputs(), card("patient"))
    until(lambda: run.poll() or run.progress is not None)
    before = process(console)
    run.cancel()
    assert not run._folder.exists()
    console.segment(inputs(), "empty")
    assert process(console) == before


def test_seconds_tell_what_handing_over_and_building_took(console):
    run = console.start(inputs(), card("bright"))
    began = time.thread_time()  # of this thread, so that a busy computer counts for nothing
    until(run.poll)
    handedOver = time.thread_time()
    run.finish()
    assert set(run.seconds) >= {"hand_over", "build"}
    assert all(seconds > 0 for seconds in run.seconds.values())
    assert handedOver - began < STEP_S
    assert time.thread_time() - handedOver < STEP_S


def test_a_logic_that_nobody_holds_any_more_ends_its_process(temporary):
    import StrokeSeg

    logic = StrokeSeg.StrokeSegLogic()
    logic.command = STAND_IN_COMMAND
    logic.worker().start()
    child = logic.worker().child
    del logic
    assert child.exit_code() is not None
    assert list(temporary.iterdir()) == []


# Batches


def test_a_batch_of_nodes_has_a_result_for_each_case_and_one_that_fails_does_not_stop_the_others(console):
    nodes = inputs()
    told = []
    cases = [{"case_id": "a", **nodes}, {"dwi": nodes["dwi"]}, {"case_id": "c", **nodes}]
    results = console.segmentBatch(cases, "bright", progress=lambda *step: told.append(step))
    assert [result.caseId for result in results] == ["a", "case-002", "c"]
    assert [result.error is None for result in results] == [True, False, True]
    assert isinstance(results[1].error, InputError)
    assert "needs adc as well" in str(results[1].error)
    assert voxels(results[2].segmentation, nodes["dwi"]) == sum(BLOCK_VOXELS)
    assert results[0].measurements["labels"][0]["lesion_count"] == 2
    assert told[-1] == ("cases", 3, 3)


def test_a_worker_that_dies_is_the_error_of_each_case_and_the_batch_comes_to_its_end(console):
    results = console.segmentBatch([inputs(), inputs()], "crash")
    assert [str(result.error) for result in results] == ["The segmentation stopped unexpectedly (exit code 1)."] * 2


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ([], "the list of cases is empty"),
        ([{"dwi": "a.nii"}], "a result folder is needed"),
        ([{"case_id": "../a", "dwi": "a.nii"}], "is no name for a case"),
        ([{"case_id": "a", "dwi": "a.nii"}, {"case_id": "a", "dwi": "b.nii"}], "two cases are named 'a'"),
        ("nowhere.csv", "nowhere.csv"),
    ],
)
def test_a_wrong_list_is_refused_before_anything_starts(console, temporary, cases, message):
    with pytest.raises(InputError, match=message):
        console.segmentBatch(cases, "bright")
    assert list(temporary.iterdir()) == []


# Callbacks


def test_on_the_stand_in_a_run_calls_back_with_its_result_and_the_event_loop_is_never_kept_waiting(
    console, qtApplication
):
    import qt

    nodes = inputs()
    large = slicer.util.addVolumeFromArray(np.zeros((60, 512, 512), np.int16), name="large")  # 31 MB

    def run():
        ended, told, turns = [], [], []
        console.segment(
            {"dwi": large, "adc": nodes["adc"]},
            "empty",
            lambda *step: told.append(step),
            lambda result, error: ended.append((result, error)),
        )

        def turn():
            begun = time.perf_counter() - takenAway()
            qt.QApplication.processEvents()
            turns.append(time.perf_counter() - takenAway() - begun)

        until(lambda: ended, turn)
        (segmentation, measurements), error = ended[0]
        assert error is None
        assert measurements["lesions"] == []
        assert segmentation.GetClassName() == "vtkMRMLSegmentationNode"
        assert len(ended) == 1
        assert told
        return turns[:-1]  # the last turn builds the result

    # A disk that others keep busy may hold up a turn now and then; what we do ourselves would be there every time.
    longest = []
    while not longest or (longest[-1] >= 0.05 and len(longest) < 3):
        longest.append(max(run()))
    assert min(longest) < 0.05, longest


def takenAway():
    """Seconds so far in which this thread could have gone on, but another program had the processor.

    Where the system does not tell, all but this thread's own work.
    """
    try:
        with open(f"/proc/self/task/{threading.get_native_id()}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except OSError:
        return time.perf_counter() - time.thread_time()


def test_on_the_stand_in_an_error_is_called_back_too(console, qtApplication):
    import qt

    ended = []
    console.segment(inputs(), "refuse", finished=lambda *what: ended.append(what))
    until(lambda: ended, qt.QApplication.processEvents)
    assert ended[0][0] is None
    assert str(ended[0][1]).startswith("volume 'DWI' looks like a CT")


def test_on_the_stand_in_a_batch_calls_back_with_a_result_a_case(console, qtApplication):
    import qt

    ended = []
    console.segmentBatch([inputs()], "bright", finished=lambda *what: ended.append(what))
    until(lambda: ended, qt.QApplication.processEvents)
    assert [result.caseId for result in ended[0][0]] == ["case-001"]


@signals
def test_on_the_stand_in_a_cancel_does_not_wait_and_a_run_that_does_not_listen_is_killed_by_a_timer(
    console, qtApplication
):
    import qt

    nodes = inputs()
    run = console.start(nodes, card("slow"))
    until(lambda: run.poll() or run.progress is not None)
    child = console.worker().child
    began = time.perf_counter()
    run.cancel(wait=False)
    assert time.perf_counter() - began < 0.5
    assert child.exit_code() is None
    until(lambda: child.exit_code() is not None, qt.QApplication.processEvents)
    assert not run._folder.exists()
    segmentation, _ = console.segment(nodes, "bright")
    assert voxels(segmentation, nodes["dwi"]) == sum(BLOCK_VOXELS)


def test_on_the_stand_in_a_run_started_right_after_a_cancel_works(console, qtApplication):
    nodes = inputs()
    stuck = console.start(nodes, card("slow"))
    until(lambda: stuck.poll() or stuck.progress is not None)
    stuck.cancel(wait=False)
    segmentation, _ = console.segment(nodes, "bright")
    assert voxels(segmentation, nodes["dwi"]) == sum(BLOCK_VOXELS)


# The real worker

needsModel = pytest.mark.skipif(
    not (ROOT / "Resources" / "Models" / "mri" / "model.json").is_file(),
    reason="the bundled model Resources/Models/mri is not in this checkout",
)


@needsModel
def test_the_consoles_result_is_the_librarys_bit_for_bit_from_nodes_and_from_files(tmp_path, monkeypatch, scene):
    import StrokeSeg
    from StrokeSegLib import segment

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    logic = StrokeSeg.StrokeSegLogic()
    nodes = inputs(addRotationTransform())
    run = logic.start(nodes, next(each for each in logic.models() if each.id == "mri"), device="cpu")
    until(run.poll)
    ran = run._out
    files = {name: (ran / name).read_bytes() for name in ("lesion.nii", "probability.nii")}
    segmentation, measurements = run.finish()
    assert run.seconds["load"] > 0
    volumes = {role: volumeFromNode(node) for role, node in nodes.items()}
    plain = segment(volumes, "mri", "cpu")
    for name, expected in (
        ("lesion.nii", plain.labels.array),
        ("probability.nii", plain.probability[1].array.round(3)),
    ):
        (tmp_path / name).write_bytes(files[name])
        np.testing.assert_array_equal(read_image(tmp_path / name).volume.array, expected)
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "StrokeSeg_1", nodes["dwi"])
    np.testing.assert_array_equal(mask, plain.labels.array)
    for key in ("labels", "lesions", "total_volume_ml", "sha256", "thresholds"):
        assert measurements[key] == plain.measurements[key]

    # A case table of the same volumes, in the same warm worker.
    before = process(logic)
    paths = {role: tmp_path / f"{role}.mha" for role in volumes}
    for role, volume in volumes.items():
        write_image(volume, paths[role])
    write_case_table([Case("x", "x", paths)], tmp_path / "cases.csv")
    table = tmp_path / "cases.csv"
    (result,) = logic.segmentBatch(table, "mri", tmp_path / "results", device="cpu")
    assert process(logic) == before
    assert result.error is None
    assert result.measurements["seconds"]["load"] == pytest.approx(0, abs=0.05)
    assert result.measurements["lesions"] == measurements["lesions"]
    assert result.out == tmp_path / "results" / "x"
    found = read_image(result.out / "lesion.nii.gz").volume.array
    np.testing.assert_array_equal(found, plain.labels.array)
    (again,) = logic.segmentBatch(table, "mri", tmp_path / "results", device="cpu", resume=True)
    assert again.measurements == json.loads((result.out / "measurements.json").read_text())
    (refused,) = logic.segmentBatch(table, "mri", tmp_path / "results", device="cpu")
    assert "already holds results" in str(refused.error)
    logic.close()
