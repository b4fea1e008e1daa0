"""The installed models as the panels list them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from StrokeSegApp import parameters
from StrokeSegLib.errors import InputError

#: Chosen where nothing was chosen yet, as in the library's ``segment``.
DEFAULT_MODEL = "mri"


def readModels(logic: Any) -> tuple[dict[str, Any], str]:
    """The installed models by id, and why there are none when they cannot be read."""
    try:
        return {model.id: model for model in logic.models()}, ""
    except (InputError, FileNotFoundError) as error:
        return {}, str(error)


def defaultModel(models: dict[str, Any]) -> str:
    """Id of the model to begin with; there must be one."""
    return DEFAULT_MODEL if DEFAULT_MODEL in models else next(iter(models))


def fittingModel(models: dict[str, Any], roles: Collection[str]) -> str | None:
    """Id of the model that reads the most of these roles, of those that need no others; None when there is none.

    Among equals the one that finds more kinds of lesions, then the first of the list.
    """
    able = [model for model in models.values() if _canRead(model, roles)]
    best = max(able, key=lambda model: (len(_read(model, roles)), len(model.labels)), default=None)
    return best.id if best is not None else None


def _canRead(model: Any, roles: Collection[str]) -> bool:
    needed = {each.role for each in model.inputs if each.required}
    return needed <= set(roles) and len(_read(model, roles)) >= max(1, model.minimum_inputs)


def _read(model: Any, roles: Collection[str]) -> set[str]:
    return {each.role for each in model.inputs} & set(roles)


def chosenModel(node: Any, models: dict[str, Any]) -> Any:
    """The card of the model that the parameter node names, or None."""
    return models.get(parameters.modelId(node))


def matches(model: Any, search: str) -> bool:
    """True when every word of the search occurs in the model's id, title, inputs or findings."""
    inputs, labels = (each.role for each in model.inputs), (each.name for each in model.labels)
    text = " ".join([model.id, model.title, *inputs, *labels]).lower()
    return all(word in text for word in search.lower().split())
