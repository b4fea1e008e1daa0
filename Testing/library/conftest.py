"""What the library's tests share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from worker_processes import COMMAND

from StrokeSegLib.worker.client import Worker

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled networks of tests do not end up in the user's cache folder (Linux; child processes too)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real images (see its README.md); tests that need it are marked ``data`` and skip where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real images (../shared/data) are not here")
    return folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary files come here, where a test can see whether any is left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def worker(temporary: Path) -> Iterator[Worker]:
    """A client of a worker whose methods need no network, closed at the end."""
    made = Worker(COMMAND)
    yield made
    made.close()
