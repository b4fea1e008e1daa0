"""A cache of the event files in SQLite: reading one file in place of thousands, as over a network.

It holds nothing that the event files do not, so it may be deleted at any time. Whatever goes wrong with it (a lock, a
read-only disk, a damaged file) means that there is no cache, never that something is lost: who asks reads the files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

#: Seconds that one process waits for another's writing.
_PATIENCE_S = 2.0
_TABLE = "CREATE TABLE IF NOT EXISTS events (reader TEXT, name TEXT, content TEXT, PRIMARY KEY (reader, name))"


class EventIndex:
    """Event files' content by (reader, name).

    Args:
        path: Of the SQLite file; made where it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> dict[tuple[str, str], str]:
        """All that is kept; empty where there is no index that can be read."""
        try:
            with self._opened() as connection:
                rows = connection.execute("SELECT reader, name, content FROM events").fetchall()
            return {(reader, name): content for reader, name, content in rows}
        except sqlite3.Error as error:
            self._discard(error)
            return {}

    def add(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Keeps (reader, name, content) of more files, if it can."""
        try:
            with self._opened() as connection, connection:
                connection.executemany("INSERT OR REPLACE INTO events VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            self._discard(error)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=_PATIENCE_S)) as connection:
            connection.execute("PRAGMA synchronous = OFF")  # a cache need not be on the disk
            connection.execute(_TABLE)
            yield connection

    def _discard(self, error: sqlite3.Error) -> None:
        """Removes an index that is damaged; one that is only locked or not writable is left alone."""
        if isinstance(error, sqlite3.OperationalError) and "column" not in str(error):
            return
        for path in (self._path.with_name(f"{self._path.name}-journal"), self._path):
            with suppress(OSError):
                path.unlink()
