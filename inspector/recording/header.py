"""What a recording is about, apart from its values: text, documents, layers, and the network they come from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from inspector.recording.stretch import STRETCH, Layout, Snapshots
from inspector.recording.words import Document, InspectorError, Layer, Neuron, Place, quoted

DTYPES = ("float32", "float16", "int8")


@dataclass(frozen=True)
class Header:
    """Everything that is known before the first value; checked when it is made.

    Who breaks one of these rules has a bug, so they are plain `ValueError`s; only `dtype` is a reader's choice.
    """

    text: str
    documents: tuple[Document, ...]
    layers: tuple[Layer, ...]
    dtype: str = "float32"
    network: str | None = None
    network_hash: str | None = None
    symbols: tuple[str, ...] | None = None
    unknown: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    engine: str = "recompute"
    snapshots: Snapshots | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise InspectorError(f"Values cannot be kept as {quoted(self.dtype)}: choose {' or '.join(DTYPES)}.")
        _check_documents(self.documents, len(self.text))
        if not self.layers:
            raise ValueError("a recording needs at least one layer")
        for layer in self.layers:
            if layer.n_units < 1 or not layer.signals or len(set(layer.signals)) != len(layer.signals):
                raise ValueError(f"a layer needs units and signals, each signal once: {layer}")
        if self.unknown.size and not (self.unknown.min() >= 0 and self.unknown.max() < len(self.text)):
            raise ValueError("positions of unknown characters must lie in the text")
        if self.snapshots and (self.snapshots.every < 1 or STRETCH % self.snapshots.every or self.dtype != "float32"):
            raise ValueError(f"snapshots are kept every so many characters as divide {STRETCH}, for float32 alone")

    @cached_property
    def layout(self) -> Layout:
        return Layout(self.layers, self.dtype, len(self.symbols or ()), self.snapshots)

    def first(self, n_chars: int) -> Header:
        """The same header for the first `n_chars` characters; documents beyond them are left out."""
        if n_chars == len(self.text):
            return self
        documents = tuple(
            replace(document, stop=min(document.stop, n_chars))
            for document in self.documents
            if document.start < n_chars
        )
        unknown = self.unknown[self.unknown < n_chars]
        return replace(self, text=self.text[:n_chars], documents=documents, unknown=unknown)

    def place(self, position: int) -> Place:
        """Document, line and column of a character that exists."""
        document = self.documents[bisect_right(self.documents, position, key=lambda document: document.start) - 1]
        line_start = self.text.rfind("\n", document.start, position) + 1 or document.start
        line = self.text.count("\n", document.start, position) + 1
        return Place(document, line, position - line_start + 1)

    def check_layer(self, layer: int) -> int:
        if not (isinstance(layer, (int, np.integer)) and 0 <= layer < len(self.layers)):
            raise InspectorError(f"Layer {layer} does not exist: this recording has {describe(self.layers)}.")
        return int(layer)

    def check_signal(self, layer: int, signal: str | None) -> str:
        stored = self.layers[layer].signals
        if signal is None:
            return "hidden" if "hidden" in stored else stored[0]
        if not isinstance(signal, str) or signal not in stored:
            raise InspectorError(
                f"Layer {layer} has no signal {quoted(str(signal))} in this recording: it keeps {', '.join(stored)}. "
                "Choose one of these, or record the text again with that signal."
            )
        return signal

    def check_neuron(self, neuron: Neuron | tuple[int, int] | str) -> Neuron:
        layer, unit = named = Neuron.of(neuron)
        if not (0 <= layer < len(self.layers) and 0 <= unit < self.layers[layer].n_units):
            raise InspectorError(f"Neuron {layer}:{unit} does not exist: this recording has {describe(self.layers)}.")
        return named


def describe(layers: Sequence[Layer]) -> str:
    """The layers in words: `2 layers (0-1) of 512 units (0-511)`."""
    widths = [layer.n_units for layer in layers]
    if len(set(widths)) == 1:
        return f"{_counted(len(layers), 'layer')} of {_counted(widths[0], 'unit')}"
    each = [f"layer {index} of {_counted(width, 'unit')}" for index, width in enumerate(widths)]
    return f"{', '.join(each[:-1])} and {each[-1]}"


def _counted(n: int, noun: str) -> str:
    return f"1 {noun} (0)" if n == 1 else f"{n} {noun}s (0-{n - 1})"


def _check_documents(documents: Iterable[Document], n_chars: int) -> None:
    reached = 0
    for document in documents:
        if document.start != reached or document.stop < reached:
            raise ValueError(f"documents must follow one another without gaps; at character {reached} comes {document}")
        reached = document.stop
    if reached != n_chars:
        raise ValueError(f"documents end at character {reached}, the text at {n_chars}")
