"""The models that are installed: the bundled ones, and the user's own in a folder beside Slicer's settings.

A folder is imported only when its card follows the schema, its weights are safetensors and have the card's hash; only
the files that the card names are copied, beside their place first, so that a failure leaves nothing. Nothing is run.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from StrokeSegApp import card_schema
from StrokeSegLib.disk import DISK_FULL, disk_full
from StrokeSegLib.errors import InputError
from StrokeSegLib.long_paths import reachable
from StrokeSegLib.models import CARD, ModelCard, check_weights, list_models, load_card
from StrokeSegLib.resources import models_folder

SCHEMA = "schema.json"
README = "README.md"
#: Folders with this beginning are on their way in or out, and no models.
UNFINISHED = "."


@dataclass(frozen=True)
class Installed:
    """A model that can be chosen. ``problem`` says in one line why not; ``card`` is None then."""

    folder: Path
    card: ModelCard | None
    bundled: bool
    sizeBytes: int
    problem: str = ""


def userFolder() -> Path:
    """Where a user's own models are kept: they outlive an update of the extension."""
    return reachable(Path(slicer.app.slicerUserSettingsFilePath).parent / "StrokeSeg" / "Models")


def installed(store: Path | None = None) -> list[Installed]:
    """Every model, the bundled ones first; damaged ones of the user with their problem."""
    store = userFolder() if store is None else store
    found = [Installed(card.folder, card, True, _sizeOf(card.folder)) for card in list_models()]
    for file in sorted(store.glob(f"*/{CARD}")):
        folder = file.parent
        if folder.name.startswith(UNFINISHED):
            continue
        try:
            found.append(Installed(folder, load_card(folder), False, _sizeOf(folder)))
        except InputError as error:
            found.append(Installed(folder, None, False, _sizeOf(folder), str(error)))
    return found


def cards(store: Path | None = None) -> list[ModelCard]:
    """The cards of all models that can be used."""
    return [each.card for each in installed(store) if each.card is not None]


def findModel(word: str, store: Path | None = None) -> ModelCard:
    """A model by its id, bundled or the user's, or by the path of its folder.

    Raises:
        InputError: There is no such model; the message lists the known ones.
    """
    known = {card.id: card for card in cards(store)}
    if word in known:
        return known[word]
    if (Path(word) / CARD).is_file():
        return load_card(Path(word))
    raise InputError(
        _("unknown model '{word}'; known: {known}; or give a model's folder").format(
            word=word, known=", ".join(known) or _("none")
        )
    )


def modelWord(card: Any) -> str:
    """How the command line and the worker are told of a model: its id when bundled, else its folder."""
    folder = getattr(card, "folder", None)
    return card.id if folder is None or Path(folder).parent == models_folder() else str(folder)


def verify(card: ModelCard) -> None:
    """Read the weights and compare their SHA-256 with the card's.

    Raises:
        InputError: They are not those that the card names.
    """
    for network in card.all_networks:
        check_weights(network)


def importModel(source: Path, store: Path | None = None) -> ModelCard:
    """Check a model folder and copy it among the user's models.

    Raises:
        InputError: It is no valid model, its id is taken, or it cannot be copied; nothing is left then.
    """
    store = userFolder() if store is None else store
    card = _checked(source)
    if card.id in {each.id for each in cards(store)} or (store / card.id).exists():
        raise InputError(
            _("a model '{model}' is installed already: remove it first, or export this one with another id").format(
                model=card.id
            )
        )
    stage = store / f"{UNFINISHED}{card.id}-{secrets.token_hex(4)}"
    try:
        stage.mkdir(parents=True)
        for file in sorted(_filesOf(card)):
            copy = stage / file.relative_to(card.folder)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, copy)
        verify(load_card(stage))  # the copy, not only what it was made from
        os.replace(stage, store / card.id)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise disk_full(store) from error
        raise InputError(
            _("the model can not be copied to {store} ({reason}): check the rights there").format(
                store=store, reason=error.strerror
            )
        ) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return load_card(store / card.id)


def remove(model: Installed) -> None:
    """Delete a model of the user.

    Raises:
        InputError: It is a bundled one, or a file of it is in use.
    """
    if model.bundled:
        raise InputError(_("'{model}' comes with StrokeSeg and can not be removed").format(model=model.folder.name))
    gone = model.folder.with_name(f"{UNFINISHED}{model.folder.name}-{secrets.token_hex(4)}")
    try:
        os.replace(model.folder, gone)  # all or nothing: Windows refuses while a file is open
    except OSError as error:
        raise InputError(
            _("{folder} can not be removed ({reason}): wait for a run to end, or restart Slicer").format(
                folder=model.folder, reason=error.strerror
            )
        ) from error
    shutil.rmtree(gone, ignore_errors=True)


def _filesOf(card: ModelCard) -> set[Path]:
    """The files that make the model: what its card names, its README, and the same of its specialists."""
    named = {file for network in card.networks for file in (network.graph, network.weights)}
    files = {card.folder / CARD, *named}
    files |= {card.folder / README} if (card.folder / README).is_file() else set()
    return files.union(*(_filesOf(one) for one in card.specialists))


def _checked(source: Path) -> ModelCard:
    """The card of a folder that holds a whole model.

    Raises:
        InputError: It does not.
    """
    file = source / CARD
    if not file.is_file():
        raise InputError(
            _(
                "{source} holds no {card}, a model folder is needed: choose one that 'Make a model' or an export made"
            ).format(source=source, card=CARD)
        )
    _checkCard(file)
    card = load_card(source)
    _checkSystem(card)
    for one in card.specialists:
        _checkCard(one.folder / CARD)
    for network in card.all_networks:
        if not network.graph.is_file():
            raise InputError(
                _("{source} lacks {file}, which its card names: export the model again").format(
                    source=source, file=network.graph.name
                )
            )
        _checkSafetensors(network.weights)
    verify(card)
    return card


def _checkCard(file: Path) -> None:
    """A card against the schema.

    Raises:
        InputError: It does not follow it.
    """
    schema = json.loads((models_folder() / SCHEMA).read_text(encoding="utf-8"))
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            _("{file} can not be read as JSON ({error}): export the model again").format(file=file, error=error)
        ) from error
    wrong = list(card_schema.problems(content, schema))
    if wrong:
        more = _(" (and {count} more)").format(count=len(wrong) - 1) if len(wrong) > 1 else ""
        raise InputError(
            _("{file} is no valid model card: {problem}{more}; export the model again").format(
                file=file, problem=wrong[0], more=more
            )
        )


def _checkSystem(card: ModelCard) -> None:
    from StrokeSegLib.systems import SYSTEMS

    if card.system not in SYSTEMS:
        raise InputError(
            _("model '{model}' is of the system '{system}', known are {known}: update StrokeSeg").format(
                model=card.id, system=card.system, known=", ".join(SYSTEMS)
            )
        )


def _checkSafetensors(path: Path) -> None:
    """The file begins with the length of a JSON header, then has as many bytes as that says."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if 0 < length <= size - 8 else None
        ends = [each["data_offsets"][1] for name, each in header.items() if name != "__metadata__"]
        whole = size == 8 + length + max(ends, default=0)
    except OSError as error:
        raise InputError(
            _("{path} can not be read ({reason}): export the model again").format(path=path, reason=error.strerror)
        ) from error
    except (ValueError, AttributeError, KeyError, TypeError, IndexError):
        whole = False
    if not whole:
        raise InputError(
            _("{path} is no whole safetensors file, and no other kind of weights is loaded: export it again").format(
                path=path
            )
        )


def _sizeOf(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
