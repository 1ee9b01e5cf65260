"""What the Find page answers about a marked stretch, run without a browser."""

import re

import pandas as pd
import pytest
import streamlit

from dashboard import data, notes, share, state, tables, texts
from dashboard.data import searching
from inspector.capture import record
from inspector.concepts import CONCEPTS
from inspector.notes import Note
from inspector.recording import Neuron
from tests.conftest import PYTHON_TEXT, tiny_model
from tests.screen import open_app, said
from tests.test_pages import FIND, address, checkpoints, place  # noqa: F401 - fixtures

MARK = {"network": "python", "text": "sample:address_book.py", "mark": "120-150", "neuron": "1:3", "signal": "cell"}


def ask(question, **query):
    """As Read sends the reader here."""
    app = open_app(**query)
    app.query_params["ask"] = question
    return app.switch_page(FIND).run()


def links(app):
    """Labels of the page's links."""
    return [element.proto.label for element in app.get("page_link")]


def test_here_ranks_neurons_for_the_mark_and_leads_back():
    app = ask("here", **MARK)

    content = texts.load_text("sample:address_book.py").content
    assert " ".join(content[120:150].split())[:20] in said(app) and "  " not in said(app)
    assert "30 marked characters" in said(app) and "the best neuron for other stretches so long" in said(app)
    table = app.dataframe[0].value
    assert len(table) == 2 * 12 and table["f1"].is_monotonic_decreasing
    assert links(app)[0] == "← Back to the text"
    assert address(app)["ask"] == "here"


def test_elsewhere_lists_places_of_the_neuron_most_alike_first():
    app = ask("elsewhere", **MARK)

    assert "1:3, its cell state at" in said(app)
    assert "elsewhere" in said(app)
    assert any("line" in label for label in links(app))


def test_elsewhere_names_the_file_and_line_of_each_place():
    content = texts.load_text("sample:address_book.py").content
    two = texts.keep_files([("a_b.py", content), ("c.py", content)], "two")

    app = ask("elsewhere", **MARK | {"text": two})

    places = links(app)[3:]
    assert places and all(re.fullmatch(r"(a\\_b|c)\\.py\\:\d+ →", label) for label in places)


@pytest.mark.parametrize("mark", ["999999-1000000", ""])
def test_a_question_about_no_mark_is_a_sentence(mark):
    app = ask("here", **MARK | {"mark": mark})

    assert "Nothing is marked in this text" in said(app)


def test_a_mark_too_long_to_search_is_a_sentence():
    content = "word and word\n" * 1000
    app = ask("here", **MARK | {"text": texts.keep_text(content, "long.txt"), "mark": "0-9000"})

    assert "mark less" in said(app)


def test_the_survey_of_whole_files_stands_above_the_ranking_of_this_text():
    app = open_app(FIND, concept="inside_string", text="sample:address_book.py")

    words = said(app)
    told = "In the 2 held-out characters of the survey, the best was 1:3"
    claim = re.search(rf"^{app.dataframe[0].value.neuron[0]}.*“inside a string”", words, re.MULTILINE)
    assert words.index(told) < claim.start()


def test_concepts_are_listed_with_their_group():
    app = open_app(FIND, text="sample:address_book.py")

    assert "inside a string · strings and comments" in app.multiselect(key="pick_concepts").options
    groups = [group.proto.label for group in app.get("button_group") if group.key and group.key.startswith("group")]
    assert {"brackets", "lines", "words"} <= set(groups) and groups.count("syntax") == 1
    assert groups.index("characters") < groups.index("syntax")
    words = said(app)
    assert words.index("Any text") < words.index("Source code") and "Your own" not in words
    assert "Your own" in said(open_app(FIND, concept="regex:self", text="sample:address_book.py"))


# ------------------------------------------------------------------------------------------------- several concepts


def chosen_links(app):
    """The addresses to which the page's links to Read lead."""
    return [one.proto.query_string for one in app.get("page_link") if "→" in one.proto.label]


def test_several_concepts_are_compared_each_with_its_best_neuron_and_its_sentence():
    app = open_app(FIND, network="small", concept="whitespace", also="inside_string,regex:zzzz,vowel")

    table = app.dataframe[0].value
    assert set(table.title) == {"white space", "inside a string", "vowel"}
    assert table.description.str.len().gt(8).all() and table.twin_score.notna().all()
    assert table.found_in.eq("this text").all()
    assert "“matches zzzz”: Too little to rank" in said(app)
    best = table.neuron[list(table.title).index("white space")]
    assert best == app.dataframe[1].value["neuron"][0]
    assert f"neuron={best}".replace(":", "%3A") in chosen_links(app)[0]


def test_looking_at_another_concept_keeps_what_it_is_compared_with():
    app = open_app(FIND, network="small", concept="whitespace", also="inside_string,vowel", about="0:2")

    next(one for one in app.get("button_group") if one.key == "looked_at").set_value("vowel").run()

    there = address(app)
    assert (there["concept"], there["also"]) == ("vowel", "whitespace,inside_string")
    assert "about" not in there
    assert "“vowel”: " in said(app)


