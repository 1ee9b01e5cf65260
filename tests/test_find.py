"""What the Find page answers about a marked stretch, run without a browser."""

import pytest

from dashboard import texts
from tests.test_pages import FIND, address, checkpoints, open_app, place, said  # noqa: F401 - fixtures

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
    assert " ".join(content[120:150].split())[:20] in said(app)
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
    assert words.index("In 2 held-out characters: 1:3") < words.index("Best for “inside a string”")


def test_concepts_are_listed_with_their_group():
    app = open_app(FIND, text="sample:address_book.py")

    assert "inside a string · strings and comments" in app.selectbox(key="pick_concept").options
