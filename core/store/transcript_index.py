"""The words of transcripts, to be searched: a file of its own beside the store, which can be made anew.

It is written in one transaction a turn, together with the place in the store's rows up to which it has come:
whatever ends in the middle, the next run goes on from there, and nothing is in it twice. Writing it holds up
nobody who writes to the store. Blocking: call it from a thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import InvalidInput, Unavailable
from core.store.wal import switch_to_wal

log = logging.getLogger(__name__)

NAME = "transcripts.db"
_LAYOUT = 1
_TABLES = """
CREATE TABLE indexed (turn_id TEXT PRIMARY KEY, id INTEGER NOT NULL UNIQUE) STRICT;
CREATE TABLE place (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL) STRICT;
CREATE VIRTUAL TABLE words USING fts5(text, project UNINDEXED, tokenize = "unicode61 remove_diacritics 2");
INSERT INTO place VALUES (1, 0);
"""
_BUSY_SECONDS = 10.0
_LONGEST_QUERY = 400
_WORDS_AT_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """`snippet` has `[` and `]` around what was found."""

    turn_id: str
    snippet: str


class TranscriptIndex:
    """`folder` is the state folder. A damaged file, or one of another layout, is made anew."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def place(self) -> int:
        """The `seq` of the last turn that was taken in; 0 before the first."""
        with self._open() as conn:
            return int(conn.execute("SELECT seq FROM place").fetchone()[0])

    def add(self, turn_id: str, project: str, text: str | None, *, seq: int) -> None:
        """Takes one turn's words in, and its place. Text None: there is nothing to be found of it."""
        with self._open() as conn, _writing(conn):
            if text is not None:
                _forget(conn, (turn_id,))
                made = conn.execute(
                    "INSERT INTO words (text, project) VALUES (?, ?)", (_plain(text), project)
                )
                conn.execute("INSERT INTO indexed VALUES (?, ?)", (turn_id, made.lastrowid))
            conn.execute("UPDATE place SET seq = max(seq, ?)", (seq,))

    def forget(self, turn_ids: Iterable[str]) -> None:
        """Also of turns that it does not know."""
        with self._open() as conn, _writing(conn):
            _forget(conn, turn_ids)

    def search(self, query: str, *, project: str | None = None, limit: int = 20) -> tuple[Hit, ...]:
        """Turns with all the words, the best first. Raises InvalidInput for a query without a word."""
        wanted = _match(query)
        if not self._path.exists():
            return ()
        where, parameters = ("", ()) if project is None else (" AND words.project = ?", (project,))
        with self._open() as conn:
            rows = conn.execute(
                "SELECT indexed.turn_id, snippet(words, 0, '[', ']', ' … ', 24) FROM words"  # noqa: S608
                f" JOIN indexed ON indexed.id = words.rowid WHERE words MATCH ?{where}"
                " ORDER BY rank, indexed.turn_id LIMIT ?",
                (wanted, *parameters, limit),
            ).fetchall()
        return tuple(Hit(turn_id=row[0], snippet=" ".join(row[1].split())) for row in rows)

    def count(self) -> int:
        if not self._path.exists():
            return 0
        with self._open() as conn:
            return int(conn.execute("SELECT count(*) FROM indexed").fetchone()[0])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            conn = self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise _unusable(self._path, error) from error
            log.warning("%s is damaged (%s): it is made anew", self._path, error)
            self._remove()
            conn = self._connect()
        try:
            yield conn
        except sqlite3.OperationalError as error:
            raise _unusable(self._path, error) from error
        except sqlite3.DatabaseError as error:
            log.warning("%s is damaged (%s): it is made anew", self._path, error)
            self._remove()
            raise _unusable(self._path, error) from error
        finally:
            conn.close()

    def _connect(self) -> sqlite3.Connection:
        if not self._path.exists():
            with contextlib.suppress(FileExistsError):  # only this user may read what agents said
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        conn = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            switch_to_wal(conn, _BUSY_SECONDS)
            conn.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes is indexed again
            layout = conn.execute("PRAGMA user_version").fetchone()[0]
            if layout != _LAYOUT:
                with _writing(conn):
                    if conn.execute("PRAGMA user_version").fetchone()[0] != _LAYOUT:
                        for name in ("indexed", "place", "words"):
                            conn.execute(f"DROP TABLE IF EXISTS {name}")
                        for statement in _TABLES.strip().split(";\n"):
                            conn.execute(statement)
                        conn.execute(f"PRAGMA user_version = {_LAYOUT}")
        except BaseException:
            conn.close()
            raise
        return conn

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)


@contextmanager
def _writing(conn: sqlite3.Connection) -> Iterator[None]:
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


def _forget(conn: sqlite3.Connection, turn_ids: Iterable[str]) -> None:
    for turn_id in turn_ids:
        for row in conn.execute("DELETE FROM indexed WHERE turn_id = ? RETURNING id", (turn_id,)).fetchall():
            conn.execute("DELETE FROM words WHERE rowid = ?", (row[0],))


def _plain(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", " ")


def _match(query: str) -> str:
    """Every word, and every part in quotes, as a string of FTS5's: nothing of it is read as its syntax."""
    text = query.strip()
    if len(text) > _LONGEST_QUERY:
        raise InvalidInput(f"The query has {len(text)} characters; {_LONGEST_QUERY} are possible.")
    parts: list[str] = []
    for number, piece in enumerate(_plain(text).split('"')):
        parts += [piece] if number % 2 else piece.split()
    words = [part for part in parts if any(unicodedata.category(char)[0] in "LN" for char in part)]
    if not words:
        raise InvalidInput("There is no word to search for.", hint="Say one or more words, or a name.")
    return " ".join(f'"{word}"' for word in words[:_WORDS_AT_MOST])


def _unusable(path: Path, error: sqlite3.Error) -> Unavailable:
    return Unavailable(
        "Transcripts cannot be searched now.",
        why=f"{path}: {error}.",
        hint="Try again; the running Orchard makes it anew when it is damaged.",
    )
