"""notes.py: nothing written is lost, nothing hostile is run, and whoever would overwrite somebody else is told."""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import signal
import sqlite3
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.notes import Note, NoteConflict, Notes
from inspector.recording import InspectorError, Neuron

HASH = "ab" * 32
HOSTILE = [
    "<script>alert(1)</script>",
    "'; DROP TABLE notes; --",
    "x" * 10_000,
    "🧠👩‍🚀\u202egnp\x00",
    "**bold** [a](http://b)",
    "a\r\nb\tc",
]


@pytest.fixture
def notes(tmp_path) -> Notes:
    return Notes(tmp_path / "data" / "notes.sqlite", HASH)


def test_note_comes_back_as_written(notes):
    assert notes.get(Neuron(1, 42)) == Note(Neuron(1, 42)) and notes.all() == []
    assert not notes.path.exists()  # reading makes nothing
    kept = notes.put(Note(Neuron(1, 42), "quotes", "is on inside strings", (" syntax ", "syntax", ""), star=True))
    assert notes.get(Neuron(1, 42)) == kept
    assert kept.tags == ("syntax",) and kept.version == 1 and kept.edited
    assert Notes(notes.path, "other").all() == []


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(notes, text):
    kept = notes.put(Note(Neuron(0, 0), title=text[:200], text=text, tags=(text[:50],)))
    assert notes.get(Neuron(0, 0)) == kept and kept.text == text
    other = Notes(notes.path.with_name("other.sqlite"), HASH)
    assert other.from_json(notes.to_json()) == 1 and other.get(Neuron(0, 0)).text == text


@settings(max_examples=40, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=50), units=st.sets(st.integers(0, 99), max_size=5)
)
def test_json_round_trip(tmp_path_factory, text, units):
    folder = tmp_path_factory.mktemp("notes")
    notes, other = (Notes(folder / name, HASH) for name in ("a.sqlite", "b.sqlite"))
    for unit in units:
        notes.put(Note(Neuron(0, unit), title="t", text=text, star=unit % 2 == 0))
    notes.put_list("mine", [Neuron(0, unit) for unit in units])
    other.from_json(notes.to_json())
    assert other.to_json() == notes.to_json()


def test_empty_note_is_deleted(notes):
    kept = notes.put(Note(Neuron(0, 1), title="t"))
    notes.put(dataclasses.replace(kept, title=" "))
    assert notes.all() == [] and notes.get(Neuron(0, 1)).version == 0


def test_overwriting_what_somebody_else_saved_is_refused(notes):
    first = notes.put(Note(Neuron(0, 1), title="first"))
    theirs = notes.put(dataclasses.replace(first, title="theirs"))
    with pytest.raises(NoteConflict, match="changed") as caught:
        notes.put(dataclasses.replace(first, title="mine"))
    assert caught.value.current == theirs == notes.get(Neuron(0, 1))
    with pytest.raises(NoteConflict):
        notes.put(Note(Neuron(0, 1), title="never read"))
    notes.put(dataclasses.replace(theirs, title=""))
    with pytest.raises(NoteConflict, match="deleted"):
        notes.put(dataclasses.replace(theirs, title="mine"))


def test_note_written_anew_after_a_deletion_is_not_taken_for_the_one_before(notes):
    mine = notes.put(Note(Neuron(0, 1), title="read by me"))
    notes.put(dataclasses.replace(mine, title=""))
    theirs = notes.put(Note(Neuron(0, 1), title="theirs"))
    assert theirs.version == mine.version
    with pytest.raises(NoteConflict):
        notes.put(dataclasses.replace(mine, title="mine"))
    assert notes.get(Neuron(0, 1)) == theirs


def test_later_note_wins_on_import(notes):
    exported = notes.to_json()
    old = notes.put(Note(Neuron(0, 1), title="old"))
    exported = notes.to_json()
    notes.put(dataclasses.replace(old, title="new"))
    assert notes.from_json(exported) == 0 and notes.get(Neuron(0, 1)).title == "new"
    later = json.loads(exported)
    later["notes"][0].update(title="later", edited="9999-01-01T00:00:00.000000+00:00")
    assert notes.from_json(json.dumps(later)) == 1
    assert notes.get(Neuron(0, 1)).title == "later" and notes.get(Neuron(0, 1)).version == 3


