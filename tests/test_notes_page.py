"""Notes on screen: written, shown wherever the neuron appears, never overwritten unseen, and read-only for a class."""

import html
import json

import pytest
import streamlit

from dashboard import notes, texts
from inspector.model import load_checkpoint
from inspector.notes import Note
from inspector.recording import InspectorError, Neuron
from tests.screen import open_app, said
from tests.test_pages import NETWORKS, address, checkpoints, place  # noqa: F401 - fixtures

BEST = Neuron(1, 3)  # of the survey that test_pages writes
HOSTILE = [
    "<script>window.hit = 1</script>",
    "'); DROP TABLE notes; --",
    "x" * 10_000,
    "👩‍👩‍👧 \u202e\u05e9\u05dc\u2028 **bold** [a](javascript:1) :material/home: $x$",
]


@pytest.fixture
def kept(checkpoints):  # noqa: F811
    return notes.notes_of(load_checkpoint(checkpoints / "python").hash)


def write(app, **parts):
    """Fill in the card and save it."""
    for label, value in parts.items():
        kind = {"title": app.text_input, "text": app.text_area, "tags": app.text_input}[label]
        next(one for one in kind if one.key and one.key.startswith(f"note_{label}")).set_value(value)
    save = next(one for one in app.button if one.label == "Save")
    return save.click().run()


def click(app, words):
    return next(one for one in app.button if one.label.replace("\\", "") == words).click().run()


def test_note_is_kept_and_shown_beside_the_neuron(kept):
    app = open_app()
    next(one for one in app.checkbox if one.label == "star").check()
    write(app, title="quotes", text="since the opening quote", tags="strings, to check")

    assert kept.get(BEST).title == "quotes" and kept.get(BEST).tags == ("strings", "to check")
    assert "★ quotes since the opening quote #strings #to check" in said(app)
    assert "★ quotes" in said(open_app(NETWORKS))
    assert open_app(NETWORKS).dataframe[1].value["note"].tolist() == ["★ quotes"]


def test_long_title_is_whole_beside_the_neuron_and_short_in_a_table(kept):
    title = "what `it` does in a " + "long " * 20 + "title"

    app = write(open_app(), title=title)

    assert title in said(app)
    assert open_app(NETWORKS).dataframe[1].value["note"].tolist() == [title[:59] + "…"]


@pytest.mark.parametrize("page", [None, "neuron", "find", "networks"])
def test_pages_stand_without_notes_that_cannot_be_read(kept, page):
    (texts.data_folder() / "notes.sqlite").write_bytes(b"no notes" * 99)

    app = open_app(f"app_pages/{page}.py" if page else None, network="python", concept="vowel")

    assert said(app).count("cannot be read or written") == 1
    assert app.get("bidi_component") if page is None else app.dataframe or "What it makes likelier next" in said(app)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_notes_stay_text(kept, text):
    read = write(open_app(), title=text[:200], text=text, tags=text.replace(",", " ")[:50])
    assert kept.get(BEST).text == text
    for app in (read, open_app(NETWORKS)):
        said(app)
        bodies = "".join(element.proto.body for element in app.get("html"))
        assert html.escape(" ".join(text.split())[:40]) in bodies and "<script>" not in bodies
        assert not any(text[:30] in element.value for element in app.markdown)
        labels = [element.label for kind in ("button", "checkbox", "text_input") for element in app.get(kind)]
        assert not any(text[:30] in label for label in labels)


def test_two_windows_keep_both_versions_on_screen(kept):
    here, there = open_app(), open_app()
    write(there, title="theirs", text="their words")
    write(here, title="mine", text="my words")

    assert kept.get(BEST).title == "theirs"
    assert "changed in another window meanwhile" in said(here)
    assert "their words" in "".join(element.value for element in here.text)
    assert any(one.value == "my words" for one in here.text_area)
    click(here, "save mine over it")
    assert kept.get(BEST).title == "mine" and "changed in another" not in said(here)
    assert any(one.value == "my words" for one in here.text_area)


def test_the_other_version_can_be_taken(kept):
    here, there = open_app(), open_app()
    write(there, title="theirs")
    write(here, title="mine")
    click(here, "take that one")
    assert kept.get(BEST).title == "theirs"
    assert [one.value for one in here.text_input if one.key.startswith("note_title")] == ["theirs"]


def test_a_change_elsewhere_is_told_before_one_types(kept):
    app = open_app()
    kept.put(Note(BEST, title="theirs"))
    app.run()
    assert "changed in another window" in said(app)
    click(app, "show what it says now")
    assert [one.value for one in app.text_input if one.key.startswith("note_title")] == ["theirs"]


