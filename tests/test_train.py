"""corpus.py, train/, generate.py: what is held out, what is learned, and that a kill costs nothing."""

import dataclasses
import math
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from inspector.commands.command import load_named_corpus
from inspector.corpus import Corpus, Text, load_corpus, read_text, split_of
from inspector.generate import sample
from inspector.model import ModelConfig, load_checkpoint
from inspector.recording import InspectorError
from inspector.train import Streams, TrainOptions, bits, held_out_nats, log_spaced, train, vocabulary_of
from inspector.train import run as run_module
from inspector.train.dropping import recurrent_weights, without_some

CONFIG = ModelConfig("lstm", 1, 24)
OPTIONS = TrainOptions(
    n_chars=16_000,
    batch=8,
    stretch=20,
    warmup=5,
    learning_rate=0.02,
    evaluate_every=20,
    save_every=10,
    precision="fp32",
)


def corpus_of(text: str, held_out: str) -> Corpus:
    return Corpus(
        "toy", {"train": (Text("a", text),), "choose": (Text("b", held_out),), "report": (Text("c", held_out),)}
    )


PATTERN = corpus_of("abcd" * 1_000, "abcd" * 200)


def cut_off(folder, step, options=OPTIONS, corpus=PATTERN):
    """A run that is killed behind a step, without a save."""

    class Killed(BaseException):
        pass

    def kill(progress):
        if progress.step == step:
            raise Killed

    with pytest.raises(Killed):
        train(corpus, CONFIG, options, folder, on_step=kill)


# ---------------------------------------------------------------------------------------------------------- corpus


def test_more_text_is_learned_from_and_never_holds_a_copy_of_what_is_held_out(tmp_path):
    (tmp_path / "more.py").write_text("new text")
    (tmp_path / "copy.py").write_text("held out")
    (tmp_path / "notes.txt").write_text("of another pattern")
    mine = corpus_of("learned", "held out")
    found = mine.and_learn_from(load_corpus(tmp_path, pattern="*.py"))
    assert [text for _, text in found.splits["train"]] == ["learned", "new text"]
    assert (found.splits["choose"], found.splits["report"]) == (mine.splits["choose"], mine.splits["report"])
    assert any("copy.py holds held-out text" in said for said in found.skipped)
    assert tmp_path.name in found.name


def test_text_of_which_a_part_is_held_out_is_not_learned_from_elsewhere(tmp_path):
    book = "".join(f"line {number}\n" for number in range(2_000))
    (tmp_path / "book.txt").write_text(book)
    (tmp_path / "other.txt").write_text("another text")
    mine = load_corpus(tmp_path / "book.txt")  # its last tenth is held out
    found = mine.and_learn_from(load_corpus(tmp_path))
    assert [text for _, text in found.splits["train"]] == [*(text for _, text in mine.splits["train"]), "another text"]
    assert any("book.txt holds held-out text" in said for said in found.skipped)


def test_split_hangs_on_the_name_alone(tmp_path):
    for number in range(60):
        (tmp_path / f"{number}.txt").write_text(f"text {number}")
    whole = load_corpus(tmp_path)
    assert sum(map(len, whole.splits.values())) == 60
    for split, texts in whole.splits.items():
        assert all(split_of(name) == split for name, _ in texts)
    (tmp_path / "0.txt").unlink()
    fewer = load_corpus(tmp_path)
    assert {t.name for t in fewer.splits["report"]} == {t.name for t in whole.splits["report"]} - {"0.txt"}


def test_links_in_a_folder_are_named_and_not_followed(tmp_path):
    (tmp_path / "real.txt").write_text("text")
    (tmp_path / "dangling.txt").symlink_to(tmp_path / "nowhere.txt")
    (tmp_path / "twice.txt").symlink_to(tmp_path / "real.txt")
    corpus = load_corpus(tmp_path)
    assert [text.name for texts in corpus.splits.values() for text in texts] == ["real.txt"]
    assert [problem.partition(" is a link")[0] for problem in corpus.skipped] == [
        str(tmp_path / "dangling.txt"),
        str(tmp_path / "twice.txt"),
    ]


