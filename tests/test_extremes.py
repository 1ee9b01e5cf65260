"""Average precision of rare labels: what is kept of both ends of every trace, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from test_search import recording_of

from inspector.search import rank_neurons
from inspector.search.counting import N_BINS
from inspector.search.extremes import Extremes
from inspector.search.far import KEPT, keep_far
from inspector.search.lanes import Lanes
from inspector.search.parts import parts_of

N_CHARS, N_UNITS = 60_000, 12


@pytest.fixture(scope="module")
def rare():
    """A label with some 40 positives in each part, a mask, and neurons that tell it well or hardly, on either side."""
    rng = np.random.default_rng(5)
    label = np.zeros(N_CHARS, bool)
    label[rng.permutation(N_CHARS)[:80]] = True
    values = rng.standard_normal((N_UNITS, N_CHARS)).astype(np.float32)
    values += label * np.linspace(-4, 4, N_UNITS, dtype=np.float32)[:, None]
    values[3] = np.minimum(values[3].round(1), 2)  # many are equal, at the end too
    return label, rng.random(N_CHARS) < 0.9, values


def worst_error(rare):
    """Of the average precision of any row, and of those alone of which all values are kept."""
    label, valid, values = rare
    recording = recording_of({"hidden": values})
    score = parts_of(recording, None).score & valid
    errors = [
        abs(row.average_precision - average_precision_score(label[score], row.polarity * values[row.unit][score]))
        for row in rank_neurons(recording, label, valid=valid).itertuples()
    ]
    return max(errors), max(errors[:5])


def test_average_precision_of_a_rare_label_is_that_of_the_values_in_every_row(rare):
    assert worst_error(rare)[0] < 5e-4


def test_without_the_ends_bins_blur_it(rare, monkeypatch):
    monkeypatch.setattr("inspector.search.census.RARE", 0)
    every, first = worst_error(rare)
    assert every > 1e-3 > first


def some_stretches(rng, n_traces=3, n=9_000):
    """Values, bins that follow them, and the positions of three stretches of them."""
    values = rng.standard_normal((n_traces, n)).astype(np.float32)
    bins = np.clip(128 + 40 * values, 0, N_BINS - 1).astype(np.uint8)
    return values, bins, np.split(rng.permutation(n), 3)


def take(extremes, values, bins, positions):
    for u in range(len(values)):
        keep_far(extremes.of(slice(None)), u, values[u, positions], bins[u, positions], positions)


def lanes_of(label):
    return Lanes.of({"rare": (label, np.ones(label.size, bool))}, np.ones(label.size, bool))


@pytest.mark.parametrize("upwards", [True, False])
def test_whole_bins_are_kept_from_the_end_as_many_as_there_is_room_for(upwards):
    rng = np.random.default_rng(0)
    values, bins, stretches = some_stretches(rng)
    label = rng.random(values.shape[1]) < 0.01
    extremes = Extremes(["rare"], np.zeros(bins.shape))  # as if nothing were expected: room runs out

    for stretch in stretches:
        take(extremes, values, bins, stretch)
    side = 1 if upwards else -1
    (n_bins, precisions), *_ = extremes.heads(lanes_of(label), {"rare": np.full(3, side)})["rare"]

    from_end = N_BINS - 1 - bins[0].astype(int) if upwards else bins[0].astype(int)
    fitting = np.cumsum(np.bincount(from_end, minlength=N_BINS)) <= KEPT
    assert n_bins == fitting.sum()
    order = np.argsort(-side * values[0])
    precision = np.cumsum(label[order]) / np.arange(1, label.size + 1)
    assert precisions == pytest.approx(precision[label[order] & (from_end[order] < n_bins)].sum())


def test_what_was_stopped_goes_on_with_what_was_kept():
    rng = np.random.default_rng(1)
    values, bins, stretches = some_stretches(rng)
    lanes, sides = lanes_of(rng.random(values.shape[1]) < 0.02), {"rare": np.ones(3)}
    whole = Extremes(["rare"], np.zeros(bins.shape))
    for stretch in stretches:
        take(whole, values, bins, stretch)

    begun = Extremes(["rare"], np.zeros(bins.shape))
    take(begun, values, bins, stretches[0])
    again = Extremes((), np.zeros(bins.shape))
    again.restore(begun.state())
    for stretch in stretches[1:]:
        take(again, values, bins, stretch)

    assert np.array_equal(again.heads(lanes, sides)["rare"], whole.heads(lanes, sides)["rare"])
    assert whole.heads(lanes, sides)["rare"][:, 1].min() > 0


def test_nothing_is_kept_where_no_label_is_rare():
    extremes = Extremes((), np.zeros((4, N_BINS)))
    assert extremes.heads(lanes_of(np.arange(10) < 5), {}) == {}
    assert sum(array.nbytes for array in extremes.state().values()) == 0
