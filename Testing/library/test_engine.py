"""Warm networks: loaded once, the last few kept, a changed model loaded anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_segment_systems import ONE, write_model
from test_systems import mr_head

from StrokeSegLib.errors import InputError
from StrokeSegLib.inference.backends import Choice, fallback
from StrokeSegLib.inference.engine import Engine
from StrokeSegLib.models import ModelCard, find_model, load_card
from StrokeSegLib.segmentation import segment

TORCH, OPENVINO = Choice("torch", "cpu"), Choice("openvino", "cpu")


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> list[ModelCard]:
    """Three small models."""
    folders = [tmp_path_factory.mktemp("model") for _ in range(3)]
    return [load_card(write_model(folder, "mri", 6, 2, ONE)) for folder in folders]


def test_a_model_is_loaded_once(cards: list[ModelCard]) -> None:
    engine = Engine()
    assert not engine.holds(cards[0], TORCH)
    first = engine.backends(cards[0], TORCH)
    assert engine.holds(cards[0], TORCH)
    assert engine.backends(cards[0], TORCH)["network"] is first["network"]


def test_backends_are_kept_apart() -> None:
    engine, card = Engine(), find_model("mri")
    assert engine.backends(card, TORCH)["axial"].name == "torch"
    assert engine.backends(card, OPENVINO)["axial"].name == "openvino"
    assert engine.count == 2


def test_the_one_not_used_for_longest_goes(cards: list[ModelCard]) -> None:
    engine = Engine(keep=2)
    for n in (0, 1, 0, 2):
        engine.backends(cards[n], TORCH)
    assert [engine.holds(card, TORCH) for card in cards] == [True, False, True]
    engine.clear()
    assert engine.count == 0


def test_other_weights_in_the_same_folder_are_another_model(cards: list[ModelCard]) -> None:
    engine = Engine()
    engine.backends(cards[0], TORCH)
    retrained = replace(cards[0], networks=(replace(cards[0].networks[0], sha256="0" * 64),))
    assert not engine.holds(retrained, TORCH)
    with pytest.raises(InputError, match="SHA-256"):
        engine.backends(retrained, TORCH)
    assert engine.holds(cards[0], TORCH)


def test_a_result_does_not_depend_on_warmth(cards: list[ModelCard], tmp_path: Path) -> None:
    images, _ = mr_head(skull=False)
    engine = Engine()
    inputs = {role: images[role] for role in ("dwi", "adc")}
    folder = str(cards[0].folder)
    cold, warm = (segment(inputs, folder, device="cpu", backend="torch", engine=engine) for _ in range(2))
    assert np.array_equal(cold.probability[1].array, warm.probability[1].array)
    assert cold.measurements["seconds"]["load"] > 0
    assert warm.measurements["seconds"]["load"] == pytest.approx(0, abs=0.05)


def test_a_backend_that_can_not_load_is_replaced_and_that_is_said(tmp_path: Path) -> None:
    """A graph that OpenVINO can not read; the weights are whole, so torch can run the network."""
    images, _ = mr_head(skull=False)
    inputs = {role: images[role] for role in ("dwi", "adc")}
    write_model(tmp_path, "mri", 6, 2, ONE)
    (tmp_path / "graph.onnx").write_bytes(b"no graph")
    measurements = segment(inputs, str(tmp_path), device="cpu").measurements
    assert measurements["backend"] == "torch"
    (said,) = [warning for warning in measurements["warnings"] if "could not load" in warning]
    assert said.startswith("openvino on cpu could not load the network")
    assert said.endswith("it ran with torch on cpu")
    with pytest.raises(RuntimeError):
        segment(inputs, str(tmp_path), device="cpu", backend="openvino")


@pytest.mark.parametrize(
    ("choice", "words", "expected"),
    [
        (Choice("torch", "cuda:0"), ("auto", "auto"), Choice("openvino", "cpu")),
        (Choice("torch", "cuda:0"), ("torch", "auto"), Choice("torch", "cpu")),
        (Choice("torch", "cuda:0"), ("auto", "cuda"), None),
        (Choice("openvino", "cpu"), ("auto", "cpu"), Choice("torch", "cpu")),
        (Choice("openvino", "cpu"), ("openvino", "cpu"), None),
        (Choice("torch", "cpu"), ("auto", "cpu"), None),
    ],
)
def test_what_is_taken_instead_is_never_against_the_users_words(
    choice: Choice, words: tuple[str, str], expected: Choice | None
) -> None:
    assert fallback(choice, *words) == expected


def test_a_missing_graph_is_said_as_such(tmp_path: Path) -> None:
    card = load_card(write_model(tmp_path, "mri", 6, 2, ONE))
    with pytest.raises(InputError, match=r"cannot read .*graph\.onnx"):
        Engine(cache=tmp_path / "cache").backends(card, OPENVINO)
