"""What every preset has, and how ``key=value`` words change one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

from StrokeSegLib.errors import InputError

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings of a run.

    Attributes:
        system: Name in ``systems.SYSTEMS``.
        name: ``paper``, ``bundled``, or one of these with ", modified".
        steps: Optimizer steps of each network.
        batch_size: Samples a step, over all processes together.
        learning_rate: The first one, or the peak where there is a warm-up.
        width: Multiplier of the network's channels; 1 is the published network.
        precision: Of the network's arithmetic; losses and weights are float32 in all of them.
        seed: Of weights, data order, augmentation and dropout.
        pool_size: Generated cases kept in memory at once; read from a table, cases need no such number.
        validate_every: Steps between validations on the table's cases of split ``val``: the weights of the best one, by
            mean patient-wise IoU, are exported. 0, or a table without such cases: none, and the last ones are.
    """

    system: str
    name: str
    steps: int
    batch_size: int
    learning_rate: float
    width: float
    precision: Precision
    seed: int = 1
    pool_size: int = 100
    validate_every: int = 0

    #: Whole numbers that may be 0; other counts are at least 1.
    MAY_BE_ZERO: ClassVar[frozenset[str]] = frozenset({"seed", "frozen_steps", "warmup_steps", "validate_every"})
    #: Numbers that must be above 0; other fractional numbers are at least 0.
    ABOVE_ZERO: ClassVar[frozenset[str]] = frozenset(
        {"learning_rate", "width", "min_scale", "max_scale", "spacing_mm", "in_plane_mm"}
    )

    def __post_init__(self) -> None:
        """Refuses numbers that no training can use."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            for each in value if isinstance(value, tuple) else (value,):
                _check_value(self, field.name, each)
            if field.name == "patch" and len(value) != 3:
                raise InputError(f"patch has {len(value)} sizes, needed three: along k, j and i")

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, every key."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The preset that ``as_dict`` gave these values."""
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)


@dataclass(frozen=True, kw_only=True)
class Modern(Preset):
    """What the bundled presets share: AdamW, warm-up and cosine, averaged weights, a loss of four terms.

    Attributes:
        warmup_steps: Steps in which the learning rate rises to its peak; then a cosine to a hundredth of it.
        weight_decay: AdamW's, on all weights.
        ema: Decay of the averaged weights that are exported.
        gradient_clip: Largest norm of the gradient.
        lesion_chance: Part of the crops that are drawn around a lesion voxel; the rest around any brain voxel.
        hard_fraction: Part of the voxels, the hardest, that one of the two cross-entropies counts.
    """

    precision: Precision = "bf16"
    validate_every: int = 500
    warmup_steps: int = 300
    weight_decay: float = 1e-2
    ema: float = 0.999
    gradient_clip: float = 5.0
    lesion_chance: float = 0.6
    hard_fraction: float = 0.03


def changed(preset: Preset, words: Sequence[str]) -> Preset:
    """See ``with_settings`` of the package."""
    hints = {key: hint for key, hint in _hints(type(preset)).items() if key not in ("system", "name")}
    values: dict[str, Any] = {}
    for word in words:
        key, mark, text = word.partition("=")
        if not mark:
            raise InputError(f"expected key=value, got {word!r}; write as steps=1000")
        if key not in hints:
            raise InputError(
                f"the {preset.name} preset of {preset.system} has no key {key!r}; known: {', '.join(sorted(hints))}"
            )
        values[key] = _parsed(key, text, hints[key])
    values = {key: value for key, value in values.items() if value != getattr(preset, key)}
    if not values:
        return preset
    name = preset.name if preset.name.endswith(", modified") else f"{preset.name}, modified"
    return dataclasses.replace(preset, name=name, **values)


def _check_value(preset: Preset, key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    if not math.isfinite(value):
        raise InputError(f"{key} is {value}; needed a finite number")
    if key in preset.ABOVE_ZERO and value <= 0:
        raise InputError(f"{key} is {value}; needed a number above 0")
    least = 0 if isinstance(value, float) or key in preset.MAY_BE_ZERO or key.endswith("_members") else 1
    if value < least:
        raise InputError(f"{key} is {value}; needed at least {least}")
    if key.endswith(("_chance", "_fraction")) and value > 1:
        raise InputError(f"{key} is {value}; needed 0 to 1")


def _hints(kind: type[Preset]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _parsed(key: str, text: str, hint: Any) -> Any:
    if get_origin(hint) is tuple:
        kind = get_args(hint)[0]
        return tuple(_parsed(key, part, kind) for part in text.split(",") if part)
    if get_origin(hint) is Literal:
        if text not in get_args(hint):
            raise InputError(f"{key} needs one of {', '.join(get_args(hint))}, got {text!r}")
        return text
    if hint is bool:
        if text.lower() not in ("true", "false"):
            raise InputError(f"{key} needs true or false, got {text!r}; write as {key}=true")
        return text.lower() == "true"
    if hint is str:
        return text
    try:
        return hint(text)
    except ValueError:
        kind = "a whole number" if hint is int else "a number"
        raise InputError(f"{key} needs {kind}, got {text!r}; write as {key}={'3' if hint is int else '0.5'}") from None