def test_commands_say_which_files_of_a_corpus_they_left_out(tmp_path, capsys):
    (tmp_path / "real.txt").write_text("text")
    for number in range(22):
        (tmp_path / f"{number}.bin").write_bytes(b"\0")
    load_named_corpus(tmp_path, "*")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 21
    assert said[0] == f"Left out: {tmp_path / '0.bin'} is not text: it holds NUL bytes."
    assert said[-1] == "Left out: 2 more files."


def test_shares_of_the_splits_are_as_documented():
    counts = [split_of(f"package/module_{number}.py") for number in range(4_000)]
    assert abs(counts.count("report") / 4_000 - 0.05) < 0.015
    assert abs(counts.count("choose") / 4_000 - 0.05) < 0.015


def test_single_text_holds_out_its_end(tmp_path):
    (tmp_path / "one.txt").write_text("".join(map(chr, range(200, 1200))))
    corpus = load_corpus(tmp_path / "one.txt")
    whole = "".join(corpus.splits[split][0].text for split in ("train", "choose", "report"))
    assert whole == (tmp_path / "one.txt").read_text()
    assert [corpus.n_chars(split) for split in ("train", "choose", "report")] == [900, 50, 50]


def test_files_that_are_not_text_are_skipped_and_named(tmp_path):
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\xfa")
    (tmp_path / "nul.txt").write_bytes(b"a\0b")
    corpus = load_corpus(tmp_path)
    assert len(corpus.skipped) == 2 and any("bad.txt" in reason for reason in corpus.skipped)


def test_file_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(InspectorError, match=r"none\.txt cannot be read: No such file or directory\. Name a text file"):
        read_text(tmp_path / "none.txt")


def test_text_in_another_encoding_is_called_by_its_name(tmp_path):
    (tmp_path / "wide.txt").write_text("wide", encoding="utf-16")
    with pytest.raises(InspectorError, match="is not UTF-8 text but UTF-16"):
        read_text(tmp_path / "wide.txt")


def test_file_without_end_is_not_read_to_it(monkeypatch):
    monkeypatch.setattr("inspector.corpus.MAX_FILE_BYTES", 1_000)
    with pytest.raises(InspectorError, match="/dev/zero is too large: up to 1,000 bytes"):
        read_text(Path("/dev/zero"))


def test_line_ends_are_kept(tmp_path):
    (tmp_path / "crlf.txt").write_bytes(b"a\r\nb\rc\n")
    assert read_text(tmp_path / "crlf.txt") == "a\r\nb\rc\n"


def test_pattern_picks_files(tmp_path):
    (tmp_path / "kernel").mkdir()
    for name in ("kernel/a.c", "kernel/a.txt", "b.c"):
        (tmp_path / name).write_text(name)
    corpus = load_corpus(tmp_path, pattern="kernel/**/*.[ch]")
    assert [text.name for texts in corpus.splits.values() for text in texts] == ["kernel/a.c"]


@pytest.mark.parametrize("content", [None, b"", b"\xff\xff"])
def test_nothing_to_read_is_a_sentence(tmp_path, content):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InspectorError, match=r"text\.txt"):
        load_corpus(path)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [("**.c", "is no pattern for files"), ("/etc/*", "is no pattern for files"), ("", "matches the pattern ''"),
     ("*.h", r"No file in .* matches the pattern '\*\.h'")],
)  # fmt: skip
def test_pattern_that_is_none_or_matches_nothing_is_a_sentence(tmp_path, pattern, words):
    (tmp_path / "a.c").write_text("int a;")
    with pytest.raises(InspectorError, match=words):
        load_corpus(tmp_path, pattern=pattern)


def test_corpus_of_this_folder_has_its_name(tmp_path, monkeypatch):
    (tmp_path / "a.c").write_text("int a;")
    monkeypatch.chdir(tmp_path)
    assert load_corpus(".").name == tmp_path.name


