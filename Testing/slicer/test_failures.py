"""Known failures of computers are said with their cause and their cure; unknown ones are left as they are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from StrokeSegApp.failures import explained
from StrokeSegApp.worker_client import environment

#: What the message or the traceback holds, as systems, drivers and packages say it, and a word of the cure.
SAID = [
    ("RuntimeError: CUDA error: no kernel image is available for execution on the device", "other graphics cards"),
    ("RuntimeError: CUDA driver version is insufficient for CUDA runtime version", "update it"),
    ("RuntimeError: cuDNN error: CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH", "do not fit each other"),
    ("AssertionError: Torch not compiled with CUDA enabled", "can not use the graphics card"),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB", "memory was not enough"),
    ("RuntimeError: CUDA error: an illegal memory access was encountered", "graphics card failed"),
    ("NotImplementedError: The operator 'aten::x' is not currently implemented for the MPS device", "Apple GPU"),
    ("OSError: [WinError 1455] The paging file is too small for this operation to complete", "paging file"),
    ("ImportError: DLL load failed while importing _pyopenvino: The specified module", "Visual C++"),
    ("OSError: libgomp.so.1: cannot open shared object file: No such file or directory", "library of the system"),
    ("ValueError: numpy.dtype size changed, may indicate binary incompatibility", "Packages do not fit"),
    ("ModuleNotFoundError: No module named 'openvino'", "Check this computer"),
    ("FileNotFoundError: [WinError 206] The filename or extension is too long: 'C:\\\\Users'", "path is too long"),
    ("OSError: [Errno 28] No space left on device", "disk is full"),
    ("PermissionError: [WinError 32] The process cannot access the file: it is being used by another process", "holds"),
    ("PermissionError: [Errno 13] Permission denied: '/data/x'", "can not be written to"),
    ("UnicodeEncodeError: 'charmap' codec can't encode character", "English letters"),
    ("OSError: [Errno 24] Too many open files: 'x'", "restart Slicer"),
]
DIED = [
    (-9, "lack of memory"), (137, "lack of memory"), (-11, "a library crashed"), (139, "a library crashed"),
    (0xC0000005, "a library crashed"), (0xC0000005 - (1 << 32), "a library crashed"),
    (-4, "lacks instructions"), (0xC000001D, "lacks instructions"), (0xC0000135, "Visual C++"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "cure"), SAID)
def test_words_of_a_failure_get_their_cure_from_the_message_or_from_what_was_said_besides(said, cure):
    for text in (explained(said), explained("It stopped: exit code 1", f"Traceback (most recent call last):\n{said}")):
        assert cure.lower() in text.lower()
        assert ": " in text
        assert "\n" not in text
        assert text.endswith(".")


@pytest.mark.parametrize(("code", "cure"), DIED)
def test_a_process_that_died_is_explained_by_its_exit_code(code, cure):
    text = explained(f"The segmentation stopped unexpectedly (exit code {code}).", "", code)
    assert text.startswith(f"The segmentation stopped unexpectedly (exit code {code}). ")
    assert cure.lower() in text.lower()


@pytest.mark.parametrize("code", [None, 0, 1, -15])
def test_what_is_not_known_is_left_as_it_is(code):
    assert explained("KeyError: 'x'", "Traceback (most recent call last):\nKeyError: 'x'", code) == "KeyError: 'x'"


def test_every_known_failure_is_told_apart_from_the_others():
    cures = [explained("", said) for said, _cure in SAID]
    assert len(set(cures)) == len(cures)


@pytest.mark.skipif(os.name == "nt", reason="a signal is sent")
@pytest.mark.parametrize(("number", "cure"), [(signal.SIGSEGV, "a library crashed"), (signal.SIGILL, "instructions")])
def test_a_crash_behind_slicers_launcher_is_explained_by_pythons_own_words(number, cure):
    """The launcher returns 1 whatever happened, and says one line of its own."""
    crash = f"import os; os.kill(os.getpid(), {int(number)})"
    died = subprocess.run([sys.executable, "-c", crash], env=environment(), capture_output=True, text=True, check=False)
    launcher = "error: [/opt/Slicer/bin/python-real] exit abnormally - Report the problem."
    text = explained("The segmentation stopped unexpectedly (exit code 1)", f"{died.stderr}{launcher}", 1)
    assert cure in text.lower()


def test_where_only_the_launcher_could_speak_the_system_has_ended_the_process():
    launcher = "error: [/opt/Slicer/bin/python-real] exit abnormally - Report the problem."
    assert "lack of memory" in explained("The segmentation stopped unexpectedly (exit code 1)", launcher, 1)
