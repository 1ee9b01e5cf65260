"""emerge.py and its command: what neurons were good for at each snapshot of a training."""

import numpy as np
import pytest
import torch

from inspector.__main__ import main
from inspector.corpus import Corpus, Text, load_corpus
from inspector.emerge import emerge, open_emergence, snapshots_of, table_of, training_log
from inspector.model import load_checkpoint, save_checkpoint
from inspector.recording import InspectorError, Neuron
from inspector.survey import survey
from tests.conftest import make_python_folder, tiny_model

STEPS = (0, 9, 100)


def make_run(place):
    """A network with three snapshots, each other weights; the last one is the network."""
    folder = place / "net"
    for step in STEPS:
        model = tiny_model(n_layers=1, seed=step)
        save_checkpoint(model, folder / "snapshots" / f"step-{step:06d}", training={"characters": 64 * step})
    save_checkpoint(model, folder)
    return folder


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path)


@pytest.fixture
def corpus(python_folder):
    return load_corpus(python_folder)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the same run and corpus give: it is read once for all who look at it."""
    folder = tmp_path_factory.mktemp("found")
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = emerge(make_run(folder), load_corpus(make_python_folder(folder)))
    torch.set_num_threads(n_threads)
    return made


def test_snapshots_are_in_the_order_of_their_steps_and_nothing_else_is_one(run):
    save_checkpoint(tiny_model(), run / "snapshots" / "step-1000000")
    (run / "snapshots" / "step-abc").mkdir()
    (run / "snapshots" / "step-000007").mkdir()

    assert [one.step for one in snapshots_of(run)] == [*STEPS, 1_000_000]


def test_scores_at_each_snapshot_are_those_of_a_survey_of_it(run, corpus, found):
    step = STEPS[1]
    folder = run / "snapshots" / f"step-{step:06d}"
    tables = survey(load_checkpoint(folder), corpus, run / "elsewhere")

    assert set(found.concepts.index) == set(tables)
    for name, table in tables.items():
        for unit in (0, 5):
            expected = table[table.unit == unit].iloc[0]  # the signal that did better where neurons are chosen
            row = found.of(name, Neuron(0, unit)).iloc[1]
            assert (row.step, row.signal, row.polarity) == (step, expected.signal, expected.polarity)
            assert row.score == pytest.approx(expected.score, abs=1e-3)
        best = found.best(name)
        assert list(best.step) == list(STEPS)
        assert best.choose_score.iloc[1] == pytest.approx(table.choose_score.max(), abs=1e-3)


def test_characters_and_losses_stand_beside_each_snapshot(found):
    assert found.snapshots.characters.tolist() == [0, 64 * 9, 64 * 100]
    assert found.snapshots.nats.between(1, 20).all() and found.snapshots.nats.nunique() == 3


def test_strengths_are_the_concepts_it_is_best_at_in_the_end_above_chance(found):
    neuron = Neuron(0, 3)
    names = found.strengths(neuron, n=100)
    last = [found.of(name, neuron).choose_score.iloc[-1] for name in names]
    chance = found.concepts.baseline[names].to_numpy()
    skill = (np.array(last) - chance) / (1 - chance)

    assert len(names) == len(found.concepts) and (np.diff(skill) <= 1e-6).all()


def test_what_was_found_is_kept_exactly(found, tmp_path):
    found.save(tmp_path / "deep" / "emergence.parquet")
    opened = open_emergence(tmp_path / "deep" / "emergence.parquet")

    assert (opened.network_hash, opened.corpus, opened.n_score_chars) == (
        found.network_hash, found.corpus, found.n_score_chars,
    )  # fmt: skip
    assert opened.asked == found.asked and found.asked["n_chars"] == 60_000
    for name in ("snapshots", "concepts", "scores"):
        assert getattr(opened, name).to_dict("list") == getattr(found, name).to_dict("list")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100])
def test_damaged_file_is_a_sentence(tmp_path, content):
    (tmp_path / "emergence.parquet").write_bytes(content)
    with pytest.raises(InspectorError, match="is damaged"):
        open_emergence(tmp_path / "emergence.parquet")


def test_newer_file_is_a_sentence(found, tmp_path, monkeypatch):
    monkeypatch.setattr("inspector.emerge.FORMAT_VERSION", 2)
    found.save(tmp_path / "emergence.parquet")
    monkeypatch.setattr("inspector.emerge.FORMAT_VERSION", 1)
    with pytest.raises(InspectorError, match="newer version"):
        open_emergence(tmp_path / "emergence.parquet")


def test_network_without_snapshots_is_a_sentence(tiny_checkpoint, corpus):
    with pytest.raises(InspectorError, match="has no snapshots"):
        emerge(tiny_checkpoint, corpus)


def test_corpus_without_held_out_files_is_a_sentence(run):
    bare = Corpus("bare", {"train": (Text("a.py", "x = 1\n"),), "choose": (), "report": ()})
    with pytest.raises(InspectorError, match="no held-out files"):
        emerge(run, bare)


def test_log_is_read_and_a_damaged_one_is_a_sentence(tmp_path):
    assert training_log(tmp_path) is None
    (tmp_path / "log.csv").write_text("step,characters,train_nats,choose_nats,seconds\n500,3200,1.5,1.6,9\n")
    assert training_log(tmp_path).to_dict("list") == {
        "step": [500.0], "characters": [3200.0], "train_nats": [1.5], "choose_nats": [1.6],
    }  # fmt: skip
    for content in ("", "step\n1\n", "step,characters,train_nats,choose_nats\n1,2,three,4\n"):
        (tmp_path / "log.csv").write_text(content)
        with pytest.raises(InspectorError, match=r"log\.csv is damaged"):
            training_log(tmp_path)


def test_table_has_a_line_for_each_snapshot_and_the_chance_below(found):
    lines = table_of(found, concepts=["inside_string"], neuron=Neuron(0, 2)).splitlines()

    assert lines[0].split() == ["step", "characters", "bits", "inside_string"]
    scores = found.of("inside_string", Neuron(0, 2)).score
    assert [line.split()[-1] for line in lines[1:4]] == [f"{score:.3f}" for score in scores]
    assert lines[2].split()[:2] == ["9", "576"] and lines[4].split() == ["chance", "0.50"]
    with pytest.raises(InspectorError, match="Nothing is known of no_such"):
        table_of(found, concepts=["no_such"])


def test_command_prints_the_table_and_keeps_what_it_found(run, python_folder, capsys, monkeypatch, one_thread):
    command = ["emerge", "--network", str(run), "--corpus", str(python_folder), "--concept", "inside_string, "]
    assert main(command) == 0
    first = capsys.readouterr().out
    monkeypatch.setattr("inspector.emerge.search_corpus", None)  # read again, it would fail
    assert main(command) == 0
    assert capsys.readouterr().out == first and "inside_string" in first and "emergence.parquet" in first

    assert main([*command, "--neuron", "0:99"]) == 1
    assert "Neuron 0:99 does not exist" in capsys.readouterr().err


def test_command_does_not_show_the_scores_of_other_texts_than_asked_for(
    run, found, python_folder, tmp_path, capsys, monkeypatch
):
    found.save(run / "emergence.parquet")
    monkeypatch.setattr("inspector.emerge.search_corpus", None)  # read again, it would fail
    command = ["emerge", "--network", str(run), "--concept", "inside_string"]
    same = ["--corpus", str(python_folder)]
    for asked in ([], same, ["--chars", "60k"], [*same, "--chars", "60_000"]):
        assert main([*command, *asked]) == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.py").write_text("x = 1\n")
    other = ["--corpus", str(tmp_path / "other")]
    for asked in (other, ["--chars", "50k"], [*same, "--pattern", "*[02468].py"]):
        capsys.readouterr()
        assert main([*command, *asked]) == 1
        assert "--again" in capsys.readouterr().err
