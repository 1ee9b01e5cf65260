"""The command line, run as a person runs it: what it prints, what it leaves, and one sentence for what is wrong."""

import argparse
import json
import math
import os
import re
import shlex
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import pytest

from inspector.__main__ import main
from inspector.commands.command import progress_bar, reporting
from inspector.commands.search import SHOWN, _names, _print_table
from inspector.model import CharModel, ModelConfig, Vocabulary, load_checkpoint, save_checkpoint
from inspector.recording import open_recording

ROOT = Path(__file__).resolve().parent.parent


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def text_file(tmp_path, python_folder) -> Path:
    path = tmp_path / "text.py"
    path.write_text("".join(file.read_text() for file in sorted(python_folder.iterdir())))
    return path


def test_a_pattern_may_hold_commas():
    assert _names(" digit , regex:b{1,3}") == ["digit", "regex:b{1,3}"]
    assert _names("regex:a, b") == ["regex:a, b"]
    assert _names("digit,,uppercase") == ["digit", "uppercase"]


@pytest.mark.parametrize(
    "command",
    [
        "",
        "concepts",
        "card",
        "train",
        "pack",
        "sample",
        "record",
        "search",
        "survey",
        "verify",
        "recordings",
        "export",
        "import",
        "page",
        "figure",
    ],
)
def test_help_is_there_for_every_command(command):
    answer = subprocess.run(
        [sys.executable, "-m", "inspector", *command.split(), "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert answer.returncode == 0 and "usage" in answer.stdout


def run_in_a_shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = command.replace("inspector", f"{shlex.quote(sys.executable)} -m inspector", 1)
    return subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, env=os.environ | environment
    )


def test_help_says_defaults_where_there_are_some_and_what_is_required():
    said = " ".join(run_in_a_shell("inspector train --help").stdout.split())
    assert "(default: 60M)" in said and "(required)" in said
    assert not any(f"(default: {nothing})" in said for nothing in ("None", "False", "[]", "()", "(0,)"))


@pytest.mark.parametrize("last", ["| head -1", "> /dev/null", ">&-"])
def test_reader_who_leaves_early_is_no_mistake(last):
    what = "inspector concepts --show digit dashboard/samples/address_book.py"
    answer = run_in_a_shell(f"set -o pipefail; {what} {last}")
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has this device")
def test_output_that_cannot_be_written_is_a_sentence():
    answer = run_in_a_shell("inspector search --concept list > /dev/full")
    assert answer.returncode == 1
    assert answer.stderr == "search: What was asked for could not be written: No space left on device.\n"


def test_character_that_the_terminal_cannot_show_is_an_escape(tmp_path):
    (tmp_path / "a.py").write_text("ж = 1\n", encoding="utf-8")
    answer = run_in_a_shell(f"inspector concepts --show digit {tmp_path}/a.py", PYTHONIOENCODING="ascii")
    assert answer.stdout == "\\u0436 = 1\n....#.\n"


def test_train_then_sample_then_survey(capsys, tmp_path, python_folder):
    out = tmp_path / "run"
    options = ["--layers", 1, "--units", 8, "--chars", "8k", "--batch", 4, "--stretch", 20]
    code, said, bar = run(capsys, "train", "--corpus", python_folder, "--out", out, *options)
    assert code == 0 and "bits per held-out character" in said and "nats" in bar
    assert "bits per character on all text held out for reporting" in (out / "README.md").read_text()

    code, said, _ = run(capsys, "sample", "--network", out, "--seed-text", "def ", "--length", 30, "--seed", 1)
    assert code == 0 and said.startswith("def ") and len(said) == len("def ") + 30 + 1

    code, said, _ = run(capsys, "pack", "--run", out, "--out", tmp_path / "packed")
    assert code == 0 and "MB" in said and not (tmp_path / "packed" / "trainer.pt").exists()
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    code, _, said = run(capsys, "pack", "--run", out, "--out", out)
    assert code == 1 and "pack it into another folder" in said
    assert before == {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    (out / "log.csv").unlink()
    (tmp_path / "packed" / "snapshots" / "step-000009").mkdir(parents=True)
    assert run(capsys, "pack", "--run", out, "--out", tmp_path / "packed")[0] == 0
    assert not (tmp_path / "packed" / "log.csv").exists()
    assert not (tmp_path / "packed" / "snapshots" / "step-000009").exists()
    assert load_checkpoint(tmp_path / "packed").config == load_checkpoint(out).config

    code, said, _ = run(capsys, "survey", "--network", out, "--corpus", python_folder)
    assert code == 0 and "inside_string" in said and "inside_string" in (out / "README.md").read_text()


def test_record_leaves_a_recording_of_the_exact_text(capsys, tmp_path, tiny_checkpoint, text_file):
    out = tmp_path / "recording"
    code, said, _ = run(capsys, "record", "--network", tiny_checkpoint, "--text", text_file, "--out", out)
    recording = open_recording(out, model=load_checkpoint(tiny_checkpoint))
    assert code == 0 and recording.text == text_file.read_text() and recording.dtype == "float16"
    assert f"{recording.n_chars:,} characters" in said


@pytest.mark.parametrize("what", [("--concept", "inside_string"), ("--regex", "item+")])
def test_search_ranks_neurons(capsys, tiny_checkpoint, text_file, what):
    code, said, _ = run(capsys, "search", "--network", tiny_checkpoint, "--text", text_file, *what, "--format", "json")
    rows = json.loads(said)
    assert code == 0 and len(rows) == 10
    assert [row["choose_score"] for row in rows] == sorted((row["choose_score"] for row in rows), reverse=True)
    code, said, _ = run(capsys, "search", "--network", tiny_checkpoint, "--text", text_file, *what)
    assert f"{rows[0]['layer']}:{rows[0]['unit']}" in said


def test_search_that_was_written_is_shown_again_without_its_text(capsys, tmp_path, tiny_checkpoint, text_file):
    out = tmp_path / "found.parquet"
    asked = ("--network", tiny_checkpoint, "--text", text_file, "--concept", "inside_string", "--out", out)
    code, first, _ = run(capsys, "search", *asked, "--format", "csv", "--top", 3)
    assert code == 0
    code, again, _ = run(capsys, "search", "--open", out, "--format", "csv", "--top", 3)
    assert code == 0 and again == first and len(again.splitlines()) == 4
    code, table, _ = run(capsys, "search", "--open", out)
    assert code == 0 and load_checkpoint(tiny_checkpoint).hash in table


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--out", "found.txt"), "end its name in .parquet"),
        (("--out", "nowhere/found.parquet"), "There is no folder nowhere"),
        (("--top", "0"), "--top 0 shows nothing"),
        (("--top", "-3"), "--top -3 shows nothing"),
    ],
)
def test_search_whose_answer_could_not_be_given_does_not_begin(capsys, monkeypatch, text_file, more, words):
    monkeypatch.setattr("inspector.survey.search_corpus", lambda *given, **named: pytest.fail("it was begun"))
    code, said, problem = run(capsys, "search", "--text", text_file, "--concept", "digit", *more)
    assert code == 1 and words in problem and not said


