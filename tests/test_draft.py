"""A text that is being written: every version has the values that reading it anew would give."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.capture import Draft, record
from inspector.recording import InspectorError, Neuron
from tests.conftest import tiny_model

MODELS = {kind: tiny_model(kind) for kind in ("lstm", "gru", "rnn")}


def assert_same_reading(found, expected):
    assert found.text == expected.text
    np.testing.assert_array_equal(found.unknown, expected.unknown)
    np.testing.assert_allclose(found.loss, expected.loss, atol=1e-5)
    for layer, one in enumerate(found.layers):
        for signal in one.signals:
            expected_values = expected.window(layer, signal, 0, expected.n_chars)
            np.testing.assert_allclose(found.window(layer, signal, 0, found.n_chars), expected_values, atol=1e-5)
    n = found.n_chars
    np.testing.assert_allclose(found.guesses(0, n).probabilities, expected.guesses(0, n).probabilities, atol=1e-5)


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=15, deadline=None)
@given(versions=st.lists(st.text(alphabet="def x():\n'é", min_size=1, max_size=40), min_size=1, max_size=4))
def test_every_version_has_the_values_of_a_fresh_recording(kind, versions):
    draft = Draft(MODELS[kind])

    for text in versions:
        assert_same_reading(draft.read(text), record(MODELS[kind], text))


def test_only_what_follows_the_change_is_read_again():
    draft, text = Draft(MODELS["lstm"]), "def shout(words):\n    return words\n" * 20
    draft.read(text)

    changed = text[:500] + "x" + text[500:]
    found = draft.read(changed)

    assert draft.n_kept == 500
    assert_same_reading(found, record(MODELS["lstm"], changed))


def test_enough_gives_the_beginning_and_the_same_version_again_goes_on():
    model, text = MODELS["lstm"], "def shout(words):\n    return words\n" * 40
    draft, asked = Draft(model), []

    first = draft.read(text, enough=lambda share: not asked.append(share))
    whole = draft.read(text)

    assert 0 < first.n_chars < len(text)
    assert (asked, draft.n_kept) == ([first.n_chars / len(text)], first.n_chars)
    assert_same_reading(first, record(model, text[: first.n_chars]))
    assert_same_reading(whole, record(model, text))


def test_text_cut_short_is_read_no_further():
    draft = Draft(MODELS["lstm"])
    draft.read("def f(x):\n    pass")

    assert_same_reading(draft.read("def f(x)"), record(MODELS["lstm"], "def f(x)"))
    assert draft.n_kept == 8


def test_earlier_version_stays_as_it_was():
    draft = Draft(MODELS["lstm"])
    first = draft.read("def f(x):")
    before = first.trace(Neuron(1, 2), "cell")

    draft.read("class A:")

    np.testing.assert_array_equal(first.trace(Neuron(1, 2), "cell"), before)


def test_empty_draft_is_a_sentence_and_writing_goes_on():
    draft = Draft(MODELS["lstm"])
    draft.read("def")

    with pytest.raises(InspectorError, match="one character is enough"):
        draft.read("")

    assert_same_reading(draft.read("de"), record(MODELS["lstm"], "de"))


def test_reading_a_draft_leaves_the_random_stream_alone():
    before = torch.random.get_rng_state()

    Draft(MODELS["lstm"]).read("def")

    assert torch.equal(torch.random.get_rng_state(), before)