def test_lists_keep_order_and_are_joined_on_import(notes):
    notes.put_list("quotes", [Neuron(1, 2), Neuron(0, 1), Neuron(1, 2)])
    assert notes.lists() == {"quotes": [Neuron(1, 2), Neuron(0, 1)]}
    exported = notes.to_json()
    notes.put_list("quotes", [Neuron(0, 7), Neuron(0, 1)])
    notes.from_json(exported)
    assert notes.lists() == {"quotes": [Neuron(0, 7), Neuron(0, 1), Neuron(1, 2)]}
    notes.put_list("quotes", [])
    assert notes.lists() == {}


@pytest.mark.parametrize(
    "note",
    [Note(Neuron(0, 0), title="x" * 201), Note(Neuron(0, 0), text="x" * 20_001), Note(Neuron(0, 0), tags=("x" * 51,)),
     Note(Neuron(0, 0), tags=tuple(map(str, range(21)))), Note(Neuron(0, 0), text="\ud800")],
)  # fmt: skip
def test_too_much_is_a_sentence_and_changes_nothing(notes, note):
    with pytest.raises(InspectorError, match="note on 0:0"):
        notes.put(note)
    assert not notes.path.exists()


@pytest.mark.parametrize(
    "written", ["", "[]", "{}", '{"format": "charscope notes"}', "[" * 100_000, '{"format": "x", "version": 1}']
)
def test_import_of_something_else_is_a_sentence(notes, written):
    with pytest.raises(InspectorError, match="no file of exported notes"):
        notes.from_json(written)


def test_import_is_all_or_nothing(notes):
    notes.put(Note(Neuron(0, 1), title="t"))
    exported = json.loads(notes.to_json())
    wrong = {**exported, "notes": [{**exported["notes"][0], "neuron": "0:2"}, {"neuron": "0:3"}]}
    other = Notes(notes.path.with_name("other.sqlite"), HASH)
    with pytest.raises(InspectorError):
        other.from_json(json.dumps(wrong))
    assert other.all() == []
    for change, words in (({"network_hash": "ef"}, "open that one"), ({"version": 2}, "update Charscope")):
        with pytest.raises(InspectorError, match=words):
            other.from_json(json.dumps({**exported, **change}))


def test_file_that_is_no_notes_file_is_left_alone(notes):
    notes.path.parent.mkdir()
    notes.path.write_bytes(b"not a database, but somebody's file" * 100)
    with pytest.raises(InspectorError, match=r"notes\.sqlite"):
        notes.put(Note(Neuron(0, 0), title="t"))
    assert notes.path.read_bytes().startswith(b"not a database")
    notes.path.unlink()
    with sqlite3.connect(notes.path) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(InspectorError, match="update Charscope"):
        notes.all()
    notes.path.unlink()
    with contextlib.closing(sqlite3.connect(notes.path)) as connection:
        connection.execute("CREATE TABLE accounts (name)")
    before = notes.path.read_bytes()
    with pytest.raises(InspectorError, match="of another program"):
        notes.all()
    assert notes.path.read_bytes() == before


def _write_many(path: str, layer: int, count: int) -> None:
    notes = Notes(path, HASH)
    for unit in range(count):
        notes.put(Note(Neuron(layer, unit), title=f"{layer}:{unit}"))


def test_two_processes_writing_a_thousand_notes_lose_none(notes):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(str(notes.path), layer, 500)) for layer in (0, 1)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [note.title for note in notes.all()] == [f"{layer}:{unit}" for layer in (0, 1) for unit in range(500)]


def test_killed_writer_leaves_every_finished_note(notes):
    context = multiprocessing.get_context("spawn")
    writer = context.Process(target=_write_many, args=(str(notes.path), 0, 100_000))
    writer.start()
    while len(notes.all()) < 20:
        time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    units = [note.neuron.unit for note in notes.all()]
    assert len(units) >= 20 and units == list(range(len(units)))
    assert notes.put(Note(Neuron(1, 0), title="and on")).version == 1