def test_search_that_is_stopped_says_how_it_goes_on(capsys, monkeypatch, tmp_path, tiny_checkpoint, text_file):
    def stopped(*given, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr("inspector.survey.search_corpus", stopped)
    asked = ("search", "--network", tiny_checkpoint, "--text", text_file, "--concept", "digit")
    kept = tmp_path / "kept"
    kept.mkdir()
    for state in ((), ("--state", kept)):
        assert run(capsys, *asked, *state)[2].endswith("search: stopped.\n")
    (kept / "twin-1.json").touch()
    code, _, said = run(capsys, *asked, "--state", kept)
    assert code == 130 and f"The same command goes on from what was kept in {kept}." in said


def test_explanations_say_which_way_a_neuron_goes(capsys, monkeypatch, tmp_path, tiny_checkpoint, text_file):
    rows = pd.DataFrame({"kind": ["formula", "formula", "graded", "graded", "formula"], "polarity": [1, -1, 1, -1, 1]})
    rows["formula"] = ["digit", "digit", "indentation", "indentation", ""]
    rows = rows.assign(layer=0, unit=1, signal="cell", score=0.5, chance=0.1)
    monkeypatch.setattr("inspector.explain.explain", lambda *given, **named: (rows, {"said": "All."}))
    asked = ("explain", "--network", tiny_checkpoint, "--corpus", text_file.parent, "--out", tmp_path)
    printed = [line.partition(")  ")[2] for line in run(capsys, *asked)[1].splitlines()]
    assert printed[:5] == [
        "high where digit",
        "low where digit",
        "follows indentation",
        "falls with indentation",
        "nothing",
    ]


def test_spans_of_one_text_are_not_looked_for_in_many(capsys, tmp_path, python_folder):
    spans = tmp_path / "spans.json"
    spans.write_text("[[0, 5]]")
    code, _, problem = run(capsys, "search", "--text", python_folder, "--concept", spans)
    assert code and "marks stretches of one text" in problem


def test_survey_is_shown_as_a_table(capsys):
    code, said, _ = run(capsys, "survey", "--network", ROOT / "checkpoints" / "python", "--show")
    rows = [line for line in said.splitlines() if line.startswith("| inside_string |")]
    assert code == 0 and len(rows) == 1 and "AUROC 0." in rows[0] and rows[0].count("|") == 9


def test_list_of_concepts_needs_nothing_else(capsys):
    code, said, _ = run(capsys, "search", "--concept", "list")
    assert code == 0 and "inside_string" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("record", "--network", "nowhere", "--text", "TEXT", "--out", "OUT"), "There is no checkpoint folder nowhere"),
        (("record", "--network", "NET", "--text", "absent.py", "--out", "OUT"), "absent.py"),
        (("record", "--network", "NET", "--text", "TEXT", "--out", "OUT", "--signals", "hiden"), "hidden"),
        (("record", "--network", "NET", "--text", "EMPTY", "--out", "OUT"), "empty"),
        (("search", "--network", "NET", "--text", "TEXT", "--concept", "inside_sting"), "inside_string"),
        (("search", "--network", "NET", "--text", "TEXT", "--regex", "("), "("),
        (("search", "--network", "NET", "--text", "EMPTY", "--concept", "digit"), "empty"),
        (("search", "--network", "NET", "--concept", "digit"), "--text"),
        (("search", "--network", "NET", "--text", "absent.py", "--concept", "digit"), "absent.py"),
        (("search", "--network", "NET", "--text", "TEXT", "--concept", "digit", "--signals", "hiden"), "hidden"),
        (("search", "--network", "NET", "--text", "TEXT", "--concept", "preprocessor_line"), "language='c'"),
        (("search", "--network", "NET", "--text", "TEXT", "--regex", "qqqqq"), "Too little to rank: the label is no"),
        (("search", "--network", "NET", "--text", "TEXT", "--regex", "(?s)."), "Too little to rank: the label is yes"),
        (("search", "--network", "NET", "--text", "SHORT", "--concept", "digit"), "Too little to rank"),
        (("search", "--network", "NET", "--text", "EMPTY", "--concept", "digit"), "empty.py is empty. Give a file"),
        (("search", "--open", "TEXT"), "is no result of a search"),
        (("search", "--open", "absent.parquet"), "There is no file absent.parquet"),
        (("search", "--network", "NET", "--text", "TEXT", "--concept", ","), "--concept names no concept"),
        (("search", "--network", "NET", "--text", "TEXT", "--concept", "digit", "--signals", ","), "names no signal"),
        (("page", "--network", "NET", "--text", "TEXT", "--out", "nowhere/a.html"), "There is no folder nowhere"),
        (("figure", "--network", "NET", "--text", "TEXT", "--out", "nowhere/a.svg"), "There is no folder nowhere"),
        (("emerge", "--network", "NET", "--concept", "inside_sting"), "Choose one of: inside_string"),
        (("search", "--open", ROOT / "checkpoints/python-small/emergence.parquet"), "is no result of a search"),
        (("search", "--network", "NET", "--text", "TEXT", "--concept", "digit,digit"), "Two concepts are called digit"),
        (("search", "--open", "TEXT", "--out", "b.parquet"), "as it was saved: leave --out out"),
        (("survey", "--network", "NET", "--show"), "has no survey"),
        (("sample", "--network", "NET", "--temperature", "-1"), "temperature"),
        (("train", "--corpus", "EMPTY", "--out", "OUT"), "empty"),
        (("train", "--corpus", "TEXT", "--out", "OUT", "--units", "0"), "--units is 0"),
        (("train", "--corpus", "TEXT", "--out", "OUT", "--chars", "0"), "--chars is 0"),
        (("train", "--corpus", "TEXT", "--out", "OUT", "--learning-rate", "0"), "--learning-rate is 0.0"),
        (
            ("train", "--corpus", "TEXT", "--out", "OUT", "--seed", "0,9223372036854775808"),
            "--seed is 9223372036854775808",
        ),
        (("train", "--corpus", "TEXT", "--out", "OUT", "--resume"), "trainer.pt"),
        (
            ("explain", "--network", "NET", "--corpus", "TEXT", "--out", "OUT", "--chars", "0"),
            "--chars 0 is too little",
        ),
        (("explain", "--network", "NET", "--corpus", "TEXT", "--out", "OUT", "--top", "-1"), "--top -1 is too little"),
        (("explain", "--network", "NET", "--corpus", "TEXT", "--out", "TEXT"), "is a file: give --out a folder"),
        (
            ("record", "--network", "NET", "--text", "TEXT", "--store", "snapshots", "--dtype", "int8"),
            "leave --signals and --dtype out",
        ),
        (
            ("page", "--network", "NET", "--text", "TEXT", "--out", "OUT", "--neurons", "2:0"),
            "Neuron 2:0 does not exist: tiny has 2 layers (0-1) of 8 units (0-7).",
        ),
        (
            ("figure", "--network", "NET", "--text", "TEXT", "--out", "OUT", "--neurons", "0:1"),
            "end the name in .svg, .pdf, .png",
        ),
        (("train", "--corpus", "TEXT", "--out", "OUT", "--begin-with", "NET", "--units", "512"), "leave --units out"),
    ],
)
def test_bad_input_is_one_sentence(capsys, tmp_path, tiny_checkpoint, text_file, arguments, words):
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "short.py").write_text("x = 1\n")
    places = {
        "SHORT": tmp_path / "short.py",
        "NET": tiny_checkpoint,
        "TEXT": text_file,
        "EMPTY": tmp_path / "empty.py",
        "OUT": tmp_path / "out",
    }
    code, _, error = run(capsys, *(places.get(argument, argument) for argument in arguments))
    sentence = [line for line in error.splitlines() if line.startswith(f"{arguments[0]}: ")]
    assert code == 1 and len(sentence) == 1 and words in sentence[0] and "Traceback" not in error


