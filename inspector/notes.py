"""What people write about neurons: a title, a text, tags and a star for each, and named lists of neurons.

    Note ──► put ──► notes.sqlite (by network hash and neuron) ──► get, all ──► every page that shows the neuron
                          │ ▲
                      to_json, from_json: to move notes, or to hand them to others

Owns: the file, and that nothing written is lost: several processes may write at once, a killed one leaves every
finished note, and whoever saves over a note that somebody changed meanwhile is told so. Texts are kept as they are.
Knows nothing about: networks beyond their hash, recordings, screens.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inspector.recording import InspectorError, Neuron

FORMAT_VERSION = 1
MAX_TITLE, MAX_TEXT, MAX_TAG, MAX_TAGS, MAX_LISTED = 200, 20_000, 50, 20, 10_000
_BUSY_SECONDS = 30  # how long a writer waits for another one; a note takes milliseconds
_SCHEMA = """
CREATE TABLE notes (
    network TEXT NOT NULL, layer INTEGER NOT NULL, unit INTEGER NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL,
    tags TEXT NOT NULL, star INTEGER NOT NULL, edited TEXT NOT NULL, version INTEGER NOT NULL,
    PRIMARY KEY (network, layer, unit)
);
CREATE TABLE lists (network TEXT NOT NULL, name TEXT NOT NULL, neurons TEXT NOT NULL, PRIMARY KEY (network, name));
"""


@dataclass(frozen=True)
class Note:
    """What somebody wrote about one neuron.

    edited : when it was last saved, UTC, ISO 8601; `put` sets it.
    version : how often it was saved; 0 for one that never was. `put` compares it and counts on.
    """

    neuron: Neuron
    title: str = ""
    text: str = ""
    tags: tuple[str, ...] = ()
    star: bool = False
    edited: str = ""
    version: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to keep."""
        return not (self.title.strip() or self.text.strip() or self.tags or self.star)


class NoteConflict(InspectorError):
    """The note was saved by somebody else since it was read; `current` is what stands now (None: it was deleted)."""

    def __init__(self, neuron: Neuron, current: Note | None) -> None:
        what = "deleted" if current is None else "changed"
        super().__init__(
            f"The note on {neuron} was {what} in another window meanwhile. Yours is not saved: copy what you want to "
            "keep of it, load the page again, and save once more."
        )
        self.current = current


