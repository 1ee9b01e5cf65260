"""A stretch of text coloured by one or several neurons, as a figure for print: SVG, PDF or PNG.

    text, traces ──► cells on a grid of columns and lines ──► one coloured block a neuron, a legend under it ──► file

It knows paper: millimetres, points, embedded fonts. Colours and scales are the palette's, so that a printed character
has the colour it has on screen. Pure: no Streamlit, no networks. Matplotlib draws.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dashboard.palette import DEFAULT, Scale, check_palette, colour_index, ink, lut
from inspector.recording import InspectorError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN_MM, PAGE_MM = 84, 174  # one column, and both, of a common two-column page
MAX_CHARS, MAX_NEURONS = 5_000, 12
_LEGENDS = 3  # scales whose bars find room beside each other
_HIGHEST_MM = 5_000  # of a figure: a PNG of it has some hundred million dots
FORMATS = ("svg", "pdf", "png")

_MM = 1 / 25.4
_CELL = 0.602  # width of a character of DejaVu Sans Mono, in ems
_LINE = 1.28  # distance of two lines, in ems
_MARKS = {"\n": "↵", "\t": "→", "\r": "␍"}
_FONTS = ("DejaVu Sans Mono", "Noto Sans Mono CJK JP", "Noto Sans Mono", "DejaVu Sans")
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "path",  # outlines: the figure looks the same where the font is missing
    "pdf.fonttype": 42,  # embedded TrueType: text stays text
    "svg.hashsalt": "charscope",
}


class Strip(NamedTuple):
    """One neuron's values over the text, float (n_chars,); what stands above them; the scale that colours them."""

    caption: str
    values: np.ndarray
    scale: Scale


class Cell(NamedTuple):
    """Where one code point is drawn: `shown` in `width` columns; width 0 joins the cell before it."""

    position: int
    line: int
    column: int
    width: int
    shown: str


def text_figure(
    text: str,
    strips: Sequence[Strip],
    *,
    start: int = 0,
    stop: int | None = None,
    width_mm: float = COLUMN_MM,
    font_pt: float = 6.5,
    palette: str = DEFAULT,
    tab_width: int = 4,
) -> Figure:
    """Draw `text[start:stop]` once for each strip, the strips one under another, with a legend at the bottom.

    >>> text_figure(text, [Strip("1:42 cell", trace, scale_for("cell", trace))], start=120, stop=600)

    strips : values over the whole text; those of the stretch are shown.
    width_mm : of the whole figure; lines that are longer wrap. Its height follows from the text.
    font_pt : size of the letters.

    Raises InspectorError for an empty stretch, more than 5,000 characters or 12 neurons, and values of another length.
    """
    stop = len(text) if stop is None else stop
    _check(text, strips, start, stop, width_mm, font_pt, palette)
    em = font_pt / 72  # inches
    n_columns = int((width_mm * _MM - em) / (_CELL * em))
    cells = lay_out(text, start, stop, n_columns, tab_width)
    n_lines = cells[-1].line + 1
    block, foot = (n_lines * _LINE + 1.9) * em, 4.4 * em
    size = (width_mm * _MM, block * len(strips) + foot)
    if size[1] > _HIGHEST_MM * _MM:
        raise InspectorError(
            f"{n_lines:,} lines for {len(strips)} neurons make a figure {size[1] / _MM / 1000:.1f} m high; up to "
            f"{_HIGHEST_MM / 1000:g} m can be drawn: take fewer lines or neurons."
        )
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_SETTINGS | {"font.family": _fonts()}):
        figure = Figure(figsize=size)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, size[0] / em), ylim=(size[1] / em, 0))  # in ems, downwards
        axes.axis("off")
        has_room = len({strip.scale for strip in strips}) <= _LEGENDS
        for number, strip in enumerate(strips):
            _draw(axes, cells, strip if has_room else _with_ends(strip), number * block / em, font_pt, palette)
        _legend(axes, strips, (len(strips) * block) / em, size[0] / em, font_pt, palette)
    return figure


def write_figure(figure: Figure, to: str | Path | IO[bytes], form: str | None = None) -> None:
    """Write a figure as SVG (letters as outlines), PDF (fonts embedded) or PNG (300 dpi); the same bytes every time.

    to : a path, whose ending decides, or an open binary file together with `form`.
    Raises InspectorError for another format.
    """
    form = (form or Path(str(to)).suffix.lstrip(".")).lower()
    if form not in FORMATS:
        raise InspectorError(f"A figure cannot be written as “{form}”: the formats are {', '.join(FORMATS)}.")
    from matplotlib import rc_context

    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}[form]
    with rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # drawn as a box, as on screen
        figure.savefig(to, format=form, dpi=300, metadata=undated)


@cache
def _fonts() -> list[str]:
    """Those of the fonts that are installed; the first one comes with matplotlib."""
    from matplotlib.font_manager import fontManager

    return [name for name in _FONTS if name in set(fontManager.get_font_names())]


def lay_out(text: str, start: int, stop: int, n_columns: int, tab_width: int) -> list[Cell]:
    """Place the code points of `text[start:stop]` on a grid: lines wrap after `n_columns`, wide characters take two."""
    cells: list[Cell] = []
    line = column = 0
    for position in range(start, stop):
        character = text[position]
        width = _width(character, column, tab_width)
        if column + width > n_columns + (character == "\n"):
            line, column = line + 1, 0
            width = _width(character, column, tab_width)
        shown = _MARKS.get(character) or (character if character.isprintable() or not width else "·")
        cells.append(Cell(position, line, column, width, shown))
        column += width
        if character == "\n":
            line, column = line + 1, 0
    return cells


