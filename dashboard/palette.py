"""Value to colour: one scale for the overlay, the plots and what is exported.

It knows numbers and colours and nothing else: no text, no network, no Streamlit. A value becomes one of 256 entries of
a colour table, and each entry has an ink that stays readable on it:

    diverging   low ──► entry 1, 0 ──► entry 128, high ──► entry 255      hidden, candidate, cell
    sequential  low ──► entry 0,                 high ──► entry 255      gates
    probability low ──► entry 0,                 high ──► entry 255      probabilities, surprise (loss)

A scale only decides which colour a value gets. Values themselves are never clipped, squashed or flipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inspector.recording import InspectorError

Kind = Literal["diverging", "sequential", "probability"]
Theme = Literal["light", "dark"]

KINDS: tuple[Kind, ...] = ("diverging", "sequential", "probability")
THEMES: tuple[Theme, ...] = ("light", "dark")
ZERO = 128  # the entry of a diverging table that stands for exactly 0
_BOUNDED = ("hidden", "candidate")  # what a tanh gives
_ENOUGH = 1 << 17  # values that settle a percentile
READABLE = 4.5  # the contrast that WCAG 2 asks of ordinary text (level AA)

_RGB = tuple[int, int, int]
# The backgrounds of .streamlit/config.toml: what stands for zero is not to be seen.
_PAPER: dict[Theme, _RGB] = {"light": (255, 255, 255), "dark": (14, 17, 23)}
# Tried in this order. Black comes last: where neither soft ink nor white reaches 4.5, it does.
_INKS: dict[Theme, tuple[_RGB, ...]] = {
    "light": ((12, 14, 19), (255, 255, 255), (0, 0, 0)),
    "dark": ((240, 243, 247), (12, 14, 19), (255, 255, 255), (0, 0, 0)),
}


class Scale(NamedTuple):
    """Which values the two ends of a colour table stand for."""

    kind: Kind
    low: float
    high: float


@dataclass(frozen=True)
class Palette:
    """The end colours of one palette. A diverging table runs low, paper, high; `single_hue` runs low to high.

    The ends are as strong as they can be while one ink stays readable from end to end: letters that change between
    black and white inside a word are harder to read than paler colours. Only "mono" has to change.
    """

    name: str
    title: str
    low: dict[Theme, _RGB]
    high: dict[Theme, _RGB]
    single_hue: bool = False


_LIFT = 0.75  # a value of a tenth of the scale gets 18 % of the end's colour
_GATE: dict[Theme, _RGB] = {"light": (116, 126, 141), "dark": (103, 111, 123)}
_PROBABILITY: dict[Theme, _RGB] = {"light": (138, 114, 210), "dark": (114, 94, 186)}

PALETTES: dict[str, Palette] = {
    palette.name: palette
    for palette in (
        Palette(
            "teal-orange",
            "orange below zero, teal above",
            low={"light": (216, 106, 34), "dark": (180, 82, 20)},
            high={"light": (16, 138, 146), "dark": (10, 118, 126)},
        ),
        Palette(
            "red-blue",
            "red below zero, blue above, as in 2015",
            low={"light": (228, 84, 78), "dark": (198, 52, 48)},
            high={"light": (84, 128, 236), "dark": (56, 104, 216)},
        ),
        Palette(
            "mono",
            "one ramp from low to high, for print",
            low={"light": (255, 255, 255), "dark": (14, 17, 23)},
            high={"light": (38, 42, 48), "dark": (232, 236, 242)},
            single_hue=True,
        ),
    )
}
DEFAULT = "teal-orange"
STROKE: dict[Theme, str] = {"light": "#0a7f86", "dark": "#35bdc1"}  # what a plot is about: its lines and bars
SURPRISE = Scale("probability", 0.0, 6.0)  # nats: the same for every text, so that two can be compared


def check_palette(name: str) -> None:
    """Raise InspectorError, with the names there are, for another one."""
    if name not in PALETTES:
        raise InspectorError(f"There is no palette {name!r}: choose {', '.join(PALETTES)}.")


def scale_for(signal: str, trace: ArrayLike) -> Scale:
    """Choose the scale on which one neuron's trace is coloured.

    >>> scale_for("cell", trace)
    Scale(kind='diverging', low=-2.4, high=2.4)

    signal : one of the signal names of `inspector.recording`, or an imported recording's own.
    trace : float ndarray of shape (n_chars,). Only looked at for the cell state and for signals of other names, which
        have no bounds that are known: their ends are the 99th percentile of |c|, so that a few wild characters do not
        pale all others. nan is passed over; a trace that is all zero, all nan or empty gets -1..1. In a long text
        every so manieth character is looked at, at least 131,072 of them.
    """
    if signal.endswith("_gate"):
        return Scale("sequential", 0.0, 1.0)
    if signal in _BOUNDED:
        return Scale("diverging", -1.0, 1.0)
    whole = np.asarray(trace)
    size = np.abs(whole[:: max(1, whole.size // _ENOUGH)].astype(np.float64))
    size = size[np.isfinite(size)]
    reach = float(np.quantile(size, 0.99)) if size.size else 0.0
    if reach == 0.0 and size.size:  # silent for 99 characters in 100: its few loud ones are the ends
        reach = float(size.max())
    return Scale("diverging", -reach, reach) if reach > 0.0 else Scale("diverging", -1.0, 1.0)


def colour_index(values: ArrayLike, scale: Scale) -> NDArray[np.int16]:
    """Give the entry of the colour table for each value: 0..255, and -1 where the value is nan.

    values : float array of any shape. What lies beyond the scale gets the end's colour.
    The browser computes the same in overlay/colour.js; a golden file holds the two together.
    """
    place = np.array(
        values, dtype=np.float64
    )  # worked on in place: a million characters are coloured while somebody waits
    missing = np.isnan(place)
    if scale.kind == "diverging":
        place /= max(abs(scale.low), abs(scale.high))
        np.clip(place, -1.0, 1.0, out=place)
        place *= 127.0
        place += ZERO
    else:
        place -= scale.low
        place /= scale.high - scale.low
        np.clip(place, 0.0, 1.0, out=place)
        place *= 255.0
    place += 0.5
    place[missing] = -1.0
    return place.astype(np.int16)  # towards zero, which is down: nothing but -1 lies below it


@cache
def lut(palette: str, kind: Kind, theme: Theme = "light") -> NDArray[np.uint8]:
    """Give the colour table: uint8 (256, 3), sRGB, read-only.

    Colours are mixed in OKLab (Ottosson 2020), where equal steps look equal, and a table of two hues then lifts what
    is weak: a neuron spends most of a text near zero, and which side it is on should be seen there too. The legend is
    the same table. Gates and probabilities have one colour in every palette, so that grey always means gate and
    violet always means probability.
    """
    paper = _PAPER[theme]
    table: NDArray[np.uint8]
    if kind == "probability":
        table = _ramp(paper, _PROBABILITY[theme], np.linspace(0.0, 1.0, 256))
    elif kind == "sequential":
        table = _ramp(paper, _GATE[theme], np.linspace(0.0, 1.0, 256))
    else:
        place = np.clip((np.arange(256) - ZERO) / 127.0, -1.0, 1.0)  # (256,), in -1..1
        chosen = PALETTES[palette]
        if chosen.single_hue:
            table = _ramp(chosen.low[theme], chosen.high[theme], (place + 1.0) / 2.0)
        else:
            below = _ramp(paper, chosen.low[theme], np.maximum(-place, 0.0) ** _LIFT)
            above = _ramp(paper, chosen.high[theme], np.maximum(place, 0.0) ** _LIFT)
            table = np.where(place[:, None] < 0.0, below, above)
    table.setflags(write=False)
    return table


@cache
def ink(palette: str, kind: Kind, theme: Theme = "light") -> NDArray[np.uint8]:
    """Give the letters' colour for each entry of `lut`: uint8 (256, 3), with a contrast of at least 4.5."""
    table = lut(palette, kind, theme)
    inks = np.array(_INKS[theme], dtype=np.uint8)
    enough = np.stack([contrast(table, one) >= READABLE for one in inks])  # (n_inks, 256)
    chosen: NDArray[np.uint8] = inks[enough.argmax(axis=0)]
    chosen.setflags(write=False)
    return chosen


