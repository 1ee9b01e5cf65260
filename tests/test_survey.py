"""survey.py and card.py: the evidence beside a network."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from inspector.capture import record
from inspector.card import write_card
from inspector.concepts import CONCEPTS, get_concept
from inspector.corpus import Corpus, Text, load_corpus
from inspector.model import load_checkpoint, untrained_twin
from inspector.recording import InspectorError, Neuron
from inspector.search import Row, rank_neurons
from inspector.survey import load_survey, open_found, search_corpus, survey
from inspector.survey.gathering import Gatherer
from inspector.survey.searching import label_documents


@pytest.fixture
def corpus(python_folder):
    return load_corpus(python_folder)


@pytest.fixture
def model(tiny_checkpoint):
    return load_checkpoint(tiny_checkpoint)


@pytest.fixture
def tables(tiny_checkpoint, corpus, model):
    return survey(model, corpus, tiny_checkpoint / "survey")


def test_survey_equals_a_ranking_of_the_same_files(tiny_checkpoint, corpus, model, tables):
    held_out = [sorted(corpus.splits[split]) for split in ("choose", "report")]
    texts = [text for texts in held_out for _, text in texts]
    n_choosing = sum(len(text) for _, text in held_out[0])
    recordings = [
        record(network, texts, ["hidden", "cell"], dtype="float16") for network in (model, untrained_twin(model))
    ]
    expected = rank_neurons(
        recordings[0],
        np.concatenate([get_concept("inside_string").label(text, language="python") for text in texts]),
        twin=recordings[1],
        choose=np.arange(recordings[0].n_chars) < n_choosing,
    )
    keys, scores = ["layer", "unit", "signal"], ["score", "choose_score", "twin_score"]
    streamed, stored = (table.sort_values(keys, ignore_index=True) for table in (tables["inside_string"], expected))
    pd.testing.assert_frame_equal(
        streamed[keys + scores], stored[keys + scores], atol=2e-3, rtol=0
    )  # the bins of each are laid out by other characters
    found = load_survey(tiny_checkpoint)
    assert (found["n_choose_chars"], found["n_report_chars"]) == (n_choosing, recordings[0].n_chars - n_choosing)
    assert found["report_nats"] == pytest.approx(np.nanmean(recordings[0].loss[n_choosing:]), abs=1e-3)
    best = found["concepts"]["inside_string"][0]
    same = expected[[tuple(row) == tuple(best[key] for key in keys) for row in expected[keys].itertuples(index=False)]]
    assert same.choose_score.item() == pytest.approx(expected.choose_score[0], abs=2e-3)
    assert best["score"] == pytest.approx(same.score.item(), abs=2e-3)


def test_survey_folder_holds_every_row_and_short_passages(tiny_checkpoint, corpus, model, tables):
    every = pd.read_parquet(tiny_checkpoint / "survey" / "neurons.parquet")
    assert len(every) == sum(map(len, tables.values()))
    names = {name for name, _ in corpus.splits["report"]}
    texts = dict(corpus.splits["report"])
    for places in json.loads((tiny_checkpoint / "survey" / "passages.json").read_text()).values():
        for place in places:
            assert place["file"] in names and len(place["text"]) <= 120
            assert place["text"] in texts[place["file"]]
            line = texts[place["file"]].split("\n")[place["line"] - 1]
            assert place["text"][place["at"]] in line + "\n"


def test_statistics_tell_how_every_signal_gates_too_is_spread(tiny_checkpoint, corpus, model, tables):
    held_out = [text for split in ("choose", "report") for _, text in sorted(corpus.splits[split])]
    recording = record(model, held_out)
    table = pd.read_parquet(tiny_checkpoint / "survey" / "statistics.parquet").astype({"signal": str})
    assert len(table) == 2 * 8 * 6 and sorted(table.signal.unique()) == sorted(recording.layers[0].signals)
    for row in table[table.unit == 5].itertuples():
        trace = recording.trace(Neuron(row.layer, row.unit), row.signal).astype(np.float64)
        found = (row.mean, row.std, row.lowest, row.highest, row.low_share, row.high_share)
        expected = (trace.mean(), trace.std(), trace.min(), trace.max(), (trace < 0.1).mean(), (trace > 0.9).mean())
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert row.median == pytest.approx(np.median(trace), abs=0.02)
        assert abs(sum(row.histogram) - trace.size) <= 16
        counts, _ = np.histogram(trace, 32, (row.lowest, row.highest))
        assert np.abs(np.cumsum(row.histogram) - np.cumsum(counts)).max() < 0.06 * trace.size


def test_concept_without_examples_is_left_out(tables):
    assert "inside_string" in tables
    assert all(len(table) for table in tables.values())


def test_corpus_without_held_out_files_is_a_sentence(tiny_checkpoint, model):
    bare = Corpus("bare", {"train": (Text("a.py", "x = 1\n"),), "choose": (), "report": ()})
    with pytest.raises(InspectorError, match="no held-out files"):
        survey(model, bare, tiny_checkpoint / "survey")
    assert load_survey(tiny_checkpoint) is None


def test_survey_on_another_corpus_is_lost_only_when_that_is_said(tiny_checkpoint, corpus, model, tables):
    kept = (tiny_checkpoint / "survey" / "survey.json").read_text()
    other = dataclasses.replace(corpus, name="other")
    with pytest.raises(InspectorError, match=r"survey of tiny on .* one on other would replace: add --replace-other"):
        survey(model, other, tiny_checkpoint / "survey")
    assert (tiny_checkpoint / "survey" / "survey.json").read_text() == kept
    survey(model, corpus, tiny_checkpoint / "survey")
    survey(model, other, tiny_checkpoint / "survey", replace_other=True)
    assert load_survey(tiny_checkpoint)["corpus"] == "other"
    survey(untrained_twin(model), corpus, tiny_checkpoint / "survey")  # of other weights there is nothing to keep


def test_survey_of_no_characters_is_a_sentence(tiny_checkpoint, corpus, model):
    with pytest.raises(InspectorError, match="at least one character of each kind of file, not 0"):
        survey(model, corpus, tiny_checkpoint / "survey", n_chars=0)


@pytest.mark.parametrize(("content", "words"), [("{", "damaged"), ("[]", "damaged"), ('{"version": 99}', "version 99")])
def test_unreadable_survey_is_a_sentence(tiny_checkpoint, content, words):
    (tiny_checkpoint / "survey").mkdir()
    (tiny_checkpoint / "survey" / "survey.json").write_text(content)
    with pytest.raises(InspectorError, match=words):
        load_survey(tiny_checkpoint)


def test_card_says_what_the_folder_knows(tiny_checkpoint, model, tables):
    write_card(model, tiny_checkpoint)
    card = (tiny_checkpoint / "README.md").read_text()
    best = tables["inside_string"].iloc[0]
    assert f"| inside_string | {best.layer}:{best.unit} " in card
    assert model.hash[:16] in card and "It was not trained" in card


# --- a search over documents ------------------------------------------------------------------------------------------


@pytest.fixture
def documents(corpus):
    return [text for split in ("choose", "report") for text in corpus.splits[split]]


CONCEPTS_SOUGHT = [get_concept("inside_string"), get_concept("bracket_depth")]


def save_always(monkeypatch):
    monkeypatch.setattr("inspector.survey.searching._SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr("inspector.survey.searching._SAVES_APART", 0)
    monkeypatch.setattr("inspector.search.census._AT_ONCE", 700)


def cut_off(model, documents, concepts, folder):
    """A search for them that is ended after its second half has begun."""

    def stop_late(words, done, total):
        if words == "reading" and done > 0.7 * total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_corpus(model, documents, concepts, twin=False, folder=folder, on_progress=stop_late)


def test_interrupted_search_goes_on_to_the_same_result(tmp_path, monkeypatch, model, documents):
    whole = search_corpus(model, documents, CONCEPTS_SOUGHT, twin=False)
    save_always(monkeypatch)
    pieces = search_corpus(model, documents, CONCEPTS_SOUGHT, twin=False)

    cut_off(model, documents, CONCEPTS_SOUGHT, tmp_path / "state")
    seen = []
    resumed = search_corpus(
        model, documents, CONCEPTS_SOUGHT, twin=False, folder=tmp_path / "state",
        on_progress=lambda words, done, total: seen.append(done) if words == "reading" else None,
    )  # fmt: skip
    assert seen[0] > 0.5 * resumed.census.n_chars
    for name, table in resumed.tables.items():
        pd.testing.assert_frame_equal(table, pieces.tables[name])
    assert set(whole.tables) == set(resumed.tables)


def characters(name, wanted):
    def label(text, _):
        return np.array([character in wanted for character in text], bool)

    return dataclasses.replace(CONCEPTS["digit"], name=name, labeller=label)


CHARACTERS = [characters("one", "aeiou"), characters("two", "rst")]


def test_chance_is_the_same_however_many_documents_are_read_side_by_side(monkeypatch, model, documents):
    """Blocks are stretches of text: were they what is read at a time, each would hold a piece of every document."""
    found = []
    for lanes in (1, 16):
        monkeypatch.setattr("inspector.survey.searching.lanes_for", lambda _, lanes=lanes: lanes)
        found.append(search_corpus(model, documents, CONCEPTS_SOUGHT, twin=False).tables)
    for name in found[0]:
        one, many = (
            np.log10(tables[name].sort_values(["layer", "unit", "signal"]).p_value.to_numpy()) for tables in found
        )
        np.testing.assert_allclose(one, many, atol=0.1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([characters("mine", "aeiou")], [characters("mine", "rst")]),
        (
            [characters("one", "aeiou"), characters("two", "rst")],
            [characters("two", "rst"), characters("one", "aeiou")],
        ),
    ],
)
def test_search_does_not_go_on_from_the_counts_of_other_labels(tmp_path, monkeypatch, model, documents, first, second):
    save_always(monkeypatch)
    fresh = search_corpus(model, documents, second, twin=False)
    cut_off(model, documents, first, tmp_path)
    resumed = search_corpus(model, documents, second, twin=False, folder=tmp_path)
    for name, table in fresh.tables.items():
        pd.testing.assert_frame_equal(resumed.tables[name], table)


def test_twin_is_read_anew_for_other_labels_of_the_same_name(tmp_path, model, documents):
    twins = [
        search_corpus(model, documents, [characters("mine", wanted)], folder=folder).tables["mine"].twin_score[0]
        for wanted, folder in (("aeiou", tmp_path), ("rst", tmp_path), ("rst", None))
    ]
    assert twins[1] == twins[2] != twins[0]


def test_state_of_an_earlier_layout_is_begun_anew(tmp_path, monkeypatch, model, documents):
    save_always(monkeypatch)
    fresh = search_corpus(model, documents, CONCEPTS_SOUGHT, twin=False)
    cut_off(model, documents, CONCEPTS_SOUGHT, tmp_path)
    (state,) = tmp_path.glob("*.npz")
    np.savez(state, **{"tally/": np.ones(3)})  # what it held then is not what is looked for now
    monkeypatch.setattr("inspector.survey.searching._STATE_VERSION", 1000)
    again = search_corpus(model, documents, CONCEPTS_SOUGHT, twin=False, folder=tmp_path)
    pd.testing.assert_frame_equal(again.tables["inside_string"], fresh.tables["inside_string"])


def test_state_is_kept_until_the_result_is_safe(tmp_path, monkeypatch, model, documents):
    save_always(monkeypatch)
    found = search_corpus(model, documents, CONCEPTS_SOUGHT, folder=tmp_path)
    (kept,) = tmp_path.glob("reading-*.npz")
    seen = []
    again = search_corpus(
        model, documents, CONCEPTS_SOUGHT, folder=tmp_path,
        on_progress=lambda words, done, total: seen.append(done) if words == "reading" else None,
    )  # fmt: skip
    assert len(seen) < 3
    pd.testing.assert_frame_equal(again.tables["inside_string"], found.tables["inside_string"])
    found.forget()
    assert not kept.exists() and len(list(tmp_path.glob("twin-*.json"))) == 1


def test_damaged_state_is_begun_anew(tmp_path, monkeypatch, model, documents):
    save_always(monkeypatch)
    fresh = search_corpus(model, documents, CONCEPTS_SOUGHT, twin=False)
    cut_off(model, documents, CONCEPTS_SOUGHT, tmp_path)
    (state,) = tmp_path.glob("*.npz")
    state.write_bytes(state.read_bytes()[:5_000])
    again = search_corpus(model, documents, CONCEPTS_SOUGHT, twin=False, folder=tmp_path)
    pd.testing.assert_frame_equal(again.tables["inside_string"], fresh.tables["inside_string"])


@pytest.mark.parametrize("below", [".", "deeper/still"])
def test_state_that_cannot_be_kept_is_said_before_any_work(tmp_path, model, documents, below):
    (tmp_path / "notes").write_text("")
    with pytest.raises(InspectorError, match=r"cannot be kept in .*: .*notes is a file\. It goes into a folder"):
        search_corpus(
            model, documents, CONCEPTS_SOUGHT, folder=tmp_path / "notes" / below,
            on_progress=lambda words, *_: pytest.fail(f"{words} had begun"),
        )  # fmt: skip


def test_a_full_disk_ends_no_search(tmp_path, monkeypatch, model, documents):
    save_always(monkeypatch)

    def full(*arrays, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    found = search_corpus(model, documents, CONCEPTS_SOUGHT, twin=False, folder=tmp_path / "state")
    assert set(found.tables) == {"inside_string", "bracket_depth"} and not list((tmp_path / "state").iterdir())


def test_one_file_that_outweighs_all_others_is_cut_into_blocks(model, documents):
    """As `rank_neurons` does it: held out whole, it would leave the other part with nothing to tell."""
    large = Text("large.py", "".join(text for _, text in documents))
    few = [large, *(Text(f"{i}.py", text[:200]) for i, (_, text) in enumerate(documents[:3]))]
    found = search_corpus(model, few, CONCEPTS_SOUGHT, twin=False)
    assert set(found.tables) == {"inside_string", "bracket_depth"}
    assert found.made_by["n_choose_chars"] > 0.4 * len(large.text) < 2 * found.made_by["n_score_chars"]


def test_untrained_twin_scores_as_in_a_full_search(model, documents):
    table = search_corpus(model, documents, CONCEPTS_SOUGHT).tables["inside_string"]
    twin = search_corpus(untrained_twin(model), documents, CONCEPTS_SOUGHT, twin=False).tables["inside_string"]
    assert table.twin_score[0] == pytest.approx(twin.score[0], abs=2e-3)


def test_strongest_places_are_the_strongest_of_their_documents():
    """Of documents that are read side by side too, and however many places one of them has."""
    documents, n, rng = np.arange(0, 800, 100), 800, np.random.default_rng(0)
    values = rng.standard_normal((3, n)).astype(np.float32)
    values[0, 300:400] += 9  # the strongest places are all in one document
    rows = [Row(0, unit, "hidden") for unit in range(3)]
    gatherer = Gatherer(rows, [], np.arange(0, n, 7), documents)
    order = np.arange(n).reshape(8, 100).T.ravel()  # a character of each document in turn
    for some in np.array_split(order, 5):
        gatherer.take(values[:, some], some, is_scored=True)
    places = gatherer.places()
    for unit in range(3):
        for kind, side in (("top", 1), ("bottom", -1)):
            found = places[(places.unit == unit) & (places.kind == kind)]
            best = (side * values[unit]).reshape(8, 100).max(axis=1)
            np.testing.assert_array_equal(side * found.value, np.sort(best)[::-1][:4].astype(float))
            assert len(set(found.position // 100)) == 4
            np.testing.assert_array_equal(found.value, values[unit][found.position].astype(float))


def test_neurons_are_compared_at_characters_of_every_document():
    """Whoever of eight lanes reads a document: a step holds a character of each."""
    n, rng = 1_600, np.random.default_rng(0)
    values = rng.standard_normal((2, n)).astype(np.float32)
    values[1, 200:] = values[0, 200:]  # the same but in the first document
    rows = [Row(0, unit, "hidden") for unit in range(2)]
    gatherer = Gatherer(rows, [], np.arange(5), np.arange(0, n, 200))
    order = np.arange(n).reshape(8, 200).T.ravel()
    gatherer.take(values[:, order], order, is_scored=False)
    expected = np.corrcoef(values[:, ::8])[0, 1]
    assert gatherer.correlations()["hidden"][0, 1] / 127 == pytest.approx(expected, abs=0.01)


def test_result_is_saved_and_opened_as_it_was(tmp_path, model, documents):
    found = search_corpus(model, documents, CONCEPTS_SOUGHT)
    found.save(tmp_path / "found.parquet")
    opened = open_found(tmp_path / "found.parquet")
    assert opened.made_by == found.made_by
    assert opened.made_by["network_hash"] == model.hash
    for name, table in found.tables.items():
        pd.testing.assert_frame_equal(opened.tables[name], table, check_dtype=False)


def test_result_that_is_none_is_a_sentence(tmp_path):
    (tmp_path / "x.parquet").write_text("x")
    with pytest.raises(InspectorError, match="no result of a search"):
        open_found(tmp_path / "x.parquet")


def test_too_little_of_a_concept_is_said(model, documents):
    found = search_corpus(model, documents, [*CONCEPTS_SOUGHT, get_concept("inside_curly")], twin=False)
    assert "inside_curly" in found.too_little or "inside_curly" in found.tables


@pytest.mark.parametrize("n_documents", [1, 3])
def test_search_of_few_documents_is_a_ranking_of_their_recording(model, documents, n_documents):
    """Blocks of them alternate, and count as they would in a recording, the gaps between them left out."""
    few = documents[:n_documents] if n_documents > 1 else [Text("a.py", "".join(text for _, text in documents[:6]))]
    found = search_corpus(model, few, CONCEPTS_SOUGHT)
    recordings = [record(network, [text for _, text in few]) for network in (model, untrained_twin(model))]
    keys, scores = ["layer", "unit", "signal"], ["score", "choose_score", "average_precision", "matthews", "spearman"]
    for concept in CONCEPTS_SOUGHT:
        label = np.concatenate([concept.label(text, language="python") for _, text in few])
        expected = rank_neurons(recordings[0], label, signals=recordings[0].layers[0].signals, twin=recordings[1])
        streamed, stored = (t.sort_values(keys, ignore_index=True) for t in (found.tables[concept.name], expected))
        pd.testing.assert_frame_equal(streamed[keys], stored[keys])
        assert (streamed[scores] - stored[scores])[["score", "choose_score"]].abs().max(axis=None) < 2e-3
        assert streamed.prevalence.equals(stored.prevalence)
        assert streamed.twin_score[0] == pytest.approx(stored.twin_score[0], abs=5e-3)


def test_documents_without_text_are_a_sentence(model):
    with pytest.raises(InspectorError, match="no text to search"):
        search_corpus(model, [Text("a.py", "")], CONCEPTS_SOUGHT)


def test_twin_is_read_once_for_a_corpus(tmp_path, monkeypatch, model, documents):
    first = search_corpus(model, documents, CONCEPTS_SOUGHT, folder=tmp_path)
    monkeypatch.setattr("inspector.survey.searching.untrained_twin", None)
    again = search_corpus(model, documents, CONCEPTS_SOUGHT, folder=tmp_path)
    assert first.tables["inside_string"].twin_score[0] == again.tables["inside_string"].twin_score[0]


def test_beginnings_are_labelled_as_parts_of_their_documents():
    documents = [Text("a.py", "def name(\n" + "    value=1,\n" * 5 + "):\n    return 1\n"), Text("b.py", "x = 1\n")]
    concept = CONCEPTS["function_name"]
    label, valid = label_documents([concept], documents, 12)["function_name"]
    whole = concept.label(documents[0].text, language="python")
    assert label[:12].any() and np.array_equal(label[:12], whole[:12]) and len(label) == len(valid) == 12 + 6
    assert not concept.label(documents[0].text[:12], language="python").any() or valid[:12].all()