@pytest.mark.parametrize("kind", ["gru", "rnn"])
def test_every_kind_of_network_is_recorded_without_a_word_about_signals(capsys, tmp_path, text_file, kind):
    save_checkpoint(CharModel(ModelConfig(kind, 1, 4), Vocabulary.from_text(text_file.read_text())), tmp_path / kind)
    code, _, error = run(capsys, "record", "--network", tmp_path / kind, "--text", text_file, "--out", tmp_path / "out")
    assert code == 0, error
    assert open_recording(tmp_path / "out").layers[0].signals == ("hidden",)


def test_search_as_json_keeps_the_smallest_chances(capsys, tmp_path):
    row = {"layer": 0, "unit": 1, "concept": "digit", "q_value": 3e-15, "twin_score": math.nan}
    _print_table(pd.DataFrame([row]), "json", "")
    assert json.loads(capsys.readouterr().out) == [row | {"twin_score": None}]


def test_chances_of_one_table_are_written_in_one_form(capsys):
    rows = pd.DataFrame({"layer": 0, "unit": 1, "concept": "digit", "q_value": [1, 0.0005, 3.21e-34]})
    _print_table(rows.assign(**dict.fromkeys(set(SHOWN) - {"q_value", "neuron"}, "-")), "table", "")
    printed = re.findall(r"\S*e[+-]\d+", capsys.readouterr().out)
    assert printed == ["1.0e+00", "5.0e-04", "3.2e-34"]


