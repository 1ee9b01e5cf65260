"""baselines.py, measure.py, card.py: what prediction costs without a network, and what a card says about it."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.baselines import ngram_nats, xz_nats
from inspector.card import write_card
from inspector.corpus import load_corpus
from inspector.measure import load_measures, measure
from inspector.model import load_checkpoint
from inspector.recording import InspectorError


def slow_ngram_nats(train: list[int], held_out: list[int], n_symbols: int, longest: int) -> float:
    """The same model, one character at a time from its definition."""

    def probability(context: tuple[int, ...], symbol: int) -> float:
        lower = probability(context[1:], symbol) if context else 1 / n_symbols
        grams = Counter(tuple(train[i : i + len(context) + 1]) for i in range(len(train) - len(context)))
        after = {gram[-1]: count for gram, count in grams.items() if gram[:-1] == context}
        n, m = sum(after.values()), len(after)
        return (after.get(symbol, 0) + m * lower) / (n + m) if n else lower

    total = 0.0
    for place, symbol in enumerate(held_out):
        context = tuple(held_out[max(0, place - longest + 1) : place])
        total -= math.log(probability(context, symbol))
    return total / len(held_out)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.lists(st.integers(0, 3), min_size=1, max_size=10))
def test_ngrams_equal_their_definition(train, held_out):
    found = ngram_nats(np.array(train), np.array(held_out), 4)
    for length in (1, 2, 4):
        assert found[length] == pytest.approx(slow_ngram_nats(train, held_out, 4, length), rel=1e-9), length


def test_ngram_lengths_fit_into_the_key():
    text = np.arange(1_001).repeat(3)
    assert list(ngram_nats(text % 234, text % 234, 234)) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert list(ngram_nats(text, text, 1_001)) == [1, 2, 3, 4, 5, 6]
    assert math.isnan(ngram_nats(text, text[:0], 1_001)[1])


def test_probabilities_of_all_continuations_sum_to_one():
    random = np.random.default_rng(0)
    train = random.integers(0, 5, 200)
    mass = np.zeros(8)
    for symbol in range(5):
        longer, shorter = (ngram_nats(train, end, 5) for end in ([*train[:9], symbol], train[:9]))
        last = [10 * longer[length] - 9 * shorter[length] for length in range(1, 9)]
        mass += np.exp(-np.array(last))
    assert mass == pytest.approx(np.ones(8))


def test_xz_pays_little_for_what_it_has_seen():
    random = np.random.default_rng(0)
    text = "".join(map(chr, random.integers(97, 123, 4_000)))
    assert xz_nats(text, text[1_000:3_000]) < 0.3 < 3 < xz_nats("", text)
    assert math.isnan(xz_nats(text, ""))


def test_card_says_what_was_measured(tmp_path, tiny_checkpoint, python_folder):
    model, corpus = load_checkpoint(tiny_checkpoint), load_corpus(python_folder)
    found = measure(model, corpus, tiny_checkpoint, seed_text="def ", source="Its source.", licence="Its licence.")
    assert load_measures(tiny_checkpoint) == {
        **found,
        "ngram_nats": {str(k): v for k, v in found["ngram_nats"].items()},
    }
    assert found["ngram_nats"][6] < found["ngram_nats"][1] < found["report_nats"] < 20
    write_card(model, tiny_checkpoint)
    card = (tiny_checkpoint / "README.md").read_text("utf-8")
    for words in (f"| **this network** | {found['report_nats']:.3f} |", "6-gram", "xz", "temperature 0.5"):
        assert words in card
    again = measure(model, corpus, tiny_checkpoint)
    assert again["source"] == "Its source." and again["licence"] == "Its licence."


@pytest.mark.parametrize("content", ["{", '{"version": 1}', '{"version": 99}', "[]"])
def test_damaged_measures_are_a_sentence(tmp_path, content):
    (tmp_path / "card.json").write_text(content)
    with pytest.raises(InspectorError, match=r"card\.json"):
        load_measures(tmp_path)


def test_card_of_a_network_that_another_program_trained_says_what_that_one_said(tmp_path, tiny_checkpoint):
    model = load_checkpoint(tiny_checkpoint)
    model.training_facts = {"author": "Zoë", "steps": 5}
    write_card(model, tmp_path)
    assert '## Training\n\n- author: "Zoë"\n- steps: 5\n' in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_damaged_measures_are_renewed(tiny_checkpoint, python_folder):
    """Its sentence says how; that must not end in the same sentence."""
    (tiny_checkpoint / "card.json").write_text('{"version": 1')
    measure(load_checkpoint(tiny_checkpoint), load_corpus(python_folder), tiny_checkpoint)
    assert load_measures(tiny_checkpoint)["version"] == 1
