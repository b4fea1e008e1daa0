"""A model card against Resources/Models/schema.json, without a package that Slicer does not bring.

Knows the words of JSON Schema that the file uses, and refuses to read a schema that uses another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

#: Words that only describe.
_SILENT = {"$schema", "title", "description", "translatable"}
_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: _TYPES["number"](value) and float(value).is_integer(),
}
_LIMITS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "minimum": (lambda value, limit: value >= limit, "at least"),
    "maximum": (lambda value, limit: value <= limit, "at most"),
    "exclusiveMinimum": (lambda value, limit: value > limit, "above"),
    "exclusiveMaximum": (lambda value, limit: value < limit, "below"),
}
_RULES = {
    "type", "enum", "pattern", "required", "properties", "patternProperties", "additionalProperties", "items",
    "minItems", "maxItems", *_LIMITS,
}  # fmt: skip


def problems(value: Any, schema: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """What is wrong with a value, each with its place, such as ``networks[0].sha256``; nothing when it is valid.

    Raises:
        NotImplementedError: The schema uses a word that is not known here.
    """
    unknown = set(schema) - _RULES - _SILENT
    if unknown:
        raise NotImplementedError(f"the schema uses {', '.join(sorted(unknown))}")
    here = place or "the card"
    if "type" in schema and not _TYPES[schema["type"]](value):
        yield f"{here} is {_short(value)}, needed: {schema['type']}"
        return
    # JSON tells true from 1, Python does not.
    if "enum" in schema and not any(
        value == each and isinstance(value, bool) == isinstance(each, bool) for each in schema["enum"]
    ):
        yield f"{here} is {_short(value)}, needed: one of {', '.join(str(each) for each in schema['enum'])}"
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{here} is {_short(value)}, needed: {schema['pattern']}"
    if _TYPES["number"](value):
        for word, (holds, said) in _LIMITS.items():
            if word in schema and not holds(value, schema[word]):
                yield f"{here} is {value}, needed: {said} {schema[word]}"
    if isinstance(value, dict):
        yield from _inObject(value, schema, place)
    if isinstance(value, list):
        yield from _inArray(value, schema, place)


def _inObject(value: dict[str, Any], schema: Mapping[str, Any], place: str) -> Iterator[str]:
    before = f"{place}." if place else ""
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{before}{name} is missing"
    for name, each in value.items():
        rules = [schema["properties"][name]] if name in schema.get("properties", {}) else []
        rules += [rule for pattern, rule in schema.get("patternProperties", {}).items() if re.search(pattern, name)]
        if not rules:
            more = schema.get("additionalProperties", True)
            if more is False:
                yield f"{before}{name} is not known"
            elif more is not True:
                rules = [more]
        for rule in rules:
            yield from problems(each, rule, before + name)


def _inArray(value: list[Any], schema: Mapping[str, Any], place: str) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{place or 'the card'} has {len(value)} entries, needed: {schema.get('minItems', 0)} or more"
    for number, each in enumerate(value):
        yield from problems(each, schema.get("items", {}), f"{place}[{number}]")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
