"""The view and its address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import state
from dashboard.state import View
from inspector.recording import Neuron

LAYERS = [(8, ("hidden", "cell")), (4, ("hidden",))]
NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40)

views = st.builds(
    View,
    network=st.none() | NAMES,
    text=st.none() | st.builds("{}{}".format, st.sampled_from(state.TEXT_KINDS), NAMES),
    neuron=st.none() | st.builds(Neuron, st.integers(0, 99), st.integers(0, 9999)),
    signal=st.none() | st.sampled_from(state.ALL_SIGNALS),
    concept=st.none() | NAMES,
    at=st.none() | st.integers(0, 10**9),
)


@given(views)
def test_view_comes_back_from_its_address(view):
    assert View.from_query(view.to_query()) == (view, [])


KEYS = st.text(max_size=12) | st.sampled_from(["neuron", "text", "signal", "at"])


@given(st.dictionaries(KEYS, st.text() | st.lists(st.text())))
def test_from_query_takes_any_nonsense(query):
    view, notes = View.from_query(query)

    assert View.from_query(view.to_query()) == (view, [])
    assert all(note.isprintable() and len(note) < 400 for note in notes)


@pytest.mark.parametrize(
    ("key", "value"),
    [("neuron", "abc"), ("neuron", "1:-2"), ("signal", "loudness"), ("at", "-1"), ("at", "²"), ("text", "/etc/passwd"),
     ("network", "a\x00b"), ("colour", "red"), ("concept", "x" * 1001)],
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