def contrast(one: ArrayLike, other: ArrayLike) -> NDArray[np.float64]:
    """Give the WCAG 2 contrast ratio, 1..21, between sRGB colours of shape (..., 3) in 0..255."""
    first, second = _luminance(np.asarray(one)), _luminance(np.asarray(other))
    ratio = (np.maximum(first, second) + 0.05) / (np.minimum(first, second) + 0.05)
    return np.asarray(ratio, dtype=np.float64)


_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _ramp(start: _RGB, stop: _RGB, amount: NDArray[np.float64]) -> NDArray[np.uint8]:
    ends = np.cbrt(_linear(np.array([start, stop])) @ _TO_CONES.T) @ _TO_LAB.T  # (2, 3) in OKLab
    mixed = ends[0] + amount[:, None] * (ends[1] - ends[0])
    linear = (mixed @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_CONES).T
    linear = np.clip(linear, 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    table: NDArray[np.uint8] = np.floor(255.0 * encoded + 0.5).astype(np.uint8)
    return table


def _linear(rgb: NDArray[np.generic]) -> NDArray[np.float64]:
    part = np.asarray(rgb, dtype=np.float64) / 255.0
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def _luminance(rgb: NDArray[np.generic]) -> NDArray[np.float64]:
    weighted: NDArray[np.float64] = _linear(rgb) @ np.array([0.2126, 0.7152, 0.0722])
    return weighted