def test_empty_folder_is_a_sentence(tmp_path):
    with pytest.raises(InspectorError, match="holds no text"):
        load_corpus(tmp_path)


def test_stdlib_leaves_its_tests_out():
    corpus = load_corpus("python-stdlib")
    names = [text.name for texts in corpus.splits.values() for text in texts]
    assert "json/decoder.py" in names and not any(name.startswith(("test/", "encodings/")) for name in names)


# -------------------------------------------------------------------------------------------------------- training


def test_streams_hand_out_every_place_once_an_epoch():
    texts = [np.arange(100), np.arange(100, 163)]
    streams = Streams(texts, dataclasses.replace(OPTIONS, batch=2, stretch=20))
    assert streams.steps_per_epoch == 4
    seen = np.concatenate([streams.batch_of(step)[0][:, :-1].numpy().ravel() for step in range(4)])
    assert len(set(seen)) == 160
    first, new_epoch = streams.batch_of(0)
    assert new_epoch and not streams.batch_of(1)[1]
    assert torch.equal(streams.batch_of(1)[0][:, 0], first[:, -1])  # a stream goes on where it stopped
    assert not torch.equal(streams.batch_of(4)[0], first)  # the next epoch has another order


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_training_learns_a_pattern_and_measures_it(tmp_path, kind):
    config = dataclasses.replace(CONFIG, kind=kind)
    model = train(PATTERN, config, OPTIONS, tmp_path / "run")
    assert model.training_facts["report_nats"] < 0.1 < math.log(4)
    loaded = load_checkpoint(tmp_path / "run")
    assert loaded.hash == model.hash
    assert "".join(sample(loaded, "abcda", n_chars=8, temperature=0)) == "bcdabcda"
    rows = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert len(rows) == 1 + OPTIONS.n_steps // OPTIONS.evaluate_every


def test_resumed_run_equals_an_uninterrupted_one(tmp_path):
    options = dataclasses.replace(
        OPTIONS,
        n_chars=4_800,
        output_dropout=0.2,
        recurrent_dropout=0.2,
        hidden_penalty=0.1,
        cell_penalty=0.1,
        restart=0.2,
    )
    whole = train(PATTERN, CONFIG, options, tmp_path / "whole")

    def interrupt(progress):
        if progress.step == 17:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(PATTERN, CONFIG, options, tmp_path / "cut", on_step=interrupt)
    resumed = train(PATTERN, CONFIG, options, tmp_path / "cut", resume=True)
    for key, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], tensor), key