def _width(character: str, column: int, tab_width: int) -> int:
    if character == "\t":
        return tab_width - column % tab_width
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _check(
    text: str, strips: Sequence[Strip], start: int, stop: int, width_mm: float, font_pt: float, palette: str
) -> None:
    check_palette(palette)
    if not 0 <= start < stop <= len(text):
        raise InspectorError(
            f"There is nothing from {start:,} to {stop:,} to draw: the text has characters 0 to {len(text):,}."
        )
    if stop - start > MAX_CHARS:
        raise InspectorError(f"{stop - start:,} characters are too many for one figure; up to {MAX_CHARS:,} fit.")
    if not 1 <= len(strips) <= MAX_NEURONS:
        raise InspectorError(f"{len(strips)} neurons cannot be drawn in one figure: 1 to {MAX_NEURONS} can.")
    for strip in strips:
        if strip.values.shape != (len(text),):
            raise InspectorError(
                f"The values of {strip.caption} have shape {strip.values.shape}; the text has {len(text):,} characters."
            )
    if not (10 <= width_mm <= 2_000 and 2 <= font_pt <= 72 and width_mm / font_pt > 4):
        raise InspectorError(
            f"A figure {width_mm:g} mm wide with letters of {font_pt:g} points cannot be drawn: take 10 to 2,000 mm, "
            "2 to 72 points, and more than 4 mm a point."
        )


def _draw(axes: Axes, cells: list[Cell], strip: Strip, top: float, font_pt: float, palette: str) -> None:
    """One neuron: its caption and its coloured text; `top` in ems."""
    from matplotlib.collections import PolyCollection

    values = strip.values[cells[0].position : cells[-1].position + 1]
    index = colour_index(values, strip.scale)
    colours, inks = (table(palette, strip.scale.kind) / 255 for table in (lut, ink))
    axes.text(0.5, top + 0.75, strip.caption, fontsize=font_pt, va="center", color="#374151")
    solid = [(cell, entry) for cell, entry in zip(cells, index, strict=True) if cell.width and entry >= 0]
    corners = np.array(
        [_corners(0.5 + cell.column * _CELL, top + 1.5 + cell.line * _LINE, cell.width * _CELL) for cell, _ in solid]
    )
    if len(corners):
        fill = colours[[entry for _, entry in solid]]
        axes.add_collection(PolyCollection(list(corners), facecolors=fill, edgecolors=fill, linewidths=0.15))
    for (cell, letters), entry in zip(_clusters(cells), _first_of(cells, index), strict=True):
        if letters.strip():
            colour = inks[entry] if entry >= 0 else "#0c0e13"
            x = 0.5 + (cell.column + cell.width / 2) * _CELL if cell.shown not in _MARKS.values() else None
            axes.text(
                0.5 + (cell.column + 0.5) * _CELL if x is None else x, top + 1.5 + (cell.line + 0.53) * _LINE,
                letters, fontsize=font_pt, ha="center", va="center_baseline", color=colour,
                alpha=0.45 if x is None else 1, parse_math=False,
            )  # fmt: skip


def _corners(left: float, top: float, width: float) -> list[tuple[float, float]]:
    return [(left, top), (left + width, top), (left + width, top + _LINE), (left, top + _LINE)]


def _clusters(cells: list[Cell]) -> list[tuple[Cell, str]]:
    """Cells with the combining characters that follow them."""
    found: list[tuple[Cell, str]] = []
    for cell in cells:
        if cell.width or not found:
            found.append((cell, cell.shown))
        else:
            found[-1] = (found[-1][0], found[-1][1] + cell.shown)
    return found


def _first_of(cells: list[Cell], index: np.ndarray) -> list[int]:
    """The colour entry of each cluster: that of its first code point."""
    return [int(index[place]) for place, cell in enumerate(cells) if cell.width or place == 0]


def _with_ends(strip: Strip) -> Strip:
    """A strip whose caption says which values its scale ends at."""
    return strip._replace(caption=f"{strip.caption}, {strip.scale.low:.3g} to {strip.scale.high:.3g}")


def _legend(axes: Axes, strips: Sequence[Strip], top: float, width: float, font_pt: float, palette: str) -> None:
    """A bar for each different scale: its colours and the values at its ends.

    Where they are too many, a bar for each kind of scale, and their ends stand in the captions.
    """
    scales = list(dict.fromkeys(strip.scale for strip in strips))
    has_room = len(scales) <= _LEGENDS
    if not has_room:
        scales = list({scale.kind: scale for scale in scales}.values())
    room = (width - 1) / len(scales)
    for number, scale in enumerate(scales):
        left, right = 0.5 + number * room, 0.5 + (number + 1) * room - (1 if number < len(scales) - 1 else 0)
        first = 1 if scale.kind == "diverging" else 0
        axes.imshow(
            lut(palette, scale.kind)[None, first:], extent=(left, right, top + 1.5, top + 0.7), aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
        middle = [(0.0, (left + right) / 2, "center")] if scale.kind == "diverging" else []
        for value, x, side in [(scale.low, left, "left"), *middle, (scale.high, right, "right")]:
            said = f"{value:.3g}" if has_room or side == "center" else "lowest" if side == "left" else "highest"
            axes.text(x, top + 2.4, said, fontsize=font_pt, ha=side, va="center", color="#374151")
        if has_room and len(scales) > 1:
            whose = ", ".join(strip.caption for strip in strips if strip.scale == scale)
            axes.text(left, top + 3.6, whose, fontsize=0.85 * font_pt, va="center", color="#374151")
    axes.set(xlim=(0, width), ylim=axes.get_ylim())
