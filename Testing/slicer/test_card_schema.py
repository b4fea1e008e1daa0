"""Our small reader of the card's schema says what jsonschema says, which Slicer does not bring."""

from __future__ import annotations

import copy
import json

import jsonschema
import pytest
from StrokeSegApp import card_schema

from StrokeSegLib.resources import models_folder

SCHEMA = json.loads((models_folder() / "schema.json").read_text(encoding="utf-8"))
CARD = json.loads((models_folder() / "mri" / "model.json").read_text(encoding="utf-8"))
#: Values of every kind, to be put in every place.
WRONG = [None, True, 0, -1, 1.5, 2, "", "x", "../graph.onnx", [], [1], {}, {"x": 1}, "a" * 64, 1e9]


def changed():
    """The card with one thing wrong, in every place."""
    for key in [*CARD, "training", "thresholds", "inference_settings", "prepare_settings", "stranger"]:
        yield {name: value for name, value in CARD.items() if name != key}
        for value in WRONG:
            yield {**CARD, key: value}
    for key in ("networks", "inputs", "labels"):
        for name in [*CARD[key][0], "stranger"]:
            for value in WRONG:
                card = copy.deepcopy(CARD)
                card[key][0][name] = value
                yield card
    for value in WRONG:
        yield {**CARD, "thresholds": {"1": value}}
        yield {**CARD, "training": {"preset": "paper", "seed": value, "steps": value}}
        yield {**CARD, "inference_settings": {"window": [value, 8, 8]}}
        yield {**CARD, "inference_settings": {"overlap": value, "projections": {"any": value}}}


def test_the_bundled_card_is_valid():
    assert list(card_schema.problems(CARD, SCHEMA)) == []


def test_every_change_is_judged_as_jsonschema_judges_it():
    validator = jsonschema.Draft202012Validator(SCHEMA)
    cards = list(changed())
    verdicts = [validator.is_valid(card) for card in cards]
    assert 100 < verdicts.count(False)
    assert verdicts.count(True) > 20
    for card, valid in zip(cards, verdicts, strict=True):
        assert (list(card_schema.problems(card, SCHEMA)) == []) == valid, card


def test_a_problem_is_one_line_with_its_place():
    card = copy.deepcopy(CARD)
    card["networks"][0]["sha256"] = "short"
    assert list(card_schema.problems(card, SCHEMA)) == ["networks[0].sha256 is 'short', needed: ^[0-9a-f]{64}$"]


def test_a_schema_with_a_word_that_is_not_known_is_refused_rather_than_half_read():
    with pytest.raises(NotImplementedError, match="anyOf"):
        list(card_schema.problems({}, {"type": "object", "anyOf": []}))
