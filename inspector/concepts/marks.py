r"""What a label marks, to be looked at: a line of text over a line of marks, or the text in colour.

x = "ab"
....###..        "#" label, "." none, "?" nobody can tell; digits for a graded one; one for the line break, too
"""

import numpy as np
from numpy.typing import NDArray

from inspector.concepts.characters import code_points
from inspector.concepts.concept import Concept

_GRADES = "0123456789abcdefghijklmnopqrstuvwxyz+"  # 36 and more are "+"
_UNKNOWN, _YES, _RESET = "\x1b[2;9m", "\x1b[30;43m", "\x1b[0m"
_SHADES = [236, 238, 240, 242, 244, 214, 220, 226]  # of the terminal's 256 colours: grey to yellow


def marked_text(
    concept: Concept, text: str, language: str | None = None, *, lines: tuple[int, int] | None = None
) -> str:
    """The text with a line of marks under each of its lines; a last line without a break gets one.

    lines : the first and the last line to show, counted from 1. The whole text is labelled all the same.
    """
    label, valid = concept.label(text, language), concept.valid(text, language)
    start, stop = _stretch(text, lines)
    signs = "".join(np.where(valid, _signs(concept, label), "?"))[start:stop]
    shown, at = [], 0
    for line in text[start:stop].removesuffix("\n").split("\n") if start < stop else []:
        behind = at + len(line) + 1
        shown += [f"{line}\n", f"{signs[at:behind]}\n"]
        at = behind
    return "".join(shown)


def _stretch(text: str, lines: tuple[int, int] | None) -> tuple[int, int]:
    """Where the chosen lines begin and end, in characters."""
    if lines is None:
        return 0, len(text)
    begins = np.flatnonzero(np.append([True], code_points(text) == ord("\n")))
    first, last = (begins[line] if line < len(begins) else len(text) for line in (lines[0] - 1, lines[1]))
    return int(first), int(last)


def _signs(concept: Concept, label: NDArray[np.generic]) -> NDArray[np.str_]:
    grades = label.astype(np.int64)
    if concept.kind == "yes/no":
        return np.array([".", "#"])[grades]
    return np.array(list(_GRADES))[np.clip(grades, 0, len(_GRADES) - 1)]


def coloured_text(
    concept: Concept, text: str, language: str | None = None, *, lines: tuple[int, int] | None = None
) -> str:
    """The text with its label as background colour, by a terminal's own codes; struck out where nobody can tell.

    lines : as for `marked_text`. Control characters of the text other than tab and newline are shown as their pictures.
    """
    start, stop = _stretch(text, lines)
    label, valid = concept.label(text, language), concept.valid(text, language)
    top = float(label.max(initial=0)) or 1.0
    text, label, valid = text[start:stop], label[start:stop], valid[start:stop]
    shades = np.clip(np.ceil(label / top * len(_SHADES)).astype(np.int64), 0, len(_SHADES))
    before, shown = "", []
    for character, shade, known in zip(text, shades.tolist(), valid.tolist(), strict=True):
        colour = _UNKNOWN if not known else "" if not shade else _YES
        if known and shade and concept.kind == "graded":
            colour = f"\x1b[30;48;5;{_SHADES[shade - 1]}m"
        if character == "\n":  # a background runs to the edge of the screen if it is on at a line's end
            shown.append((f"{colour} {_RESET}" if colour else _RESET if before else "") + "\n")
            before = ""
            continue
        if colour != before:
            shown.append(_RESET + colour)
        shown.append(_picture(character))
        before = colour
    return "".join([*shown, _RESET])


def _picture(character: str) -> str:
    code = ord(character)
    if character == "\t" or 0x20 <= code < 0x7F or code >= 0xA0:
        return character if not 0xD800 <= code < 0xE000 else "\ufffd"
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"
