"""Compiled networks in the user's cache folder: found again, rebuilt when broken, no error where it is not writable."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference import cache_folder
from StrokeSegLib.inference.cache_folder import user_cache_folder
from StrokeSegLib.inference.compiled import KEEP_FILES, compiled_network, processor_has_bf16
from StrokeSegLib.inference.openvino_backend import OpenVinoBackend
from StrokeSegLib.inference.precision import permitted_precisions
from StrokeSegLib.models import ModelCard, find_model

BATCH = np.random.default_rng(0).standard_normal((2, 6, 64, 64)).astype(np.float32)


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return find_model("mri")


@pytest.fixture(scope="module")
def expected(card: ModelCard) -> np.ndarray:
    """Logits without any cache."""
    return OpenVinoBackend(card, cache=None).run(BATCH)


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_the_second_time_it_comes_from_the_cache_and_says_the_same(
    card: ModelCard, expected: np.ndarray, tmp_path: Path
) -> None:
    cache = tmp_path / "new" / "folder"
    assert np.array_equal(OpenVinoBackend(card, cache=cache).run(BATCH), expected)
    (file,) = files(cache)
    written = file.read_bytes()
    assert np.array_equal(OpenVinoBackend(card, cache=cache).run(BATCH), expected)
    assert files(cache) == [file]
    assert file.read_bytes() == written  # read, not written again


def test_the_cache_is_really_used(card: ModelCard, expected: np.ndarray, tmp_path: Path) -> None:
    """Without its weights file a network can not be compiled, but it still comes from the cache."""
    folder = Path(shutil.copytree(card.folder, tmp_path / "mri"))
    network = find_model(str(folder)).networks[0]
    compiled_network(network, "fp32", tmp_path / "cache")
    network.weights.unlink()
    assert np.array_equal(compiled_network(network, "fp32", tmp_path / "cache")(BATCH)[0], expected)
    with pytest.raises(RuntimeError):
        compiled_network(network, "fp32", None)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
def test_a_broken_file_is_thrown_away_and_made_again(
    card: ModelCard, expected: np.ndarray, tmp_path: Path, damage: str
) -> None:
    OpenVinoBackend(card, cache=tmp_path)
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    foreign = b"of another OpenVINO"
    broken = {
        "cut": whole[: len(whole) // 2],
        "flipped": whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:],
        "empty": b"",
        "foreign": hashlib.sha256(foreign).digest() + foreign,  # whole by its digest, yet nothing OpenVINO knows
    }[damage]
    file.write_bytes(broken)
    assert np.array_equal(OpenVinoBackend(card, cache=tmp_path).run(BATCH), expected)
    assert files(tmp_path) == [file]
    made = file.read_bytes()
    assert made != broken
    assert hashlib.sha256(made[32:]).digest() == made[:32]
    assert len(made) == pytest.approx(len(whole), rel=0.001)  # two compilations differ in a few hundred bytes


def test_precisions_do_not_share_a_file(card: ModelCard, tmp_path: Path) -> None:
    compiled_network(card.networks[0], "fp32", tmp_path)
    compiled_network(card.networks[0], "bf16", tmp_path)
    assert len(files(tmp_path)) == 2


def test_other_weights_do_not_share_a_file(card: ModelCard, tmp_path: Path) -> None:
    compiled_network(card.networks[0], "fp32", tmp_path)
    compiled_network(replace(card.networks[0], sha256="0" * 64), "fp32", tmp_path)
    assert len(files(tmp_path)) == 2


def test_a_cache_that_can_not_be_written_is_no_error(card: ModelCard, expected: np.ndarray, tmp_path: Path) -> None:
    """A file stands where the folder should be: no permissions keep out the superuser, who runs some tests."""
    (tmp_path / "file").write_text("in the way")
    assert np.array_equal(OpenVinoBackend(card, cache=tmp_path / "file" / "cache").run(BATCH), expected)
    assert (tmp_path / "file").read_text() == "in the way"


def test_only_the_latest_used_files_are_kept(card: ModelCard, tmp_path: Path) -> None:
    for n in range(KEEP_FILES + 3):
        old = tmp_path / f"{n:03}.openvino"
        old.write_bytes(b"old")
        os.utime(old, (1000 + n, 1000 + n))
    (tmp_path / "somebody's.txt").write_text("not ours")
    compiled_network(card.networks[0], "fp32", tmp_path)
    left = [file.name for file in files(tmp_path) if file.suffix == ".openvino"]
    assert len(left) == KEEP_FILES
    assert "004.openvino" in left
    assert "003.openvino" not in left
    assert (tmp_path / "somebody's.txt").is_file()


def test_two_processes_at_once(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from StrokeSegLib.models import find_model;"
        "from StrokeSegLib.inference.compiled import compiled_network;"
        "[compiled_network(find_model('mri').networks[0], 'fp32', Path(sys.argv[1])) for _ in range(2)]"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(2)]
    assert [process.wait(timeout=300) for process in running] == [0, 0]
    assert len(files(tmp_path)) == 1


def test_the_cache_knows_nothing_about_the_machines_folders(card: ModelCard, tmp_path: Path) -> None:
    compiled_network(card.networks[0], "fp32", tmp_path)
    content = files(tmp_path)[0].read_bytes()
    assert str(card.folder).encode() not in content
    assert str(Path.home()).encode() + b"/" not in content


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cache_folder.Path, "home", lambda: tmp_path)
    monkeypatch.setattr(cache_folder.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert user_cache_folder() == tmp_path / ".cache" / "strokeseg"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert user_cache_folder() == tmp_path / "xdg" / "strokeseg"
    monkeypatch.setattr(cache_folder.sys, "platform", "darwin")
    assert user_cache_folder() == tmp_path / "Library" / "Caches" / "strokeseg"


def test_half_precision_only_where_the_card_permits_it(card: ModelCard) -> None:
    assert OpenVinoBackend(replace(card, inference_settings={})).precision == "fp32"
    permitting = replace(card, inference_settings={"precision": ["fp32", "bf16"]})
    assert OpenVinoBackend(permitting).precision == ("bf16" if processor_has_bf16() else "fp32")


def test_permitted_precisions() -> None:
    assert permitted_precisions({}) == ("fp32",)
    assert permitted_precisions({"precision": ["bf16"]}) == ("fp32", "bf16")
    for wrong in ("bf16", ["int8"]):
        with pytest.raises(InputError, match="precision"):
            permitted_precisions({"precision": wrong})


def test_a_run_asks_no_network_and_starts_no_process(tmp_path: Path) -> None:
    """Nor does it import telemetry: everything that would leave the process raises, in a process of its own."""
    program = """
import sys
from pathlib import Path
import numpy as np
def guard(event, arguments):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.", "http.client.",
                         "subprocess.Popen", "os.system", "os.posix_spawn", "os.fork")):
        raise RuntimeError(f"not allowed: {event}")
sys.addaudithook(guard)
from StrokeSegLib.inference.openvino_backend import OpenVinoBackend
from StrokeSegLib.models import find_model
backend = OpenVinoBackend(find_model("mri"), cache=Path(sys.argv[1]))
backend.run(np.zeros((1, 6, 64, 64), np.float32))
print(sorted(name for name in sys.modules if name.startswith("openvino_telemetry") and sys.modules[name]))
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["[]", "False"]
