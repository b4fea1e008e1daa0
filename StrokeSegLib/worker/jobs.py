"""What the worker can do: ``segment`` and ``train``. Heavy imports happen when a job runs, and are timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from StrokeSegLib.callbacks import Progress
from StrokeSegLib.errors import InputError
from StrokeSegLib.worker.protocol import WRONG_PARAMETERS, ProtocolError
from StrokeSegLib.worker.server import Method

#: ``data`` of a training that makes its images itself.
SYNTH = "synth"
#: Models that stay loaded.
KEPT_MODELS = 2
_Check = Callable[[Any], bool]


class Jobs:
    """The worker's methods, and the models that they keep warm."""

    def __init__(self) -> None:
        self._engine: Any = None
        self._used: dict[str, tuple[Any, Any]] = {}

    @property
    def methods(self) -> dict[str, Method]:
        """By the names of the protocol."""
        return {"segment": self.segment, "train": self.train}

    def models(self) -> list[str]:
        """Ids of the models that are loaded now."""
        engine = self._engine
        return [] if engine is None else [id_ for id_, (card, how) in self._used.items() if engine.holds(card, how)]

    def segment(self, params: Mapping[str, Any]) -> Callable[[Progress], dict[str, Any]]:
        """``segment``: see the protocol.

        Raises:
            ProtocolError: A parameter is missing, unknown or of another type.
        """
        words = _checked(
            params,
            needed={"model": _is_text, "inputs": _is_paths, "out": _is_text},
            optional={"device": _is_text, "backend": _is_text, "threshold": _is_number, "force": _is_yes_or_no,
                      "compress": _is_yes_or_no},
        )  # fmt: skip

        def work(progress: Progress) -> dict[str, Any]:
            try:
                return self._segment(words, progress)
            except MemoryError:
                if self._engine is not None:
                    self._engine.clear()  # whoever comes next gets the room
                raise

        return work

    def _segment(self, words: dict[str, Any], progress: Progress) -> dict[str, Any]:
        started = time.perf_counter()
        from StrokeSegLib.inference.backends import Choice
        from StrokeSegLib.inference.engine import Engine
        from StrokeSegLib.result_folder import check_target
        from StrokeSegLib.segmentation import segment

        imported = time.perf_counter()
        self._engine = self._engine or Engine(keep=KEPT_MODELS)
        out, force, compress = Path(words.pop("out")), words.pop("force", False), words.pop("compress", True)
        progress("read", 0, len(words["inputs"]))
        check_target(out, force=force)
        result = segment(progress=progress, engine=self._engine, **words)
        found = result.measurements
        self._used[result.card.id] = (result.card, Choice(found["backend"], found["device"]))
        progress("write", 0, 1)
        result.write(out, force=force, compress=compress)
        progress("write", 1, 1)
        seconds = {
            "import": imported - started,
            "load": found["seconds"]["load"],
            "run": time.perf_counter() - imported,
        }
        return {
            "measurements": found,
            "out": str(out),
            "seconds": {name: round(value, 3) for name, value in seconds.items()},
        }

    def train(self, params: Mapping[str, Any]) -> Callable[[Progress], dict[str, Any]]:
        """``train``: see the protocol.

        Raises:
            ProtocolError: A parameter is missing, unknown or of another type.
        """
        words = _checked(
            params,
            needed={"system": _is_text, "data": _is_text, "out": _is_text},
            optional={
                "preset": _is_text, "set": _is_texts, "init": _is_text, "resume": _is_yes_or_no, "device": _is_text,
            },
        )  # fmt: skip
        return lambda progress: _train(words, progress)


def _train(words: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    import importlib.util

    from StrokeSegLib.training.presets import find_preset, with_settings

    # What can be told at once is told before torch is loaded and images are read.
    preset = with_settings(find_preset(words["system"], words.get("preset", "bundled")), words.get("set", []))
    missing = [name for name in ("torch", "monai") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"training needs {' and '.join(missing)}, not installed here; pip install 'strokeseg[train]'")

    from StrokeSegLib.case_table import read_case_table
    from StrokeSegLib.training.loop import train
    from StrokeSegLib.training.pool import SynthSource

    data = SynthSource() if words["data"] == SYNTH else read_case_table(Path(words["data"]))
    run = train(
        preset,
        data,
        Path(words["out"]),
        resume=words.get("resume", False),
        init=words.get("init"),
        device=words.get("device", "auto"),
        progress=progress,
    )
    return {"run": str(run)}


def _checked(params: Mapping[str, Any], needed: Mapping[str, _Check], optional: Mapping[str, _Check]) -> dict[str, Any]:
    """The parameters without those that are null."""
    given = {name: value for name, value in params.items() if value is not None}
    checks = {**needed, **optional}
    unknown = [name for name in given if name not in checks]
    missing = [name for name in needed if name not in given]
    wrong = [name for name, value in given.items() if name in checks and not checks[name](value)]
    if unknown or missing or wrong:
        lists = (("unknown", unknown), ("missing", missing), ("of a wrong type", wrong))
        said = "; ".join(f"{what}: {', '.join(names)}" for what, names in lists if names)
        raise ProtocolError(WRONG_PARAMETERS, f"{said}; known: {', '.join(checks)}")
    return given


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_paths(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(_is_text(path) for path in value.values())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_yes_or_no(value: Any) -> bool:
    return isinstance(value, bool)
