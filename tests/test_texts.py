"""The texts one can read, and how bytes become text."""

import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard import texts
from inspector.recording import InspectorError


@pytest.fixture(autouse=True)
def own_library(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARSCOPE_DATA", str(tmp_path))
    return tmp_path


@given(st.text())
def test_decode_gives_back_any_text_exactly(text):
    assert texts.decode(text.encode("utf-8"), "x") == text.removeprefix("\ufeff")
    assert texts.decode(b"\xef\xbb\xbf" + text.encode("utf-8"), "x") == text


@pytest.mark.parametrize(
    ("data", "words"), [(b"ab\n\xe9c", r"0xe9 at offset 3 \(line 2\)"), ("ab".encode("utf-16"), "UTF-16")]
)
def test_decode_says_where_bytes_are_no_text(data, words):
    with pytest.raises(InspectorError, match=words):
        texts.decode(data, "notes.txt")


def test_kept_text_comes_back_exactly_under_its_name():
    content = "a\r\n\tb\x00 <b>é🎈\n\r"

    text = texts.load_text(texts.keep_text(content, "odd.txt"))

    assert (text.content, text.name) == (content, "odd.txt")


@settings(max_examples=25)
@given(st.text(min_size=1, max_size=200))
def test_kept_text_is_known_by_its_content(content):
    assert texts.keep_text(content, "a") == texts.keep_text(content, "b") == f"mine:{texts.content_hash(content)}"
    texts.forget_text(f"mine:{texts.content_hash(content)}")


def test_forgotten_text_is_gone_from_list_and_disk(own_library):
    text_id = texts.keep_text("abc", "a.txt")

    texts.forget_text(text_id)

    assert texts.kept_texts() == []
    assert not any((own_library / "texts").iterdir())
    with pytest.raises(InspectorError, match="not in your library"):
        texts.load_text(text_id)


def test_forget_text_touches_nothing_outside_the_library(own_library):
    texts.keep_text("abc", "a.txt")
    (own_library / "precious.txt").write_text("x")

    texts.forget_text("mine:../precious")

    assert (own_library / "precious.txt").exists()


def test_library_files_are_the_only_ones_an_address_reaches(tmp_path):
    (tmp_path / "secret.py").write_text("password")
    library = Path(sysconfig.get_path("stdlib"))
    way_out = "/".join([".."] * (len(library.resolve().parts) - 1)) + str(tmp_path / "secret.py")
    assert (library.resolve() / way_out).is_file()

    for name in (way_out, str(tmp_path / "secret.py")):
        with pytest.raises(InspectorError, match="has no file"):
            texts.load_text(f"stdlib:{name}")


def test_full_library_refuses_and_keeps_what_it_has(monkeypatch):
    monkeypatch.setattr(texts, "MAX_KEPT", 2)
    first, _ = texts.keep_text("one", "1"), texts.keep_text("two", "2")

    with pytest.raises(InspectorError, match="library is full"):
        texts.keep_text("three", "3")
    assert texts.load_text(first).content == "one"
    assert texts.keep_text("two", "2 again")


@pytest.mark.parametrize(("content", "words"), [("", "empty"), ("x" * (texts.MAX_CHARS + 1), "choose a part")])
def test_keep_text_refuses_what_cannot_be_read(content, words):
    with pytest.raises(InspectorError, match=words):
        texts.keep_text(content, "a.txt")


def test_every_listed_text_can_be_loaded():
    entries = texts.list_texts()

    assert entries[0].id == "sample:address_book.py"
    for entry in entries:
        assert len(texts.load_text(entry.id).content.encode()) == entry.n_bytes


@pytest.mark.parametrize(
    "text_id",
    ["stdlib:../../etc/passwd", "stdlib:/etc/passwd", "stdlib:json/../../../x.py", "stdlib:json",
     "stdlib:site-packages/six.py",
     "stdlib:a\x00.py", "stdlib:" + "x" * 5000 + ".py", "sample:../texts.py", "mine:../../x", "mine:0000000000000000",
     "nonsense", ""],
)  # fmt: skip
def test_a_name_that_leads_nowhere_is_one_sentence(text_id):
    with pytest.raises(InspectorError):
        texts.load_text(text_id)


def test_folder_is_read_as_its_texts_by_path_and_says_what_it_left_out(tmp_path):
    (tmp_path / "src" / "deep").mkdir(parents=True)
    (tmp_path / "src" / "b.py").write_bytes(b"b\r\n")
    (tmp_path / "src" / "deep" / "a.py").write_text("a\t", newline="")
    (tmp_path / "src" / "empty.py").write_text("")
    (tmp_path / "src" / ".git").write_text("hidden")
    (tmp_path / "src" / "image.png").write_bytes(b"\x89PNG\0")

    parts, left_out = texts.read_folder(str(tmp_path / "src"))

    assert parts == [("b.py", "b\r\n"), ("deep/a.py", "a\t")]
    assert left_out == ["image.png"]


@pytest.mark.parametrize(("make", "words"), [(False, "no folder"), (True, "no text")])
def test_folder_without_text_is_a_sentence(tmp_path, make, words):
    if make:
        (tmp_path / "src").mkdir()

    with pytest.raises(InspectorError, match=words):
        texts.read_folder(str(tmp_path / "src"))


def test_folder_with_more_than_fits_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "MAX_CHARS", 3)
    (tmp_path / "a").write_text("ab")
    (tmp_path / "b").write_text("cd")

    with pytest.raises(InspectorError, match="more than 3 characters"):
        texts.read_folder(str(tmp_path))


def test_files_stay_documents_of_their_own():
    text_id = texts.keep_files([("a.py", "é\n"), ("b.c", "int")], "two")

    kept = texts.load_text(text_id)

    assert kept.parts() == [("a.py", "é\n"), ("b.c", "int")]
    assert text_id == f"mine:{kept.hash}" != texts.keep_text("é\nint", "two")


@pytest.mark.parametrize("path", ["~nobody-of-this-name/x", "a" * 300, "a\0b"])
def test_path_that_no_folder_can_have_is_a_sentence(path):
    with pytest.raises(InspectorError, match="There is no folder"):
        texts.read_folder(path)


def test_files_whose_names_are_no_text_are_named_so_that_they_can_be_shown(tmp_path):
    name = b"\xff.py".decode("utf-8", "surrogateescape")
    (tmp_path / name).write_text("x = 1")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("hidden")
    assert texts.read_folder(str(tmp_path)) == ([("\ufffd.py", "x = 1")], [])


def test_folder_of_too_many_files_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "MAX_FILES", 2)
    for number in range(3):
        (tmp_path / f"{number}.py").write_text("x")
    with pytest.raises(InspectorError, match="more than 2 files"):
        texts.read_folder(str(tmp_path))


def test_long_name_keeps_its_ending_and_half_a_character_is_refused():
    assert texts.load_text(texts.keep_text("x = 1", "n" * 200 + ".py")).name == "n" * 97 + ".py"
    with pytest.raises(InspectorError, match="half a character at 1"):
        texts.keep_text("a\ud83d", "a.txt")