def test_network_packed_again_has_the_snapshots_of_its_run_alone(capsys, tmp_path, python_folder):
    options = ["--layers", 1, "--units", 8, "--batch", 4, "--stretch", 20]
    for name, chars, step in (("a", "4k", 3), ("b", "8k", 5)):
        more = ["--chars", chars, "--snapshots", f"0,{step}", "--out", tmp_path / name]
        assert run(capsys, "train", "--corpus", python_folder, *options, *more)[0] == 0
        assert run(capsys, "pack", "--run", tmp_path / name, "--out", tmp_path / "packed")[0] == 0
    kept = sorted(path.name for path in (tmp_path / "packed" / "snapshots").iterdir())
    assert kept == ["step-000000", "step-000005"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--layers", 1, "--dropout", 0.3), "--dropout is between layers"),
        (("--kind", "gru", "--cell-penalty", 0.1), "--cell-penalty is on the cell of an LSTM, and a GRU has none"),
        (("--kind", "rnn", "--forget-bias", 1), "--forget-bias is of an LSTM"),
        (("--begin-with", "NET", "--forget-bias", 1), "that starts from random weights"),
        (("--snapshots", "1,70,800"), "--snapshots 70,800 is behind the last step, 1"),
        (("--layers", 2, "--dropout", 0.3, "--cell-penalty", 0.1, "--forget-bias", 1, "--snapshots", 2), ""),
    ],
)
def test_what_changes_nothing_about_a_training_is_told(
    capsys, tmp_path, python_folder, tiny_checkpoint, options, words
):
    run_options = ["--chars", 200, "--batch", 2, "--stretch", 100, "--out", tmp_path / "run"]
    run_options += ["--units", 4] * ("NET" not in options)
    named = [tiny_checkpoint if option == "NET" else option for option in options]
    code, _, said = run(capsys, "train", "--corpus", python_folder, *run_options, *named)
    assert code == 0 and said.count("Without effect: ") == bool(words) and words in said