@pytest.mark.parametrize("within", ["clip_grad_norm_", "held_out_nats"])
def test_run_interrupted_within_a_step_ends_it_first_and_goes_on_as_if_nothing_had_been(tmp_path, monkeypatch, within):
    options = dataclasses.replace(OPTIONS, n_chars=4_800, output_dropout=0.2, evaluate_every=5)
    whole = train(PATTERN, CONFIG, options, tmp_path / "whole")
    place = torch.nn.utils if within == "clip_grad_norm_" else run_module
    real, calls = getattr(place, within), []

    def interrupted(*given, **named):
        calls.append(given)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return real(*given, **named)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(place, within, interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(PATTERN, CONFIG, options, tmp_path / "cut")
    assert signal.getsignal(signal.SIGINT) is before
    monkeypatch.undo()
    resumed = train(PATTERN, CONFIG, options, tmp_path / "cut", resume=True)
    assert resumed.hash == whole.hash
    logs = [(tmp_path / run / "log.csv").read_text().splitlines() for run in ("whole", "cut")]
    assert [line.rpartition(",")[0] for line in logs[0]] == [
        line.rpartition(",")[0] for line in logs[1]
    ]  # but for time


def test_dropped_weights_come_back_and_get_the_gradient_of_what_took_part():
    rnn = torch.nn.LSTM(3, 8, num_layers=2)
    inputs, weights = torch.randn(5, 2, 3), recurrent_weights(rnn)
    before = [weight.detach().clone() for weight in weights]
    assert [tuple(weight.shape) for weight in weights] == [(32, 8), (32, 8)]
    with without_some(weights, 0.5):
        dropped = [weight.detach().clone() for weight in weights]
        rnn(inputs)[0].square().sum().backward()
    scales = [now / whole for now, whole in zip(dropped, before, strict=True)]
    for scale in scales:
        assert set(scale.flatten().round(decimals=5).tolist()) == {0.0, 2.0}
    twin = torch.nn.LSTM(3, 8, num_layers=2)
    twin.load_state_dict(rnn.state_dict())
    leaves = [whole.clone().requires_grad_() for whole in before]
    masked = {f"weight_hh_l{i}": leaf * scale for i, (leaf, scale) in enumerate(zip(leaves, scales, strict=True))}
    _by_hand(twin, inputs, masked).square().sum().backward()
    for weight, whole, leaf in zip(weights, before, leaves, strict=True):
        assert torch.equal(weight, whole)
        torch.testing.assert_close(weight.grad, leaf.grad)


def _by_hand(rnn, inputs, recurrent):
    """The hidden states of the top layer, from the equations, with these recurrent weights."""
    for layer in range(rnn.num_layers):
        named = dict(rnn.named_parameters())
        w, b, d = (named[f"{name}_l{layer}"].detach() for name in ("weight_ih", "bias_ih", "bias_hh"))
        h = c = torch.zeros(inputs.shape[1], rnn.hidden_size)
        hidden = []
        for x in inputs:
            i, f, g, o = (x @ w.t() + b + h @ recurrent[f"weight_hh_l{layer}"].t() + d).chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            hidden.append(h)
        inputs = torch.stack(hidden)
    return inputs


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"batch": 0}, "batch is 0; it must be 1 or more."),
        ({"learning_rate": math.nan}, "learning_rate is nan; it must be more than 0, and finite."),
        ({"learning_rate": math.inf}, "learning_rate is inf; it must be more than 0, and finite."),
        ({"seed": -1}, "seed is -1; it must be a whole number from 0 up to, but not, 2**63."),
        ({"seed": 2**63}, f"seed is {2**63}; it must be a whole number from 0 up to, but not, 2**63."),
        ({"weight_decay": -1.0}, "weight_decay is -1.0; it must be 0 or more, and finite."),
        ({"recurrent_dropout": 1.0}, "recurrent_dropout is 1.0; it must be a share from 0 up to, but not, 1."),
    ],
)
def test_options_that_cannot_be_are_refused_in_a_sentence(wrong, sentence):
    with pytest.raises(InspectorError) as refused:
        dataclasses.replace(OPTIONS, **wrong)
    assert str(refused.value) == sentence


def test_run_killed_without_saving_resumes_from_the_last_save(tmp_path):
    options = dataclasses.replace(OPTIONS, n_chars=4_800)
    cut_off(tmp_path / "cut", 17, options)
    steps = []
    resumed = train(PATTERN, CONFIG, options, tmp_path / "cut", resume=True, on_step=lambda at: steps.append(at.step))
    assert steps[0] == 11
    whole = train(PATTERN, CONFIG, options, tmp_path / "whole")
    assert resumed.hash == whole.hash


def test_snapshots_are_kept_at_the_steps_asked_for(tmp_path):
    train(PATTERN, CONFIG, dataclasses.replace(OPTIONS, n_chars=1_600, snapshots=(0, 4)), tmp_path / "run")
    first, later = (load_checkpoint(tmp_path / "run" / "snapshots" / f"step-{step:06d}") for step in (0, 4))
    assert first.training_facts["steps"] == 0 and first.hash != later.hash