def test_concept_that_was_added_is_looked_at_and_can_be_taken_away():
    app = open_app(FIND, network="small", concept="whitespace")

    app.multiselect(key="pick_concepts").set_value(["whitespace", "digit"]).run()
    assert (address(app)["concept"], address(app)["also"]) == ("digit", "whitespace")
    app.multiselect(key="pick_concepts").set_value(["digit"]).run()
    assert address(app)["concept"] == "digit" and "also" not in address(app)
    key = next(one.key for one in app.get("button_group") if one.key.startswith("group") and "words" in one.key)
    next(one for one in app.get("button_group") if one.key == key).set_value(["word_start"]).run()
    assert (address(app)["concept"], address(app)["also"]) == ("word_start", "digit")


def test_passages_are_of_the_scored_part_with_the_concept_underlined():
    app = open_app(FIND, network="small", concept="whitespace", text="sample:address_book.py")

    content = texts.load_text("sample:address_book.py").content
    scored = data.scored_part(data.read_with(data.network("small"), texts.load_text("sample:address_book.py")))
    starts = [int(re.search(r"at=(\d+)", link)[1]) for link in chosen_links(app) if "at=" in link]
    assert len(starts) >= 3 and all(scored[at] and content[at].isspace() for at in starts)
    excerpts = [one.proto.body for one in app.get("html") if "cs-excerpt" in one.proto.body]
    underlined = re.findall(r'<span class="in"[^>]*>(.)</span>', "".join(excerpts))
    assert underlined and set(underlined) <= {" ", "\t"}
    assert "What it misses" in said(app) or "What it mistakes for it" in said(app)


def test_one_neuron_or_many_is_said_with_its_curve():
    app = open_app(FIND, network="small", concept="whitespace")

    assert re.search(r"(One neuron|A few neurons|Many neurons): ", said(app))
    assert len(app.get("plotly_chart")) == 3


def test_where_no_neuron_tells_it_there_is_no_curve(monkeypatch):
    monkeypatch.setattr(data, "begin_codes", lambda *given: None)
    monkeypatch.setattr(data, "codes", lambda *given: pd.DataFrame({"k": [], "score": [], "metric": []}))

    app = open_app(FIND, network="small", concept="whitespace")

    assert "No neuron tells it from the rest" in said(app) and len(app.get("plotly_chart")) == 2


def test_graded_concept_shows_how_the_neuron_follows_it():
    app = open_app(FIND, network="small", concept="indentation")

    assert "How it follows" in said(app) and "What it misses" not in said(app)


def test_note_stands_beside_its_neuron():
    network_hash = data.network("small").hash
    notes.notes_of(network_hash).put(Note(Neuron(0, 1), title="<b>blanks", star=True))
    app = open_app(FIND, network="small", concept="whitespace", about="0:1")

    table = app.dataframe[0].value
    assert table.note[list(table.neuron).index("0:1")] == "★ <b>blanks"
    assert "★ <b>blanks" in said(app)


def test_neuron_that_is_not_ranked_is_a_sentence_and_the_best_is_shown():
    app = open_app(FIND, network="small", concept="whitespace", about="3:9")

    assert "3:9 is not among those that were ranked" in said(app)
    assert f"{app.dataframe[0].value.neuron[0]}, the best" in said(app)


@pytest.mark.parametrize(
    ("content", "said_instead"), [("bcd fgh\n" * 8, "holds nowhere"), ("a" * 99, "holds everywhere")]
)
def test_concept_that_never_changes_in_this_text_is_said_and_not_drawn(monkeypatch, content, said_instead):
    # A survey ranked the neurons; this text has nothing to tell apart.
    reading = data.read_with(data.network("small"), texts.load_text(state.FIRST_TEXT))
    ranked = data.search(reading, ["vowel"]).tables["vowel"]
    monkeypatch.setattr(data, "surveyed", lambda kept, name: ranked)

    app = open_app(FIND, network="small", concept="vowel", text=texts.keep_text(content, "short.txt"))

    assert f"The concept {said_instead} in this text" in said(app) and not app.get("plotly_chart")


def test_crash_behind_the_page_is_raised_on_it_and_begun_once(monkeypatch):
    begun = []

    def crash(*given, **more):
        begun.append(1)
        raise RuntimeError("a bug")

    monkeypatch.setattr(searching, "best_codes", crash)
    app = open_app(FIND, network="small", concept="uppercase")

    assert len(app.exception) == 1 and begun == [1]


@pytest.fixture
def surveyed(monkeypatch):
    """`small` has a survey for strings: the ranking of another text."""
    reading = data.read_with(data.network("small"), texts.load_text(state.FIRST_TEXT))
    ranked = data.search(reading, ["inside_string"]).tables["inside_string"]
    monkeypatch.setattr(data, "surveyed", lambda kept, name: ranked if name == "inside_string" else None)


