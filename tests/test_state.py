"""The view and its address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import state
from dashboard.palette import PALETTES
from dashboard.state import View
from inspector.recording import Neuron

LAYERS = [(8, ("hidden", "cell")), (4, ("hidden",))]
NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40)

NEURONS = st.builds(Neuron, st.integers(0, 99), st.integers(0, 9999))

views = st.builds(
    View,
    network=st.none() | NAMES,
    text=st.none() | st.builds("{}{}".format, st.sampled_from(state.TEXT_KINDS), NAMES),
    neuron=st.none() | st.builds(Neuron, st.integers(0, 99), st.integers(0, 9999)),
    signal=st.none() | st.sampled_from([*state.ALL_SIGNALS, "attention_2"]),
    concept=st.none() | NAMES,
    also=st.none() | st.lists(NAMES, min_size=1, max_size=state.MOST_CONCEPTS - 1, unique=True).map(tuple),
    within=st.none() | st.sampled_from(state.SOURCES),
    about=st.none() | NEURONS,
    layer=st.none() | st.integers(0, 99),
    only=st.none() | NAMES,
    least=st.none() | st.integers(0, 100).map(lambda percent: percent / 100),
    word=st.none() | NAMES,
    order=st.none() | st.sampled_from(state.ORDERS),
    at=st.none() | st.integers(0, 10**9),
    mark=st.none()
    | st.builds(lambda start, n: state.Mark(start, start + n), st.integers(0, 10**9), st.integers(1, 99)),
    ask=st.none() | st.sampled_from(state.QUESTIONS),
    palette=st.none() | st.sampled_from(list(PALETTES)),
    colour=st.none() | st.sampled_from(state.COLOURINGS),
    expects=st.none() | st.booleans(),
    spaces=st.none() | st.booleans(),
    wrap=st.none() | st.booleans(),
    tab=st.none() | st.integers(1, state.WIDEST_TAB),
    pins=st.none() | st.lists(NEURONS, min_size=1, max_size=state.MOST_PINS, unique=True).map(tuple),
)


@given(views)
def test_view_comes_back_from_its_address(view):
    assert View.from_query(view.to_query()) == (view, [])


def test_concepts_are_the_first_and_what_it_is_compared_with_each_once():
    view, notes = View.from_query({"concept": "digit", "also": "regex:a{1%2C2}%25,digit,vowel"})

    assert (view.concepts, notes) == (("digit", "regex:a{1,2}%", "vowel"), [])
    assert View().concepts == ()


KEYS = st.text(max_size=12) | st.sampled_from(["neuron", "text", "signal", "at"])


@given(st.dictionaries(KEYS, st.text() | st.lists(st.text())))
def test_from_query_takes_any_nonsense(query):
    view, notes = View.from_query(query)

    assert View.from_query(view.to_query()) == (view, [])
    assert all(note.isprintable() and len(note) < 400 for note in notes)


@pytest.mark.parametrize(
    ("key", "value"),
    [("neuron", "abc"), ("neuron", "1:-2"), ("signal", "Loud!"),
     ("signal", "x" * 1001), ("at", "-1"), ("at", "²"), ("text", "/etc/passwd"),
     ("network", "a\x00b"), ("colour", "red"), ("concept", "x" * 1001), ("mark", "5-5"),
     ("mark", "9"), ("palette", "rainbow"), ("expects", "perhaps"), ("tab", "0"), ("tab", "17"), ("pins", "1:2,x"),
     ("ask", "why"), ("also", ","), ("also", ",".join(f"c{i}" for i in range(12))), ("within", "dreams"),
     ("layer", "-1"), ("least", "1.01"), ("least", "nan"), ("least", "much"), ("order", "chaos"), ("word", "x" * 101),
     ("pins", ",".join(f"0:{unit}" for unit in range(13)))],
)  # fmt: skip
def test_from_query_leaves_a_note_about_each_part_it_drops(key, value):
    view, notes = View.from_query({key: value, "network": "python"} | {key: value})

    assert len(notes) == 1
    assert getattr(view, key, None) is None


def test_unit_zero_and_position_zero_are_kept_in_the_address():
    assert View(neuron=Neuron(0, 0), at=0).to_query() == {"neuron": "0:0", "at": "0"}


def test_fit_keeps_a_view_that_exists():
    view = View(neuron=Neuron(0, 7), signal="cell", at=9)

    assert state.fit(view, LAYERS, 10, default=(Neuron(0, 0), "hidden")) == (view, [])


def test_fit_falls_back_and_says_what_exists():
    view, notes = state.fit(View(neuron=Neuron(2, 0), at=10), LAYERS, 10, default=(Neuron(0, 3), "cell"))

    assert (view.neuron, view.signal, view.at) == (Neuron(0, 3), "cell", None)
    assert "layer 1 has units 0-3" in notes[0]
    assert "10 characters" in notes[1]


def test_fit_exchanges_a_signal_the_layer_lacks():
    view, notes = state.fit(View(neuron=Neuron(1, 0), signal="cell"), LAYERS, 10, default=(Neuron(0, 3), "cell"))

    assert view.signal == "hidden"
    assert "no signal cell" in notes[0]


def test_fit_leaves_out_pins_and_a_mark_that_do_not_exist_and_says_so():
    view = View(neuron=Neuron(0, 7), signal="cell", pins=(Neuron(0, 1), Neuron(5, 0)), mark=state.Mark(4, 11))

    view, notes = state.fit(view, LAYERS, 10, default=(Neuron(0, 0), "hidden"))

    assert (view.pins, view.mark) == ((Neuron(0, 1),), None)
    assert "5:0" in notes[0] and "4-11" in notes[1]


@pytest.mark.parametrize("tab", ["000000001999", "0", "17"])
def test_tab_beyond_the_widest_is_refused(tab):
    view, notes = View.from_query({"tab": tab})
    assert view.tab is None and len(notes) == 1