def test_snapshots_spaced_by_the_logarithm_start_at_zero_and_end_at_the_last_step():
    assert log_spaced(5, 1_000) == (0, 1, 10, 100, 1_000)
    assert log_spaced(12, 15) == (*range(10), 11, 15)
    assert log_spaced(12, 5) == log_spaced(10**15, 5) == (0, 1, 2, 3, 4, 5)
    assert log_spaced(0, 1_000) == () and log_spaced(1, 1_000) == (0,) and log_spaced(2, 1_000) == (0, 1)
    for n_snapshots, n_steps in ((10, 2_000), (3, 7), (30, 10_000)):
        steps = log_spaced(n_snapshots, n_steps)
        assert len(steps) == n_snapshots and steps[0] == 0 and steps[-1] == n_steps


def test_last_step_can_be_a_snapshot(tmp_path):
    model = train(PATTERN, CONFIG, dataclasses.replace(OPTIONS, n_chars=1_600, snapshots=(10,)), tmp_path / "run")
    kept = load_checkpoint(tmp_path / "run" / "snapshots" / "step-000010")
    assert kept.training_facts["steps"] == 10
    for key, tensor in model.state_dict().items():
        assert torch.allclose(kept.state_dict()[key], tensor, atol=2e-3), key


# It learns abcd, and the longer it does the worse it expects the choose text.
OVERFITTING = Corpus(
    "toy",
    {"train": (Text("a", "abcd" * 1_000),), "choose": (Text("b", "acbd" * 200),), "report": (Text("c", "abdc" * 99),)},
)


def test_weights_of_the_best_look_are_what_is_left(tmp_path):
    options = dataclasses.replace(OPTIONS, evaluate_every=5)
    model = train(OVERFITTING, CONFIG, options, tmp_path / "run")
    looks = [line.split(",") for line in (tmp_path / "run" / "log.csv").read_text().splitlines()[1:]]
    best = min(looks, key=lambda row: float(row[3]))
    assert int(best[0]) < options.n_steps and model.training_facts["best_step"] == int(best[0])
    assert held_out_nats(model, OVERFITTING.splits["choose"]) == pytest.approx(float(best[3]), abs=2e-5)


def test_patience_stops_a_run_that_does_not_get_better(tmp_path):
    options = dataclasses.replace(OPTIONS, evaluate_every=5, patience=3)
    model = train(OVERFITTING, CONFIG, options, tmp_path / "run")
    facts = model.training_facts
    assert facts["steps"] == facts["best_step"] + 15 < options.n_steps
    assert train(OVERFITTING, CONFIG, options, tmp_path / "run", resume=True).hash == model.hash


def test_patience_waits_for_nothing_where_no_text_was_held_out(tmp_path):
    corpus = Corpus("toy", {"train": (Text("a", "abcd" * 1_000),), "choose": (), "report": ()})
    options = dataclasses.replace(OPTIONS, evaluate_every=5, patience=3)
    facts = train(corpus, CONFIG, options, tmp_path / "run").training_facts
    assert facts["steps"] == facts["best_step"] == options.n_steps


def test_a_run_goes_on_with_the_text_that_it_was_begun_with(tmp_path):
    more = dataclasses.replace(PATTERN, name="another corpus")
    options = dataclasses.replace(OPTIONS, n_chars=4_800)
    cut_off(tmp_path / "cut", 13, options, PATTERN.and_learn_from(more))
    with pytest.raises(InspectorError, match=r"learns from .*another corpus.*Name the same text to go on"):
        train(PATTERN, CONFIG, options, tmp_path / "cut", resume=True)


def test_resumed_run_writes_each_look_once(tmp_path):
    options = dataclasses.replace(OPTIONS, n_chars=4_800, evaluate_every=2)
    cut_off(tmp_path / "cut", 13, options)  # looked at step 12, saved at step 10
    train(PATTERN, CONFIG, options, tmp_path / "cut", resume=True)
    steps = [int(line.split(",")[0]) for line in (tmp_path / "cut" / "log.csv").read_text().splitlines()[1:]]
    assert steps == list(range(2, 31, 2))


