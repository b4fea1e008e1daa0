"""The worker: real processes, spoken to, cancelled and really killed. Methods without a network: worker_methods.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from StrokeSegLib import __version__
from StrokeSegLib.errors import InputError
from StrokeSegLib.worker.client import JobCancelledError, Worker, WorkerError
from StrokeSegLib.worker.process import SCRATCH_MARK, Child, make_scratch
from StrokeSegLib.worker.serving import remove_scratch
from StrokeSegLib.worker.telling import INTERVAL_S, CancelledError, Telling

COMMAND = [sys.executable, str(Path(__file__).with_name("worker_methods.py"))]
#: Longer than any machine needs, however busy.
PATIENCE_S = 60
LONG = {"steps": 10_000, "seconds": 0.02}

signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals and no ps")


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Temporary files come here, where a test can see whether any is left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def worker():
    made = Worker(COMMAND)
    yield made
    made.close()


def until(condition, what="it"):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.02)


def begun(worker, call):
    """Until a job has told its first step."""

    def told():
        worker.poll()
        assert not call.ended, call.result()
        return call.progress is not None

    until(told, "progress")


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.strip().startswith("Z")


class Spoken:
    """A worker that is spoken to line by line, as any program could."""

    def __init__(self, *words):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen([*COMMAND, *words], **pipes, start_new_session=True)

    def send(self, *lines):
        for line in lines:
            text = line if isinstance(line, bytes) else json.dumps(line).encode()
            self.process.stdin.write(text + b"\n")
        self.process.stdin.flush()

    def end(self):
        """Closes stdin; gives all messages and the exit code."""
        out, self.errors = self.process.communicate(timeout=PATIENCE_S)
        return [json.loads(line) for line in out.splitlines()], self.process.returncode


def request(method, id_=1, **params):
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}


# The language


def test_lines_that_are_no_request_get_json_rpcs_errors_and_the_worker_lives():
    spoken = Spoken()
    spoken.send(
        b"{not json",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'["jsonrpc"]',
        {"id": 5, "method": "status"},
        {"jsonrpc": "2.0", "id": 6},
        {"jsonrpc": "2.0", "id": [7], "method": "status"},
        {"jsonrpc": "2.0", "id": 8, "method": "status", "params": [1]},
        request("paint", 9),
        request("count", 10, steps=1),
        request("cancel", 11),
        b"",
        request("status", 12),
    )
    messages, code = spoken.end()
    got = [(each["id"], each.get("error", {}).get("code")) for each in messages]
    assert got == [
        (None, -32700), (None, -32700), (None, -32700), (None, -32600), (5, -32600), (6, -32600), (None, -32600),
        (8, -32602), (9, -32601), (10, -32602), (11, -32602), (12, None),
    ]  # fmt: skip
    assert "known: say, count, segment, fail, cancel, status, shutdown" in messages[8]["error"]["message"]
    assert {each["jsonrpc"] for each in messages} == {"2.0"}
    assert code == 0


def test_a_notification_of_a_wrong_method_is_answered_with_an_error_without_id_and_a_good_one_not_at_all():
    spoken = Spoken()
    spoken.send({"jsonrpc": "2.0", "method": "status"}, request("status", 2))
    messages, _ = spoken.end()
    assert [each["id"] for each in messages] == [2]


def test_what_is_printed_goes_to_stderr_and_a_reader_of_stdin_finds_it_empty():
    spoken = Spoken()
    spoken.send(request("say", word="é 脳 \n"))
    answer = json.loads(spoken.process.stdout.readline())
    messages, _ = spoken.end()
    assert answer == {"jsonrpc": "2.0", "id": 1, "result": {"params": {"word": "é 脳 \n"}, "stdin": ""}}
    assert messages == []
    for who in (b"print", b"a program", b"a warning"):
        assert who + b" was here" in spoken.errors


def test_the_status_is_told_while_a_job_runs_and_says_what_runs_and_waits():
    spoken = Spoken()
    spoken.send(request("count", "a", **LONG), request("count", "b", steps=1, seconds=0))
    while json.loads(spoken.process.stdout.readline()).get("method") != "progress":
        pass
    spoken.send(request("status", 3), request("shutdown", 4))
    messages, code = spoken.end()
    answers = {each["id"]: each for each in messages if "id" in each}
    assert answers[3]["result"] == {
        "busy": True, "job": "a", "queued": 1, "models": [], "version": __version__, "pid": spoken.process.pid,
    }  # fmt: skip
    assert answers[4]["result"] == {}
    assert {answers[id_]["error"]["code"] for id_ in "ab"} == {-32002}
    assert code == 0


def test_an_id_that_is_in_use_is_refused():
    spoken = Spoken()
    spoken.send(request("count", 1, **LONG), request("count", 1, steps=1, seconds=0), request("shutdown", 2))
    messages, _ = spoken.end()
    assert [each["error"]["code"] for each in messages if each.get("id") == 1] == [-32600, -32002]


# The end


def test_the_worker_ends_when_its_stdin_ends_also_in_the_middle_of_a_job_and_leaves_nothing(tmp_path, temporary):
    scratch = make_scratch()
    spoken = Spoken("--scratch", str(scratch))
    spoken.send(request("segment", out=str(tmp_path / "out"), deaf=False))
    first = json.loads(spoken.process.stdout.readline())
    assert first["method"] == "progress"
    assert [each.name for each in tmp_path.iterdir()] != ["temporary"]
    _, code = spoken.end()
    assert code == 0
    if os.name != "nt":
        until(lambda: not alive(first["params"]["total"]), "the end of what the job had started")
    assert [each.name for each in tmp_path.iterdir()] == ["temporary"]
    assert list(temporary.iterdir()) == []


def test_only_a_folder_with_the_clients_mark_is_removed(tmp_path):
    (tmp_path / "mine").mkdir()
    remove_scratch(tmp_path / "mine")
    remove_scratch(None)
    assert (tmp_path / "mine").is_dir()
    (tmp_path / "mine" / SCRATCH_MARK).touch()
    remove_scratch(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_an_idle_worker_ends_by_itself_and_the_next_request_starts_another():
    worker = Worker([*COMMAND, "--idle", "0.3"])
    first = worker.wait(worker.ask("status", {}))["pid"]
    child = worker.child
    until(lambda: child.exit_code() is not None, "the end")
    assert child.exit_code() == 0
    assert worker.wait(worker.ask("status", {}))["pid"] != first
    worker.close()


@signals
def test_sigterm_ends_a_job_cleanly(worker, tmp_path):
    call = worker.ask("segment", {"out": str(tmp_path / "out"), "deaf": True})
    begun(worker, call)
    os.kill(worker.child.process_id, signal.SIGTERM)
    with pytest.raises(JobCancelledError):
        worker.wait(call)
    assert [each.name for each in tmp_path.iterdir()] == ["temporary"]


# Jobs


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
