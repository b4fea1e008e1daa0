"""The worker's language and its end, line by line as any program could speak to it."""

from __future__ import annotations

import json
import os
import signal

import pytest
from worker_processes import COMMAND, LONG, Spoken, alive, begun, request, signals, until

from StrokeSegLib import __version__
from StrokeSegLib.worker.client import JobCancelledError, Worker
from StrokeSegLib.worker.process import SCRATCH_MARK, make_scratch
from StrokeSegLib.worker.serving import remove_scratch

pytestmark = pytest.mark.usefixtures("temporary")


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
