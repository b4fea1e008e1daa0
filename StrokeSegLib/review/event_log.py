"""All whole events of a study: from the index where it has them, else from the files, each read once a process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Lock

from StrokeSegLib.errors import InputError
from StrokeSegLib.review.durable import write_once
from StrokeSegLib.review.events import Event, NotAnEventError, decode, encode, is_event_name, new_name
from StrokeSegLib.review.index import EventIndex
from StrokeSegLib.review.names import check_name

READERS, EVENTS, INDEX = "readers", "events", "index.sqlite"


class EventLog:
    """The events of a study's folder.

    The files are what counts: each call lists their names and reads those that are new. Files that are no whole events
    are left out, and looked at again the next time: a slow disk may still be bringing them.

    Args:
        study: The study's folder.
        index: Where events are cached.
    """

    def __init__(self, study: Path, index: EventIndex | None = None) -> None:
        self._readers = study / READERS
        self._index = index or EventIndex(study / INDEX)
        self._lock = Lock()
        self._known: dict[tuple[str, str], Event] = {}
        self._sorted: tuple[Event, ...] = ()
        self._cached: dict[tuple[str, str], str] | None = None

    def readers(self) -> tuple[str, ...]:
        """Readers with a folder, sorted."""
        return tuple(sorted(name for name in _names(self._readers) if _is_name(name)))

    def events(self) -> tuple[Event, ...]:
        """All whole events, oldest first."""
        with self._lock:
            keys = set(self._keys())
            gone, new = self._known.keys() - keys, keys - self._known.keys()
            for key in gone:
                del self._known[key]
            if new:
                self._read(new)
            if gone or new:
                self._sorted = tuple(sorted(self._known.values(), key=lambda event: (event.name, event.reader)))
            return self._sorted

    def write(self, event: Event) -> Event:
        """Writes one more event of a reader; its name and its time are chosen here, later than that reader's last.

        Returns:
            The event as it is on the disk.

        Raises:
            InputError: A field has no valid value, or it can not be written; then there is no such event.
        """
        self._check_reader(event.reader)
        last = max((each.name for each in self.events() if each.reader == event.reader), default="")
        name, at_utc = new_name(last)
        event = replace(event, name=name, at_utc=at_utc)
        content = encode(event)
        write_once(self._readers / event.reader / EVENTS / name, content)
        return event

    def _check_reader(self, reader: str) -> None:
        check_name(reader, "reader")
        same = [name for name in _names(self._readers) if name.casefold() == reader.casefold() and name != reader]
        if same:
            raise InputError(f"there is a reader {same[0]}, {reader} differs only in upper and lower case: use one")

    def _keys(self) -> Iterator[tuple[str, str]]:
        for reader in self.readers():
            for name in _names(self._readers / reader / EVENTS):
                if is_event_name(name):
                    yield reader, name

    def _read(self, keys: set[tuple[str, str]]) -> None:
        """Reads events that are not known yet, and has the index keep those that it did not have."""
        if self._cached is None:
            self._cached = self._index.load()
        rows = []
        for reader, name in keys:
            content = self._cached.pop((reader, name), None)
            event = None if content is None else _decoded(name, reader, content)
            if event is None:
                content = _content(self._readers / reader / EVENTS / name)
                event = _decoded(name, reader, content)
                if event is not None:
                    rows.append((reader, name, content))
            if event is not None:
                self._known[reader, name] = event
        if rows:
            self._index.add(rows)


def _decoded(name: str, reader: str, content: str) -> Event | None:
    try:
        return decode(name, reader, content)
    except NotAnEventError:
        return None


def _content(path: Path) -> str:
    """Text of a file; nothing where it can not be read, as decoding will tell."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_name(name: str) -> bool:
    try:
        check_name(name, "reader")
    except InputError:
        return False
    return True
