"""What a reader of any text notices in its wording: sentences, addresses, who speaks. By patterns alone."""

import re

import numpy as np

from inspector.concepts.characters import Bools, paint_class, paint_pairs
from inspector.concepts.words import word_start

_SENTENCE_END = re.compile(r"""[.!?]["'”\u2019)\]]*+\s|(?:\r\n?+|\n)[ \t]*+[\r\n]""")
_PLAIN = r"""[^\s<>"'`(){}\[\]|\\^\x00-\x20]"""
# Wikipedia writes brackets into its addresses: one that was opened inside may close there.
_URL = re.compile(rf"(?<=[A-Za-z0-9]):/(?P<mark>/(?:{_PLAIN}|\({_PLAIN}*+\)?+)*+)")
_EMPHASISED = re.compile(r"(?<!\w)_++(?P<mark>[^\W_])")  # _so_
_SPEAKER = re.compile(r"(?:\A|(?<=\n\n)|(?<=\n\r\n))[^\W\d_][^\n\r:.!?]{0,60}+:(?=[\r\n])")


def sentence_start(text: str) -> Bools:
    """True on the first letter or digit of a sentence."""
    emphasised = [match.start("mark") for match in _EMPHASISED.finditer(text)]
    is_start = word_start(text) & ~paint_class(text, "_".__eq__)
    is_start[emphasised] = True
    starts = np.flatnonzero(is_start)
    ends = np.array([match.end() for match in _SENTENCE_END.finditer(text)], np.int64)
    ended = np.searchsorted(ends, starts, side="right")  # (n_words,), sentence ends read before each word
    first = np.diff(ended, prepend=-1) > 0
    label = np.zeros(len(text), np.bool_)
    label[starts[first]] = True
    return label & ~paint_class(text, str.islower)


def inside_url(text: str) -> Bools:
    """True from the second slash of "scheme://" to the address' last character."""
    return paint_pairs(len(text), [match.span("mark") for match in _URL.finditer(text)])


def speaker_line(text: str) -> Bools:
    """True on a line that names a speaker: capital first, colon last, behind an empty line."""
    spans = [match.span() for match in _SPEAKER.finditer(text) if match[0][0].isupper()]
    return paint_pairs(len(text), spans)
