"""Marked stretches find the neurons that are on there, and neurons find the places that look alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from inspector.recording import Document, InspectorError, Neuron
from inspector.search.places import Condition, conditions_of, find_places
from inspector.search.ranges import MOST_CHARS, find_neurons, surroundings
from tests.test_search import recording_of, wandering

N_CHARS = 6_000
MARKS = [(1000, 1030), (1100, 1120)]


def planted(rng, *, on=2.0):
    """Noise, a neuron that is on in exactly the marks (0:2 hidden), one that is off there alone (0:1 cell)."""
    hidden, cell = wandering(rng, 4, N_CHARS), wandering(rng, 4, N_CHARS)
    hidden[2], cell[1] = -1, 0.5
    for start, stop in MARKS:
        hidden[2, start:stop], cell[1, start:stop] = on, -0.25
    hidden[3] = 0.125
    return {"hidden": hidden, "cell": cell}


@pytest.fixture
def recording():
    return recording_of(planted(np.random.default_rng(0)))


def test_planted_neurons_of_both_polarities_come_first_with_their_thresholds(recording):
    table = find_neurons(recording, MARKS)

    first = table.head(2)
    found = set(zip(first.layer, first.unit, first.signal, first.polarity, first.threshold, strict=True))
    assert found == {(0, 2, "hidden", 1, 0.5), (0, 1, "cell", -1, 0.125)}
    assert (first[["f1", "jaccard", "precision", "recall"]] == 1).all(axis=None)
    assert (table.loc[2:, "f1"] < 1).all()
    assert table["chance"].iloc[0] < 1
    assert (table["n_marked"] == 50).all() and (table["n_around"] == 470).all()


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.booleans())
def test_scores_are_those_of_the_threshold_that_is_shown_and_no_other_is_better(seed, with_ties):
    rng = np.random.default_rng(seed)
    values = wandering(rng, 3, 900).round(0 if with_ties else 6)
    start = int(rng.integers(0, 850))
    marks = [(start, start + int(rng.integers(1, 40)))]
    recording = recording_of({"hidden": values})

    ((first, last),) = surroundings(recording, marks)
    label = np.zeros(900, bool)
    label[slice(*marks[0])] = True
    label = label[first:last]
    for row in find_neurons(recording, marks, signals=["hidden"]).itertuples():
        trace = values[row.unit, first:last]
        on = row.polarity * trace >= row.polarity * row.threshold
        assert row.f1 == pytest.approx(f1_score(label, on))
        assert row.jaccard == pytest.approx(jaccard_score(label, on))
        assert row.precision == pytest.approx(precision_score(label, on))
        assert row.recall == pytest.approx(recall_score(label, on))
        others = np.stack([side * trace >= side * cut for cut in np.unique(trace) for side in (1, -1)])
        assert row.f1 >= (2 * (others & label).sum(axis=1) / (others.sum(axis=1) + label.sum())).max() - 1e-6


def test_only_the_windows_around_the_marks_count(recording):
    values = planted(np.random.default_rng(0))
    values["hidden"][2, :700] = 2  # on elsewhere, far from the marks

    table = find_neurons(recording_of(values), MARKS)

    assert table.query("unit == 2 and signal == 'hidden'")["f1"].item() == 1


def test_surroundings_end_with_the_document_and_are_cut_for_long_marks():
    documents = [Document("a", 0, 1050), Document("b", 1050, N_CHARS)]
    recording = recording_of(planted(np.random.default_rng(0)), documents=documents)

    assert surroundings(recording, MARKS) == [(800, 1320)]
    assert surroundings(recording, MARKS[:1]) == [(800, 1050)]
    assert surroundings(recording, MARKS, around=5) == [(995, 1035), (1095, 1125)]
    ((start, stop),) = surroundings(recording, [(2500, 4500)], around=5000)
    assert stop - start == MOST_CHARS


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ([], "Nothing is marked"),
        ([(0,)], r"\(0,\) is no mark: each is"),
        ("abc", "'a' is no mark"),
        ([(1.5, 3)], "two whole numbers"),
        ([(5, 5)], "5-5 is not a stretch"),
        ([(10, N_CHARS + 1)], "not a stretch"),
        ([(0, 5000)], "mark less"),
    ],
)
def test_marks_that_cannot_be_searched_are_a_sentence(recording, marks, words):
    with pytest.raises(InspectorError, match=words):
        find_neurons(recording, marks)


def test_a_text_that_is_all_marked_and_signals_that_are_not_there_are_sentences(recording):
    with pytest.raises(InspectorError, match="Everything is marked"):
        find_neurons(recording_of({"hidden": np.zeros((1, 10), np.float32)}), [(0, 10)])
    with pytest.raises(InspectorError, match="forget_gate"):
        find_neurons(recording, MARKS, signals=["forget_gate"])


# --- places -----------------------------------------------------------------------------------------------------------

FIRST = Condition(Neuron(0, 0), "hidden", 1, 0.5)
SECOND = Condition(Neuron(0, 1), "hidden", -1, -0.5)


def places_recording(first=(), second=(), documents=()):
    """0:0 is at 1 in the stretches of `first` and at 0.25 elsewhere, 0:1 at -1 in those of `second` and at 0."""
    values = np.array([[0.25], [0.0]], np.float32).repeat(1000, axis=1)
    for row, stretches, value in ((0, first, 1), (1, second, -1)):
        for start, stop in stretches:
            values[row, start:stop] = value
    text = "".join(chr(97 + i % 26) for i in range(1000))
    return recording_of({"hidden": values}, documents=documents, text=text)


def test_places_are_ranked_by_overlap_and_the_mark_is_none_of_them():
    both = [(100, 120), (300, 320), (500, 505), (700, 760)]
    recording = places_recording([*both, (900, 920)], both)

    found = find_places(recording, [FIRST, SECOND], mark=(100, 120))

    assert next(zip(found.table.start, found.table.stop, strict=True)) == (300, 320)
    assert set(found.table.start) == {300, 500, 700}
    assert found.table.overlap[0] == 1 and found.table.overlap.is_monotonic_decreasing
    assert found.table.overlap[1:].max() < 0.7
    assert (found.n_places, found.said()) == (3, "3 places elsewhere.")
    row = found.table.iloc[0]
    assert (row.before + row.text + row.after) == recording.text[260:360]
    assert row.text == recording.text[300:320]


def test_places_without_a_mark_are_ranked_by_length_and_end_with_their_document():
    documents = [Document("a", 0, 350), Document("b", 350, 1000)]
    recording = places_recording([(100, 130), (300, 400)], documents=documents)

    found = find_places(recording, [FIRST]).table

    assert [tuple(row) for row in found[["start", "stop", "document"]].to_numpy()] == [
        (300, 350, "a"), (350, 400, "b"), (100, 130, "a"),
    ]  # fmt: skip
    assert find_places(recording, [FIRST], least=40).n_places == 2


def test_a_short_gap_ends_no_place_but_a_document_does():
    recording = places_recording([(100, 140), (300, 320), (322, 340), (600, 620), (630, 640)])

    found = find_places(recording, [FIRST], mark=(100, 140)).table

    assert sorted(zip(found.start, found.stop, strict=True)) == [(300, 340), (600, 620), (630, 640)]


def test_nothing_found_names_the_condition_that_failed_and_what_there_is_without_it():
    recording = places_recording([(100, 120), (300, 320), (500, 520)], [(100, 120)])

    found = find_places(recording, [FIRST, SECOND], mark=(100, 120))

    assert found.n_places == 0 and found.table.empty
    said = found.said()
    assert "0:1 hidden at most -0.5” holds nowhere else" in said
    assert "With the threshold 0 one would be found" in said and "there are 2 places" in said
    assert list(found.relaxed.n_places) == [0, 2, 0]


def test_nothing_found_for_conditions_that_never_meet_for_one_alone_and_for_the_length():
    apart = places_recording([(300, 320)], [(500, 520), (600, 610)])
    assert "each holds elsewhere, but never all together" in find_places(apart, [FIRST, SECOND]).said()
    assert "there are 2 places" in find_places(apart, [FIRST, SECOND]).said()

    lonely = places_recording([(100, 120)])
    alone = find_places(lonely, [FIRST], mark=(100, 120)).said()
    assert alone.endswith("holds nowhere else. With the threshold 0.25 one would be found.")

    short = find_places(places_recording([(300, 305)]), [FIRST], least=10).said()
    assert "never for as long. Without “10 characters or more” there are 1 place." in short


def test_where_nothing_single_helps_it_says_how_many_hold_together():
    never = Condition(Neuron(0, 0), "hidden", 1, 5.0)
    nor = Condition(Neuron(0, 1), "hidden", -1, -5.0)
    found = find_places(places_recording([(300, 305)]), [FIRST, never, nor])

    assert "At most 1 of 3 hold together, at 1 place." in found.said()


def test_a_mark_gives_the_conditions_for_its_places(recording):
    conditions = conditions_of(find_neurons(recording, MARKS[:1], around=60), n=2)

    assert {condition.neuron for condition in conditions} == {Neuron(0, 1), Neuron(0, 2)}
    assert find_places(recording, conditions, mark=MARKS[0]).table.start.tolist() == [MARKS[1][0]]


@pytest.mark.parametrize(
    ("conditions", "mark"),
    [([], None), ([FIRST] * 17, None), ([Condition(Neuron(0, 9), "hidden", 1, 0.0)], None), ([FIRST], (5, 2000))],
)
def test_places_of_what_does_not_exist_are_a_sentence(conditions, mark):
    with pytest.raises(InspectorError):
        find_places(places_recording(), conditions, mark=mark)