def test_concept_of_another_language_is_ranked_by_the_survey_and_the_text_is_said_to_be_none(surveyed):
    app = open_app(FIND, network="small", concept="inside_string", text=texts.keep_text("Once upon\na time\n", "x.txt"))

    assert "This text is not Python or C: choose one that is." in said(app)


def test_second_click_on_the_chosen_source_changes_nothing(surveyed):
    app = open_app(FIND, network="small", concept="inside_string", within="text", about="0:1")

    next(one for one in app.get("button_group") if one.key == "within").set_value(None).run()

    assert (address(app)["within"], address(app)["about"]) == ("text", "0:1")


@pytest.fixture
def recorded(tmp_path):
    """A saved recording by a network that is not among the checkpoints."""
    record(tiny_model(), PYTHON_TEXT * 4, ["hidden"], out=tmp_path / "recorded")
    return f"recording:{tmp_path / 'recorded'}"


def test_recording_without_its_network_leads_to_no_page_of_another_neuron(recorded, monkeypatch):
    names = []
    monkeypatch.setattr(share, "table", lambda table, name: names.append(name))

    app = open_app(FIND, network="python", concept="whitespace", text=recorded)

    assert any("Read with" in label for label in links(app)) and "its page" not in links(app)
    assert names == ["whitespace-recorded"]
    app = ask("here", network="python", text=recorded, mark="120-150")
    assert any(label.startswith("**") for label in links(app)) and "its page" not in links(app)


@pytest.fixture
def keys(monkeypatch):
    """Of the rankings drawn so far, each with a button that chooses its third row."""
    keys = []

    def draw(table, names, *, key, choose, **more):
        keys.append(key)
        streamlit.button("third row", on_click=choose, args=(2,))

    monkeypatch.setattr(tables, "draw", draw)
    return keys


def test_ranking_keeps_its_place_at_a_click_and_marks_no_row_after_the_way_back_to_the_best(keys):
    app = open_app(FIND, network="small", concept="vowel")
    next(button for button in app.button if button.label == "third row").click().run()
    assert "about" in address(app) and len(set(keys)) == 1

    app.query_params.pop("about")
    app.run()

    assert "about" not in address(app) and len(set(keys)) == 2


def test_ranking_marks_no_row_when_another_signal_of_its_neuron_is_looked_at(keys):
    app = open_app(FIND, network="python", concept="vowel", within="text")
    next(button for button in app.button if button.label == "third row").click().run()
    assert len(set(keys)) == 1

    app.query_params["signal"] = "hidden" if address(app)["signal"] == "cell" else "cell"
    app.run()

    assert len(set(keys)) == 2


def test_ranking_has_no_chosen_row_left_from_another_text(monkeypatch):
    keys = set()
    draw = tables.draw
    monkeypatch.setattr(tables, "draw", lambda *given, key, **more: keys.add(key) or draw(*given, key=key, **more))
    for text in ("sample:address_book.py", texts.keep_text("a = 'b'\n" * 50, "address_book.py")):
        open_app(FIND, network="small", concept="vowel", within="text", text=text)

    assert len(keys) == 2


def test_concepts_that_are_too_many_are_named():
    names = list(CONCEPTS)
    app = open_app(FIND, network="small", concept=names[0], also=",".join(names[1:12]))

    app.text_input(key="pick_regex").set_value("zz").run()

    assert f"“{data.concept_title(names[11])}” made way" in said(app)


def test_concept_says_where_it_begins_and_ends_and_whether_it_takes_later_text():
    app = open_app(FIND, network="small", concept="word_end")

    assert "To tell takes later text" in said(app) and CONCEPTS["word_end"].edges in said(app)
    assert "To tell takes later text" not in said(open_app(FIND, network="small", concept="word_start"))


@pytest.fixture
def read_c(monkeypatch):
    """`small` was surveyed on C."""
    monkeypatch.setattr(
        "dashboard.portraits.sample_for",
        lambda kept: "sample:ring_buffer.c" if kept.name == "small" else state.FIRST_TEXT,
    )


def test_network_that_read_c_opens_with_c_where_no_text_is_named(read_c):
    assert address(open_app(FIND, network="small", concept="inside_comment"))["text"] == "sample:ring_buffer.c"


def test_other_network_brings_its_own_sample_but_leaves_a_text_that_was_chosen(read_c):
    app = open_app(FIND, network="python", concept="vowel")
    app.selectbox(key="pick_network").set_value("small").run()
    assert (address(app)["network"], address(app)["text"]) == ("small", "sample:ring_buffer.c")

    mine = texts.keep_text("It is mine, and yours.\n" * 9, "mine.txt")
    app = open_app(FIND, network="python", concept="vowel", text=mine)
    app.selectbox(key="pick_network").set_value("small").run()
    assert address(app)["text"] == mine


def test_chances_of_one_table_are_written_in_one_form():
    form = tables.COLUMNS["q_value"]["type_config"]["format"]
    assert [form % q for q in (1, 0.0005, 3.21e-34)] == ["1.0e+00", "5.0e-04", "3.2e-34"]