def test_characters_beyond_a_thousand_are_folded_and_named():
    many = "".join(chr(0x4E00 + number) * (1 + (number < 999)) for number in range(1_200))
    vocabulary, folded = vocabulary_of(corpus_of(many, many))
    assert len(vocabulary) == 1_000 and folded == "".join(chr(0x4E00 + number) for number in range(999, 1_200))


def test_full_disk_is_a_sentence_before_and_during_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr("inspector.train.folder.shutil.disk_usage", lambda folder: SimpleNamespace(free=1_000))
    with pytest.raises(InspectorError, match="disk has"):
        train(PATTERN, CONFIG, OPTIONS, tmp_path / "small")
    monkeypatch.undo()

    def full(_, path):
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")  # torch's words

    monkeypatch.setattr("inspector.train.folder.torch.save", full)
    with pytest.raises(InspectorError, match=r"run \(only a part of a file could be written\)\. .* with --resume"):
        train(PATTERN, CONFIG, OPTIONS, tmp_path / "run")
    assert not list((tmp_path / "run").glob("*.partial"))
    monkeypatch.undo()

    def no_room(_, path):
        Path(path).write_bytes(b"half")
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("inspector.model.save_file", no_room)
    with pytest.raises(InspectorError, match="could not be written"):
        train(PATTERN, CONFIG, OPTIONS, tmp_path / "other")
    assert not list((tmp_path / "other").glob("*.partial"))


def test_run_whose_log_a_full_disk_has_emptied_goes_on(tmp_path):
    cut_off(tmp_path / "cut", 13)
    (tmp_path / "cut" / "log.csv").write_text("")
    assert train(PATTERN, CONFIG, OPTIONS, tmp_path / "cut", resume=True).training_facts["steps"] == OPTIONS.n_steps


def test_finished_network_is_not_written_over(tmp_path):
    train(PATTERN, CONFIG, dataclasses.replace(OPTIONS, n_chars=1_600), tmp_path / "run")
    (tmp_path / "run" / "trainer.pt").unlink()  # as of one that was packed
    with pytest.raises(InspectorError, match="finished network"):
        train(PATTERN, CONFIG, OPTIONS, tmp_path / "run")


def test_run_writes_over_nothing_of_others(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "log.csv").write_text("mine too")
    with pytest.raises(InspectorError, match=r"holds README\.md, which a run might overwrite"):
        train(PATTERN, CONFIG, OPTIONS, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"README.md": "mine", "log.csv": "mine too"}


def test_run_that_cannot_have_its_folder_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InspectorError, match=r"No run can be kept in .*file: File exists\. Choose another --out\."):
        train(PATTERN, CONFIG, OPTIONS, tmp_path / "file")


def test_folder_in_use_is_not_overwritten(tmp_path):
    train(PATTERN, CONFIG, dataclasses.replace(OPTIONS, n_chars=1_600), tmp_path / "run")
    with pytest.raises(InspectorError, match="already holds a run"):
        train(PATTERN, CONFIG, OPTIONS, tmp_path / "run")


def test_two_trainings_in_one_folder_are_refused(tmp_path):
    """From the first step on, before anything was saved; and neither is a running one gone on with."""
    refused = []

    def begin_another(progress):
        for resume in (False, True):
            with pytest.raises(InspectorError, match="written by another training") as error:
                train(PATTERN, CONFIG, OPTIONS, tmp_path / "run", resume=resume)
            refused.append(error)

    train(PATTERN, CONFIG, dataclasses.replace(OPTIONS, n_chars=160), tmp_path / "run", on_step=begin_another)
    assert len(refused) == 2
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"model.safetensors", "trainer.pt"}
    assert not (tmp_path / "run" / ".writing").exists()


