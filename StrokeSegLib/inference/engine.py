"""Networks kept loaded between runs, so that only the first case of a model waits for its weights."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from pathlib import Path

from StrokeSegLib.inference.backends import Backend, Choice, choose, fallback, load_backends
from StrokeSegLib.inference.cache_folder import user_cache_folder
from StrokeSegLib.models import ModelCard


class Engine:
    """Keeps the networks of the last few models warm; used by the worker, batches and benchmarks.

    Safe to share between threads: while one loads a model, another that wants it waits for it.
    """

    def __init__(self, keep: int = 2, cache: Path | None = None) -> None:
        """Starts empty.

        Args:
            keep: How many models stay loaded, 1 or more; the one that was not used for longest goes first.
            cache: Folder for compiled networks; the user's cache folder when None.
        """
        self._keep = max(1, keep)
        self._cache = user_cache_folder() / "compiled" if cache is None else cache
        self._loaded: OrderedDict[Hashable, dict[str, Backend]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """How many models are loaded."""
        return len(self._loaded)

    def holds(self, card: ModelCard, choice: Choice) -> bool:
        """Whether the model is warm, so that ``backends`` costs nothing."""
        return _key(card, choice) in self._loaded

    def backends(self, card: ModelCard, choice: Choice) -> dict[str, Backend]:
        """All networks of a model by name, loaded at the first call, the same ones afterwards.

        Raises:
            InputError: The weights are not the ones that the card names.
        """
        key = _key(card, choice)
        with self._lock:
            if key not in self._loaded:
                while len(self._loaded) >= self._keep:  # make room first: two large models may not fit at once
                    self._loaded.popitem(last=False)
                self._loaded[key] = load_backends(card, choice, self._cache)
            self._loaded.move_to_end(key)
            return dict(self._loaded[key])

    def ready(self, card: ModelCard, backend: str, device: str) -> tuple[dict[str, Backend], tuple[str, ...]]:
        """The networks for the user's words, and what has to be said where not the first choice could be taken.

        Args:
            backend: ``auto``, ``openvino`` or ``torch``.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

        Raises:
            InputError: What was asked for is not there; the weights are not the ones that the card names.
        """
        choice = choose(backend, device)
        try:
            return self.backends(card, choice), ()
        except (RuntimeError, MemoryError) as error:  # a driver that is too old, a GPU that is full
            other = fallback(choice, backend, device)
            if other is None:
                raise
            said = (
                f"{choice.backend} on {choice.device} could not load the network ({_first_line(error)}): "
                f"it ran with {other.backend} on {other.device}"
            )
        return self.backends(card, other), (said,)

    def clear(self) -> None:
        """Lets go of all models."""
        with self._lock:
            self._loaded.clear()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _key(card: ModelCard, choice: Choice) -> Hashable:
    """Everything that decides what is loaded; another version of a model in the same folder is another model."""
    return (
        card.network,
        repr(sorted(card.settings.items())),
        repr(sorted(card.inference_settings.items())),
        tuple((network.name, str(network.graph.resolve()), network.sha256) for network in card.networks),
        choice,
    )
