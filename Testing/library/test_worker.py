"""Jobs of the worker through its client: answered in order, told of, cancelled and really killed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest
from worker_processes import LONG, alive, begun, signals, until

from StrokeSegLib.errors import InputError
from StrokeSegLib.worker.client import JobCancelledError, Worker, WorkerError
from StrokeSegLib.worker.process import Child
from StrokeSegLib.worker.telling import INTERVAL_S, CancelledError, Telling

pytestmark = pytest.mark.usefixtures("temporary")


def test_two_jobs_at_once_are_both_answered_in_their_order(worker):
    first, second = (worker.ask("count", {"steps": steps, "seconds": 0.02}) for steps in (3, 2))
    assert worker.wait(second) == {"counted": 2}
    assert first.ended
    assert worker.wait(first) == {"counted": 3}


def test_progress_comes_with_every_stages_first_and_last_step(worker):
    told = []
    call = worker.ask("count", {"steps": 3, "seconds": 0.2})
    worker.wait(call, lambda *step: told.append(step))
    assert told[-1] == ("count", 3, 3)
    assert {(stage, total) for stage, _, total in told} == {("count", 3)}
    assert call.progress.eta_s == 0.0


def test_the_eta_is_of_the_stage_and_steps_that_follow_at_once_are_left_out():
    now, sent = [0.0], []
    tell = Telling(7, lambda message: sent.append(message["params"]), threading.Event(), lambda: now[0])
    for time_s, step in (
        (0, ("read", 0, 2)),
        (1, ("network", 0, 4)),
        (1 + INTERVAL_S / 2, ("network", 1, 4)),  # too soon
        (3, ("network", 2, 4)),  # 2 of 4 in 2 s: 2 s left
        (3 + INTERVAL_S / 2, ("network", 4, 4)),
    ):
        now[0] = time_s
        tell(*step)
    assert [(each["stage"], each["done"], each["eta_s"]) for each in sent] == [
        ("read", 0, None), ("network", 0, None), ("network", 2, 2.0), ("network", 4, 0.0),
    ]  # fmt: skip
    assert {each["id"] for each in sent} == {7}


def test_a_cancelled_jobs_progress_callback_raises():
    stopped = threading.Event()
    tell = Telling(1, lambda message: None, stopped)
    tell("read", 0, 1)
    stopped.set()
    with pytest.raises(CancelledError):
        tell("read", 1, 1)


def test_wrong_input_out_of_memory_and_faults_are_errors_and_the_worker_lives(worker):
    with pytest.raises(InputError, match=r"^dwi is a CT; choose a DWI$"):
        worker.wait(worker.ask("fail", {"how": "input"}))
    with pytest.raises(WorkerError, match=r"^out of memory; close other programs"):
        worker.wait(worker.ask("fail", {"how": "memory"}))
    with pytest.raises(WorkerError, match=r"^KeyError: 'weights'$") as caught:
        worker.wait(worker.ask("fail", {"how": "fault"}))
    assert "Traceback" in caught.value.details
    process = worker.child.process_id
    assert worker.wait(worker.ask("status", {}))["pid"] == process


# Cancel and kill


def test_a_job_is_cancelled_within_a_second_and_the_worker_stays(worker):
    call = worker.ask("count", LONG)
    begun(worker, call)
    process = worker.child.process_id
    began = time.monotonic()
    worker.cancel_and_wait(call)
    assert time.monotonic() - began < 3  # 1 s on a machine that is not busy
    with pytest.raises(JobCancelledError):
        call.result()
    assert worker.wait(worker.ask("count", {"steps": 1, "seconds": 0})) == {"counted": 1}
    assert worker.child.process_id == process


def test_a_waiting_job_is_cancelled_at_once_and_the_running_one_goes_on(worker):
    running = worker.ask("count", {"steps": 20, "seconds": 0.05})
    waiting = worker.ask("count", LONG)
    worker.cancel_and_wait(waiting)
    assert worker.wait(running) == {"counted": 20}
    with pytest.raises(JobCancelledError):
        waiting.result()


@signals
def test_a_job_that_does_not_listen_is_killed_with_its_children_and_leaves_nothing_half_written(worker, tmp_path):
    call = worker.ask("segment", {"out": str(tmp_path / "new" / "out"), "deaf": True})
    begun(worker, call)
    processes = (worker.child.process_id, call.progress.total)
    assert all(alive(process) for process in processes)
    next_one = worker.ask("count", {"steps": 1, "seconds": 0})
    began = time.monotonic()
    worker.cancel_and_wait(call)
    assert 1 <= time.monotonic() - began < 10
    until(lambda: not any(alive(process) for process in processes), "the end of the tree")
    assert [each.name for each in tmp_path.iterdir()] == ["temporary"]
    assert worker.wait(next_one) == {"counted": 1}  # the one that waited behind it is asked again of a new worker


@signals
def test_a_worker_that_is_killed_is_one_clear_error_and_the_next_request_starts_a_new_one(worker, tmp_path):
    call = worker.ask("segment", {"out": str(tmp_path / "out"), "deaf": False})
    begun(worker, call)
    grandchild = call.progress.total
    waiting = worker.ask("count", {"steps": 2, "seconds": 0})
    os.kill(worker.child.process_id, signal.SIGKILL)
    with pytest.raises(WorkerError, match=r"^the worker stopped unexpectedly \(exit code -9\)$") as caught:
        worker.wait(call)
    assert caught.value.exit_code == -9
    assert worker.wait(waiting) == {"counted": 2}
    assert worker.wait(worker.ask("count", {"steps": 1, "seconds": 0})) == {"counted": 1}
    until(lambda: not alive(grandchild), "the grandchild's end")
    assert [each.name for each in tmp_path.iterdir()] == ["temporary"]


@signals
def test_a_worker_that_hangs_is_killed_when_a_cancel_is_not_answered(worker):
    call = worker.ask("count", LONG)
    begun(worker, call)
    os.kill(worker.child.process_id, signal.SIGSTOP)
    worker.cancel_and_wait(call)
    with pytest.raises(JobCancelledError):
        call.result()
    assert worker.wait(worker.ask("count", {"steps": 1, "seconds": 0})) == {"counted": 1}


def test_what_the_callback_raises_and_an_interrupt_cancel_the_job(worker):
    def interrupt(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        worker.wait(worker.ask("count", LONG), interrupt)
    assert worker.wait(worker.ask("status", {}))["busy"] is False


def test_closing_ends_the_process_in_a_job_and_removes_the_temporary_folder(worker, temporary):
    call = worker.ask("count", LONG)
    begun(worker, call)
    child = worker.child
    worker.close()
    assert child.exit_code() is not None
    with pytest.raises(JobCancelledError):
        call.result()
    assert list(temporary.iterdir()) == []


def test_after_a_worker_has_ended_and_cleaned_up_the_next_request_starts_another(worker):
    worker.start()
    folder = worker.folder
    worker.child.close_input()
    until(lambda: worker.child.exit_code() is not None, "the end")
    assert not folder.exists()
    assert worker.wait(worker.ask("status", {}))["pid"] == worker.child.process_id


def test_a_program_that_cannot_start_or_is_no_worker_is_an_error_and_leaves_nothing(temporary):
    with pytest.raises(OSError, match="no/such/python"):
        Worker(["/no/such/python"]).ask("status", {})
    no_worker = Worker([sys.executable, "-c", "raise SystemExit('no module named so')"])
    with pytest.raises(WorkerError, match="exit code 1") as caught:
        no_worker.wait(no_worker.ask("status", {}))
    assert "no module named so" in caught.value.details
    no_worker.close()
    assert list(temporary.iterdir()) == []


def test_asking_and_polling_never_wait(worker):
    call = worker.ask("count", LONG)
    begun(worker, call)
    took = []
    for _ in range(40):
        began = time.perf_counter()
        worker.poll()
        took.append(time.perf_counter() - began)
        time.sleep(0.01)
    assert sorted(took)[len(took) // 2] < 0.01
    began = time.perf_counter()
    worker.cancel(call)
    assert time.perf_counter() - began < 0.5


@signals
def test_a_process_killed_at_once_is_not_asked_to_clean_up_first(tmp_path, monkeypatch):
    """Others' files lie in its folder: half a clean-up would take the inputs of the job that comes next."""
    sent, at_the_end = [], []
    real = os.killpg
    child = Child([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path, dict(os.environ))

    def noted(group, number):
        sent.append(number)
        at_the_end.append(child._process.stdin.closed)
        real(group, number)

    monkeypatch.setattr(os, "killpg", noted)
    child.kill(0.0)
    assert sent == [signal.SIGKILL]
    assert at_the_end == [False]
    assert child._process.stdin.closed
    assert child.exit_code() == -signal.SIGKILL