def test_each_neuron_has_its_own_note(kept):
    kept.put(Note(Neuron(0, 1), title="another"))
    write(open_app(), title="first")
    app = open_app(neuron="0:1")
    assert [one.value for one in app.text_input if one.key.startswith("note_title")] == ["another"]
    write(app, text="more")
    assert kept.get(Neuron(0, 1)).title == "another" and kept.get(BEST).title == "first"


@pytest.mark.parametrize("page", ["gates", "neuron", "tour"])
def test_note_is_shown_on_every_page_that_shows_the_neuron(kept, page):
    best = Neuron(1, 3) if page != "tour" else Neuron(0, 0)  # the last stop's: listed for nothing
    for neuron in {best, Neuron(1, 0), Neuron(1, 1)}:
        kept.put(Note(neuron, title=f"<b>quotes of {neuron}", star=True))

    app = open_app(f"app_pages/{page}.py")

    assert "★ <b>quotes of 1:" in said(app) and "<b>quotes" not in "".join(b.proto.body for b in app.get("html"))


def test_note_can_be_written_on_the_gates_page(kept):
    write(open_app("app_pages/gates.py"), title="its forget gate")
    assert kept.get(BEST).title == "its forget gate"


def test_note_on_a_neighbour_stands_behind_its_link(kept):
    kept.put(Note(BEST._replace(unit=BEST.unit + 1), title="[next](x)"))
    app = open_app("app_pages/neuron.py", neuron=str(BEST))
    (label,) = [one.proto.label for one in app.get("page_link") if one.proto.label.startswith("1:4 →")]
    assert label == r"1:4 → · \[next\]\(x\)"


def test_lists_grow_and_are_shown(kept):
    kept.put_list("to look at", [Neuron(0, 0)])
    app = open_app()
    app.selectbox(key="note_list").set_value("to look at").run()
    click(app, f"add {BEST}")
    assert kept.lists() == {"to look at": [Neuron(0, 0), BEST]}
    assert f"{BEST} is on “to look at”" in said(app) and "List “to look at”" in said(open_app(NETWORKS))


def test_two_windows_adding_to_a_list_lose_nothing(kept):
    kept.add_to_list("both", [Neuron(0, 0)])
    kept.add_to_list("both ", [Neuron(0, 1), Neuron(0, 0)])
    assert kept.lists() == {"both": [Neuron(0, 0), Neuron(0, 1)]}
    with pytest.raises(InspectorError, match="name of a list"):
        kept.add_to_list(" ", [BEST])


def test_choosing_a_list_is_no_move_of_the_reader(kept):
    kept.put_list("favourites", [Neuron(0, 0)])
    app = open_app(network="python", neuron="1:3")
    app.selectbox(key="pick_text").set_value("sample:ring_buffer.c").run()
    app.query_params["text"] = "sample:lighthouse.txt"  # as a late browser names it

    app.selectbox(key="note_list").set_value("favourites").run()

    assert address(app)["text"] == "sample:ring_buffer.c"


def test_notes_go_out_and_come_in_as_json(kept, monkeypatch):
    kept.put(Note(BEST, title="quotes"))
    written = {}
    monkeypatch.setattr(streamlit, "download_button", lambda words, data, name, kind: written.update({name: data}))
    open_app(NETWORKS)
    assert json.loads(written["notes-python.json"])["notes"][0]["title"] == "quotes"
    kept.path.unlink()
    app = open_app(NETWORKS)
    next(one for one in app.get("file_uploader") if "python" in one.key).set_value(
        ("notes.json", written["notes-python.json"].encode(), "application/json")
    ).run()
    assert kept.get(BEST).title == "quotes" and "1 notes and lists" in said(app)


class TestReadOnly:
    @pytest.fixture(autouse=True)
    def served(self, monkeypatch, kept):
        kept.put(Note(BEST, title="quotes", text="line\nline"))
        monkeypatch.setenv("CHARSCOPE_READ_ONLY", "1")

    def test_notes_are_shown_and_no_control_writes(self):
        app, networks = open_app(), open_app(NETWORKS)
        assert "quotes" in said(app) and "quotes" in said(networks)
        labels = {one.label for page in (app, networks) for one in page.button}
        assert labels <= {"?"} and not app.text_area and not networks.get("file_uploader")
        assert "line\nline" in [one.value for one in app.text]

    def test_what_writes_refuses(self, kept, tmp_path):
        for change in (lambda: texts.keep_text("a", "b"), lambda: texts.forget_text("mine:0")):
            with pytest.raises(InspectorError, match="read-only"):
                change()

    def test_only_listed_recordings_are_opened(self, tmp_path):
        assert "only the recordings it lists" in said(open_app(text=f"recording:{tmp_path}"))