class Notes:
    """The notes on one network's neurons.

    >>> notes = Notes("notes.sqlite", network_hash=model.hash)
    >>> notes.put(Note(Neuron(1, 42), title="quotes"))

    path : of the SQLite file; it and its folder are made when something is first written.
    Every method opens and closes the file, so an object may be kept, shared between threads, or made anew each time.
    Raises InspectorError when the file is not one of ours, is newer than this program, or cannot be written.
    """

    def __init__(self, path: str | Path, network_hash: str) -> None:
        self.path, self.network_hash = Path(path), network_hash

    def get(self, neuron: Neuron) -> Note:
        """The note on a neuron; an empty one of version 0 where nobody wrote any."""
        found = [note for note in self._read("AND layer = ? AND unit = ?", tuple(neuron)) if note.neuron == neuron]
        return found[0] if found else Note(neuron)

    def all(self) -> list[Note]:
        """Every note, stars first, then by neuron."""
        return sorted(self._read(), key=lambda note: (not note.star, note.neuron))

    def put(self, note: Note) -> Note:
        """Save a note; an empty one is deleted. Returns what now stands.

        `note.version` must be that of the note it replaces, as `get` returned it.
        Raises NoteConflict when somebody saved another one since; InspectorError for a text, title or tag too long.
        """
        note = _checked(note)
        with self._writing() as connection:
            current = _select(connection, self.network_hash, "AND layer = ? AND unit = ?", tuple(note.neuron))
            there = current[0] if current else Note(note.neuron)
            is_other = bool(note.edited) and note.edited != there.edited  # versions begin anew after a deletion
            if there.version != note.version or is_other:
                raise NoteConflict(note.neuron, current[0] if current else None)
            return self._store(connection, note)

    def lists(self) -> dict[str, list[Neuron]]:
        """Named lists of neurons, by name."""
        if not self.path.is_file():
            return {}
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT name, neurons FROM lists WHERE network = ? ORDER BY name", (self.network_hash,)
            ).fetchall()
        return {name: [Neuron.parse(one) for one in neurons.split()] for name, neurons in rows}

    def put_list(self, name: str, neurons: Iterable[Neuron]) -> None:
        """Save a list of neurons under a name, in their order and each once; an empty one is deleted."""
        with self._writing() as connection:
            self._store_list(connection, name, list(neurons))

    def add_to_list(self, name: str, neurons: Iterable[Neuron]) -> None:
        """Put neurons at the end of a list; it is made where there is none. Several windows may do so at once."""
        with self._writing() as connection:
            self._join_list(connection, name, neurons)

    def to_json(self) -> str:
        """Everything kept on this network, as JSON to store or hand on."""
        kept = {
            "format": "charscope notes",
            "version": FORMAT_VERSION,
            "network_hash": self.network_hash,
            "notes": [
                {
                    "neuron": str(note.neuron),
                    "title": note.title,
                    "text": note.text,
                    "tags": list(note.tags),
                    "star": note.star,
                    "edited": note.edited,
                }
                for note in self.all()
            ],
            "lists": {name: [str(neuron) for neuron in neurons] for name, neurons in self.lists().items()},
        }
        return json.dumps(kept, indent=1, ensure_ascii=False) + "\n"

    def from_json(self, written: str) -> int:
        """Take over what `to_json` wrote, all or nothing; returns how many notes and lists were taken.

        Where there is a note already the one that was edited later stays; lists of the same name are joined.
        Raises InspectorError for what is no such file, and for notes on another network.
        """
        notes, lists = _parse(written, self.network_hash)
        n_taken = 0
        with self._writing() as connection:
            current = {note.neuron: note for note in _select(connection, self.network_hash)}
            for note in notes:
                there = current.get(note.neuron)
                if there is None or note.edited > there.edited:
                    self._store(connection, replace(note, version=there.version if there else 0), edited=note.edited)
                    n_taken += 1
            for name, neurons in lists.items():
                self._join_list(connection, name, neurons)
                n_taken += 1
        return n_taken

    # ------------------------------------------------------------------------------------------------- the file

    def _read(self, where: str = "", values: tuple[Any, ...] = ()) -> list[Note]:
        if not self.path.is_file():
            return []
        with self._connection() as connection:
            return _select(connection, self.network_hash, where, values)

    def _store(self, connection: sqlite3.Connection, note: Note, *, edited: str | None = None) -> Note:
        if note.is_empty:
            connection.execute(
                "DELETE FROM notes WHERE network = ? AND layer = ? AND unit = ?", (self.network_hash, *note.neuron)
            )
            return Note(note.neuron)
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        note = replace(note, edited=edited or now, version=note.version + 1)
        stamp = note.edited, note.version
        connection.execute(
            "INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self.network_hash, *note.neuron, note.title, note.text, json.dumps(note.tags), note.star, *stamp),
        )
        return note

    def _join_list(self, connection: sqlite3.Connection, name: str, neurons: Iterable[Neuron]) -> None:
        row = connection.execute(
            "SELECT neurons FROM lists WHERE network = ? AND name = ?", (self.network_hash, name.strip())
        ).fetchone()
        there_already = [Neuron.parse(one) for one in row[0].split()] if row else []
        self._store_list(connection, name, [*there_already, *neurons])

    def _store_list(self, connection: sqlite3.Connection, name: str, neurons: list[Neuron]) -> None:
        name, wanted = name.strip(), list(dict.fromkeys(neurons))
        if not name or len(name) > MAX_TITLE or re.search("[\ud800-\udfff]", name):
            raise InspectorError(
                f"The name of a list has {len(name):,} characters; it needs 1 to {MAX_TITLE} whole ones."
            )
        if len(wanted) > MAX_LISTED:
            raise InspectorError(f"The list has {len(wanted):,} neurons; up to {MAX_LISTED:,} can be kept in one.")
        if wanted:
            row = (self.network_hash, name, " ".join(map(str, wanted)))
            connection.execute("INSERT OR REPLACE INTO lists VALUES (?, ?, ?)", row)
        else:
            connection.execute("DELETE FROM lists WHERE network = ? AND name = ?", (self.network_hash, name))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is kept, or none; other writers wait for it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InspectorError(f"Notes cannot be kept in {self.path.parent}: {error}.") from error
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(
                sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
            ) as connection:
                self._check_format(connection)
                yield connection
        except sqlite3.Error as error:
            raise InspectorError(
                f"The notes in {self.path} cannot be read or written ({error}). Nothing was changed; see that the disk "
                "has room and the file is a Charscope notes file, or move it away to start a new one."
            ) from error

    def _check_format(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT_VERSION:
            raise InspectorError(
                f"{self.path} has version {version}, this program reads up to {FORMAT_VERSION}: update Charscope."
            )
        if version == FORMAT_VERSION:
            return
        connection.execute("BEGIN IMMEDIATE")  # two processes may find a new file at the same moment
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                connection.execute("ROLLBACK")
                raise InspectorError(
                    f"{self.path} is a database of another program: name another file for the notes, or move it away."
                )
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        connection.execute("COMMIT")


def _select(
    connection: sqlite3.Connection, network_hash: str, where: str = "", values: tuple[Any, ...] = ()
) -> list[Note]:
    columns = "layer, unit, title, text, tags, star, edited, version"
    rows = connection.execute(f"SELECT {columns} FROM notes WHERE network = ? {where}", (network_hash, *values))
    return [
        Note(Neuron(layer, unit), title, text, tuple(json.loads(tags)), bool(star), edited, version)
        for layer, unit, title, text, tags, star, edited, version in rows.fetchall()
    ]


def _checked(note: Note) -> Note:
    """The note with tidy tags; InspectorError where something is too long or no text at all."""
    tags = tuple(dict.fromkeys(tag.strip() for tag in note.tags if tag.strip()))
    for what, text, limit in (
        ("title", note.title, MAX_TITLE), ("text", note.text, MAX_TEXT), *(("tag", tag, MAX_TAG) for tag in tags)
    ):  # fmt: skip
        if len(text) > limit:
            raise InspectorError(
                f"The {what} of the note on {note.neuron} has {len(text):,} characters; up to {limit:,} are kept."
            )
        if re.search("[\ud800-\udfff]", text):
            raise InspectorError(f"The {what} of the note on {note.neuron} holds half a character (a lone surrogate).")
    if len(tags) > MAX_TAGS:
        raise InspectorError(f"The note on {note.neuron} has {len(tags)} tags; up to {MAX_TAGS} are kept.")
    return replace(note, tags=tags)


def _parse(written: str, network_hash: str) -> tuple[list[Note], dict[str, list[Neuron]]]:
    """Notes and lists out of exported JSON; InspectorError for anything else."""
    try:
        kept = json.loads(written)
        if kept["format"] != "charscope notes":
            raise KeyError("format")
        version, of = int(kept["version"]), kept["network_hash"]
        if version > FORMAT_VERSION:
            raise InspectorError(
                f"These notes have version {version}, this program reads up to {FORMAT_VERSION}: update Charscope."
            )
        if of != network_hash:
            raise InspectorError(
                f"These notes are on the network {str(of)[:12]}…, not on this one, {network_hash[:12]}…: open that one."
            )
        notes = [
            _checked(Note(Neuron.parse(one["neuron"]), _text(one["title"]), _text(one["text"]),
                          tuple(map(_text, one["tags"])), bool(one["star"]), _text(one["edited"])))
            for one in kept["notes"]
        ]  # fmt: skip
        return notes, {_text(name): [Neuron.parse(one) for one in some] for name, some in kept["lists"].items()}
    except InspectorError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InspectorError(
            f"This is no file of exported notes ({type(error).__name__}: {error}). Give JSON that Charscope exported."
        ) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