def test_a_run_that_goes_on_tells_which_options_it_does_not_take(capsys, tmp_path, python_folder):
    begun = ["train", "--corpus", python_folder, "--out", tmp_path / "run", "--layers", 1, "--units", 4, "--snapshots"]
    begun += ["0,1", "--chars", 200, "--batch", 2]
    assert run(capsys, *begun)[0] == 0
    for again in (begun, begun[:5]):
        code, _, said = run(capsys, *again, "--resume")
        assert code == 0 and "Without effect" not in said
    code, _, said = run(capsys, *begun, "--chars", 400, "--units", 8, "--resume")
    assert code == 0 and f"Without effect: --units, --chars. {tmp_path / 'run'} goes on with its own options." in said


def test_progress_of_a_run_that_goes_on_counts_by_its_own_batch(capsys, monkeypatch, tmp_path, python_folder):
    bars, interrupted = [], iter([False] * 4 + [True] + [False] * 5)
    monkeypatch.setattr(
        "inspector.commands.train.progress_bar", lambda *named: bars.append(progress_bar(*named)) or bars[-1]
    )
    monkeypatch.setattr("inspector.train._between_steps", lambda: nullcontext(lambda: next(interrupted)))
    begun = ["train", "--corpus", python_folder, "--out", tmp_path / "run"]
    options = ["--layers", 1, "--units", 4, "--batch", 2, "--stretch", 20, "--chars", 400]
    assert run(capsys, *begun, *options)[0] == 130
    assert run(capsys, *begun, "--resume")[0] == 0
    assert [(bar.initial, bar.n, bar.total) for bar in bars] == [(0, 200, 400), (200, 400, 400)]


@pytest.mark.parametrize(("rate", "is_told"), [(1e4, True), (2e-3, False)])
def test_run_that_is_no_better_than_even_odds_says_so(capsys, tmp_path, python_folder, rate, is_told):
    options = ["--layers", 1, "--units", 8, "--batch", 4, "--stretch", 20, "--chars", "8k", "--learning-rate", rate]
    code, _, said = run(capsys, "train", "--corpus", python_folder, "--out", tmp_path / "run", *options)
    assert code == 0 and ("Nothing was learned" in said) == is_told


@pytest.mark.parametrize(("there", "words"), [("README.md", "might be lost"), ("trainer.pt", "whose network would")])
def test_pack_writes_over_nothing_of_others(capsys, tmp_path, tiny_checkpoint, there, words):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / there).write_text("mine")
    code, _, error = run(capsys, "pack", "--run", tiny_checkpoint, "--out", tmp_path / "out")
    assert code == 1 and words in error
    assert [path.read_text() for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_pack_into_a_file_is_a_sentence(capsys, tiny_checkpoint, text_file):
    code, _, error = run(capsys, "pack", "--run", tiny_checkpoint, "--out", text_file)
    assert code == 1 and error == f"pack: {text_file} is a file: give --out a folder.\n"


def test_ten_megabytes_are_refused_before_the_work(capsys, monkeypatch, tmp_path, tiny_checkpoint):
    (tmp_path / "large.py").write_text("x = 1\n" * 1_700_000)
    arguments = ["--network", tiny_checkpoint, "--text", tmp_path / "large.py"]
    monkeypatch.setattr("inspector.commands.record.shutil.disk_usage", lambda path: argparse.Namespace(free=1_000_000))
    code, _, error = run(capsys, "record", *arguments, "--out", tmp_path / "out")
    assert code == 1 and "another disk" in error and not (tmp_path / "out").exists()


def test_progress_in_a_file_is_a_word_now_and_then(capsys):
    with progress_bar(None, "first") as bar:
        assert bar.mininterval >= 10
        report = reporting(bar, {"second": "files"})
        for done in range(1_000):
            report("first" if done < 500 else "second", done, 1_000)
    said = capsys.readouterr().err
    assert said.count("\r") < 9 and ": :" not in said and "second" in said and "files" in said


def test_mistyped_command_is_explained():
    answer = subprocess.run([sys.executable, "-m", "inspector", "serch"], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 2 and "search" in answer.stderr