def test_run_killed_within_its_first_save_is_one_to_resume(tmp_path, monkeypatch):
    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("inspector.train.folder.save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        train(PATTERN, CONFIG, OPTIONS, tmp_path / "cut")
    monkeypatch.undo()
    whole = train(PATTERN, CONFIG, OPTIONS, tmp_path / "whole")
    assert train(PATTERN, CONFIG, OPTIONS, tmp_path / "cut", resume=True).hash == whole.hash


def test_snapshots_of_a_run_that_died_are_not_another_ones(tmp_path):
    cut_off(tmp_path / "run", 1, dataclasses.replace(OPTIONS, snapshots=(0,)))
    train(PATTERN, CONFIG, dataclasses.replace(OPTIONS, n_chars=1_600, snapshots=(4,)), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run" / "snapshots").iterdir()] == ["step-000004"]


def test_a_torn_row_of_the_log_is_written_again(tmp_path):
    cut_off(tmp_path / "cut", 33)
    log = tmp_path / "cut" / "log.csv"
    log.write_text(log.read_text() + "4")
    train(PATTERN, CONFIG, OPTIONS, tmp_path / "cut", resume=True)
    train(PATTERN, CONFIG, OPTIONS, tmp_path / "whole")
    steps = [line.split(",")[0] for line in log.read_text().splitlines()]
    assert steps == [line.split(",")[0] for line in (tmp_path / "whole" / "log.csv").read_text().splitlines()]


def test_text_smaller_than_a_batch_is_a_sentence(tmp_path):
    with pytest.raises(InspectorError, match="smaller --batch"):
        train(corpus_of("abcd", "abcd"), CONFIG, OPTIONS, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_loss_that_is_no_number_stops_with_the_last_good_weights(tmp_path):
    options = dataclasses.replace(OPTIONS, learning_rate=1e38, clip=math.inf, save_every=1)
    with pytest.raises(InspectorError, match=r"holds what was saved last.*learning-rate and another --out"):
        train(PATTERN, CONFIG, options, tmp_path / "run")
    assert all(part.isfinite().all() for part in load_checkpoint(tmp_path / "run").parameters())


def test_gradient_that_is_no_number_reaches_no_weights(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("torch.nn.utils.clip_grad_norm_", lambda parameters, clip: torch.tensor(math.nan))
    monkeypatch.setattr("torch.optim.AdamW.step", lambda self, closure=None: seen.append(1))
    with pytest.raises(InspectorError, match=r"gradient is nan at step 0: training went wrong\. Start again with a"):
        train(PATTERN, CONFIG, OPTIONS, tmp_path / "run")
    assert not seen


def test_resuming_where_nothing_is_kept_is_a_sentence(tmp_path):
    with pytest.raises(InspectorError, match=r"trainer\.pt is missing"):
        train(PATTERN, CONFIG, OPTIONS, tmp_path, resume=True)
    (tmp_path / "trainer.pt").write_bytes(b"no")
    with pytest.raises(InspectorError, match="damaged"):
        train(PATTERN, CONFIG, OPTIONS, tmp_path, resume=True)
    torch.save({"options": {"odd": 1, "snapshots": []}, "corpus": str(PATTERN)}, tmp_path / "trainer.pt")
    with pytest.raises(InspectorError, match="damaged"):
        train(PATTERN, CONFIG, OPTIONS, tmp_path, resume=True)


def test_held_out_loss_equals_the_plain_cross_entropy(tmp_path):
    model = train(PATTERN, CONFIG, dataclasses.replace(OPTIONS, n_chars=1_600), tmp_path / "run")
    text = "abcdabca"
    ids = torch.from_numpy(model.vocabulary.encode(text))[None]
    with torch.inference_mode():
        logits, _ = model(ids[:, :-1])
    expected = float(torch.nn.functional.cross_entropy(logits[0], ids[0, 1:]))
    assert held_out_nats(model, (Text("t", text),)) == pytest.approx(expected, rel=1e-5)
    assert bits(math.log(2)) == pytest.approx(1)
    assert math.isnan(held_out_nats(model, ()))


# -------------------------------------------------------------------------------------------------------- sampling


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    return train(
        PATTERN, CONFIG, dataclasses.replace(OPTIONS, n_chars=3_200), tmp_path_factory.mktemp("runs") / "writer"
    )


def test_sample_repeats_with_the_same_seed_only(writer):
    first, again, other = ("".join(sample(writer, "a", n_chars=60, temperature=3, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_sample_takes_what_the_network_itself_expects_and_leaves_it_as_it_was(writer):
    writer.train()
    written = "abc" + "".join(sample(writer, "abc", n_chars=9, temperature=0))
    assert writer.training
    writer.eval()
    logits, _ = writer(torch.from_numpy(writer.vocabulary.encode(written))[None])
    logits[..., 0] = -torch.inf
    assert writer.vocabulary.decode(logits[0, 2:-1].argmax(-1).numpy()) == written[3:]


def test_sample_never_writes_the_unknown_symbol(writer):
    assert "\ufffd" not in "".join(sample(writer, "?", n_chars=200, temperature=50, seed=0))


@pytest.mark.parametrize("temperature", [1e-320, 1e-30])
def test_smallest_temperature_takes_the_likeliest(writer, temperature):
    assert "".join(sample(writer, "a", n_chars=9, temperature=temperature)) == "".join(
        sample(writer, "a", n_chars=9, temperature=0)
    )


def test_top_k_of_one_is_the_likeliest(writer):
    greedy = "".join(sample(writer, "a", n_chars=12, temperature=0))
    assert "".join(sample(writer, "a", n_chars=12, temperature=9, top_k=1)) == greedy


WRONG = [
    {"temperature": -1}, {"temperature": math.nan}, {"temperature": math.inf}, {"n_chars": -1}, {"top_k": 0},
    {"seed": -1}, {"seed": 10**30},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_sample_refuses_bad_arguments(writer, wrong):
    with pytest.raises(InspectorError):
        sample(writer, "a", **wrong)


def test_forget_gates_begin_by_remembering_where_they_are_told_to(tmp_path):
    options = dataclasses.replace(OPTIONS, n_chars=1, forget_bias=1.0, learning_rate=1e-12)
    biases = dict(train(PATTERN, CONFIG, options, tmp_path / "run").rnn.named_parameters())
    added = (biases["bias_ih_l0"] + biases["bias_hh_l0"]).detach().chunk(4)
    torch.testing.assert_close(added[1], torch.ones(24))
    assert all(float((part - 1).abs().max()) > 0.01 for part in (added[0], added[2], added[3]))


def test_run_that_begins_with_a_network_starts_from_its_weights_and_says_so(tmp_path):
    first = train(PATTERN, CONFIG, OPTIONS, tmp_path / "first")
    later = dataclasses.replace(OPTIONS, learning_rate=1e-9, n_chars=800, seed=5)
    second = train(PATTERN, dataclasses.replace(CONFIG, dropout=0.5), later, tmp_path / "second", begin_with=first)
    for name, tensor in second.state_dict().items():
        torch.testing.assert_close(tensor, first.state_dict()[name], atol=1e-5, rtol=0)
    assert second.training_facts["begun_with"] == f"first ({first.hash[:16]}), after 16,000 characters"
    assert first.hash[:16] in load_checkpoint(tmp_path / "second").training_facts["begun_with"]


def test_run_cannot_begin_with_a_network_of_another_size(tmp_path):
    first = train(PATTERN, CONFIG, dataclasses.replace(OPTIONS, n_chars=800), tmp_path / "first")
    with pytest.raises(InspectorError, match="cannot start from its weights") as refused:
        train(PATTERN, ModelConfig("lstm", 1, 25, 7), OPTIONS, tmp_path / "second", begin_with=first)
    said = str(refused.value)
    assert "1×24, one-hot" in said and "1×25, embedding 7" in said and "ModelConfig(" not in said  # noqa: RUF001


def test_characters_that_a_network_to_begin_with_does_not_know_are_named(tmp_path):
    first = train(PATTERN, CONFIG, dataclasses.replace(OPTIONS, n_chars=800), tmp_path / "first")
    vocabulary, folded = vocabulary_of(corpus_of("abcdxyx" * 100, "abcd"), first)
    assert vocabulary is first.vocabulary and folded == "xy"
