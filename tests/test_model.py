"""model.py: the vocabulary, the network, and every way a checkpoint folder can be wrong."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from inspector.model import (
    UNKNOWN,
    CharModel,
    ModelConfig,
    Vocabulary,
    load_checkpoint,
    save_checkpoint,
    untrained_twin,
)
from inspector.recording import InspectorError


def small_model(kind="lstm", **options) -> CharModel:
    torch.manual_seed(7)
    return CharModel(ModelConfig(kind, 2, 6, **options), Vocabulary.from_text("hello\n"), name="small").eval()


@pytest.fixture
def folder(tmp_path) -> Path:
    save_checkpoint(small_model(), tmp_path / "small", training={"steps": 3})
    return tmp_path / "small"


@given(st.text(), st.text())
def test_vocabulary_encodes_what_it_knows_and_nothing_else(known, text):
    vocabulary = Vocabulary.from_text(known)
    ids = vocabulary.encode(text)
    expected = "".join(char if char in known else UNKNOWN for char in text)
    assert vocabulary.decode(ids) == expected
    assert vocabulary.unknown(text).tolist() == [
        t for t, char in enumerate(text) if char not in known or char == UNKNOWN
    ]


def test_vocabulary_positions_are_code_points():
    assert Vocabulary.from_text("a\U0001f600").encode("\U0001f600a\U0001f600").tolist() == [2, 1, 2]


def test_vocabulary_folds_characters_rarer_than_asked():
    assert Vocabulary.from_text("aab", min_count=2).symbols == (UNKNOWN, "a")


@pytest.mark.parametrize("symbols", [(), ("a",), (UNKNOWN, "ab"), (UNKNOWN, "a", "a")])
def test_vocabulary_refuses_bad_symbols(symbols):
    with pytest.raises(InspectorError):
        Vocabulary(symbols)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("embedding", [None, 3])
def test_forward_shapes_and_state(kind, embedding):
    model = small_model(kind, embedding=embedding)
    ids = torch.from_numpy(model.vocabulary.encode("hello"))[None]
    logits, _ = model(ids)
    assert logits.shape == (1, 5, len(model.vocabulary))
    first, state = model(ids[:, :2])
    rest, _ = model(ids[:, 2:], state)
    torch.testing.assert_close(torch.cat([first, rest], 1), logits)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_checkpoint_round_trip_keeps_the_network(tmp_path, dtype):
    model = small_model()
    save_checkpoint(model, tmp_path / "small", dtype=dtype)
    loaded = load_checkpoint(tmp_path / "small")
    assert (loaded.config, loaded.vocabulary, loaded.name) == (model.config, model.vocabulary, "small")
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], tensor.to(getattr(torch, dtype)).float(), rtol=0, atol=0)
    assert (loaded.hash == model.hash) == (dtype == "float32")
    assert not loaded.training


def test_hash_names_weights_and_vocabulary():
    model, other = small_model(), small_model()
    assert model.hash == other.hash
    with torch.no_grad():
        other.head.bias[0] += 1
    assert model.hash != other.hash


def test_loading_and_twins_leave_the_random_stream_alone(folder):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    untrained_twin(load_checkpoint(folder))
    assert torch.equal(torch.rand(1), expected)


def test_untrained_twin_has_the_shape_but_not_the_weights():
    model = small_model()
    twin = untrained_twin(model)
    assert twin.config == model.config and twin.vocabulary == model.vocabulary
    assert twin.hash != model.hash
    assert twin.hash == untrained_twin(model).hash


def assert_sentence(error: pytest.ExceptionInfo[InspectorError], *words: str) -> None:
    sentence = str(error.value)
    assert "\n" not in sentence
    for word in words:
        assert word in sentence


def test_missing_folder_suggests_a_neighbour(folder):
    with pytest.raises(InspectorError) as error:
        load_checkpoint(folder.parent / "smal")
    assert_sentence(error, "did you mean", "small")


def test_folders_that_hold_no_network_are_not_offered(folder):
    (folder.parent / "pictures").mkdir()
    with pytest.raises(InspectorError) as error:
        load_checkpoint(folder.parent / "nowhere")
    assert str(error.value).endswith(f"there are: {folder.name}.")


def test_folder_that_is_no_checkpoint_names_what_is_missing(tmp_path):
    with pytest.raises(InspectorError) as error:
        load_checkpoint(tmp_path)
    assert_sentence(error, "config.json", "vocab.json", "model.safetensors")


def change_json(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "transformer"}, ("transformer", "lstm, gru, rnn")),
        ({"kind": ["lstm"]}, ("lstm, gru, rnn",)),
        ({"n_units": 60_000, "n_layers": 40}, ("lacks",)),  # more than any memory holds
        ({"n_units": 7}, ("shape",)),
        ({"n_units": -1}, ("n_units",)),
        ({"n_layers": 3}, ("lacks", "rnn.weight_ih_l2")),
        ({"n_layers": 1}, ("unexpected", "rnn.weight_ih_l1")),
        ({"n_symbols": 99}, ("99 symbols",)),
        ({"format": 2}, ("format", "update")),
        ({"dropout": 1}, ("dropout",)),
    ],
)
def test_config_that_does_not_fit_is_a_sentence(folder, changes, words):
    change_json(folder / "config.json", **changes)
    with pytest.raises(InspectorError) as error:
        load_checkpoint(folder)
    assert_sentence(error, str(folder), *words)


@pytest.mark.parametrize("name", ["config.json", "vocab.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"3", b"[[[["])
def test_damaged_json_is_a_sentence(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(InspectorError) as error:
        load_checkpoint(folder)
    assert_sentence(error, name)


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_truncated_weights_are_a_sentence(folder, share):
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InspectorError) as error:
        load_checkpoint(folder)
    assert_sentence(error, "model.safetensors is damaged")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors: tensors["head.bias"].fill_(float("nan")), "not finite"),
        (lambda tensors: tensors.update({"head.bias": tensors["head.bias"].long()}), "floating point"),
        (lambda tensors: tensors.pop("head.bias"), "lacks head.bias"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "unexpected extra"),
    ],
)
def test_wrong_weights_are_a_sentence(folder, change, words):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(InspectorError) as error:
        load_checkpoint(folder)
    assert_sentence(error, words)


def test_weights_that_float32_cannot_hold_are_a_sentence(folder):
    tensors = {key: value.double() for key, value in load_file(folder / "model.safetensors").items()}
    tensors["head.bias"][0] = 1e300
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(InspectorError) as error:
        load_checkpoint(folder)
    assert_sentence(error, "not finite")


def test_weights_that_float16_cannot_hold_are_not_saved_as_infinite(folder):
    model, before = small_model(), (folder / "model.safetensors").read_bytes()
    with torch.no_grad():
        model.head.bias[0] = 1e6
    with pytest.raises(InspectorError) as error:
        save_checkpoint(model, folder, dtype="float16")
    assert_sentence(error, "head.bias has weights that float16 cannot hold")
    assert (folder / "model.safetensors").read_bytes() == before


def test_a_place_that_cannot_be_written_or_read_is_a_sentence(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InspectorError) as error:
        save_checkpoint(small_model(), tmp_path / "file")
    assert_sentence(error, "could not be written to")

    def refuse(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(InspectorError) as error:
        load_checkpoint(folder)
    assert_sentence(error, "cannot be read: Permission denied")


def test_pickled_weights_are_never_opened(folder):
    torch.save(small_model().state_dict(), folder / "model.safetensors")
    with pytest.raises(InspectorError) as error:
        load_checkpoint(folder)
    assert_sentence(error, "model.safetensors is damaged")
