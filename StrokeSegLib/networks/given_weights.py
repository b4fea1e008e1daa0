"""A file of weights that a user gives: nothing but tensors by name is read from it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from StrokeSegLib.errors import InputError


def read_tensors(path: Path, cure: str) -> dict[str, Tensor]:
    """What a file of weights holds; refuses anything but tensors by name.

    Args:
        path: ``.safetensors``, or a file of ``torch.save``.
        cure: What to give instead; ends the message of a refusal.

    Raises:
        InputError: The file cannot be read, holds more than tensors, or is no file of weights.
    """
    try:
        state: Any = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"cannot read the weights {path}: {error.strerror or error}; {cure}") from error
    except pickle.UnpicklingError as error:
        raise InputError(f"{path} holds more than tensors, which may run code and is not loaded; {cure}") from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(f"{path} is no file of weights ({type(error).__name__}); {cure}") from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise InputError(f"{path} holds no state dict, that is tensors by name, but a {type(state).__name__}; {cure}")
    return state


def other_names(given: set[str], wanted: set[str]) -> str:
    """How the names of a file differ from those that a network has: ``2 missing (as conv1) and 1 unknown (as x)``.

    Returns:
        Empty where they do not differ.
    """
    return " and ".join(
        f"{len(names)} {what} (as {min(names)})"
        for what, names in (("missing", wanted - given), ("unknown", given - wanted))
        if names
    )
