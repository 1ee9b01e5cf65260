"""What one stretch of characters looks like in memory and as bytes. Knows nothing of folders, texts or networks.

A stretch is at most 4096 consecutive characters. It holds one block per layer and signal, one for the loss, and two for
the guesses where there are any, each `[rows, chars]`. As bytes the blocks follow one another, and every row carries its
checksum:

    block = row row row ...        row = crc32 (4 bytes) | values of one neuron, character after character

So one neuron is one short read, all neurons of a layer are one long read, and either way each row is checked.
A recording of snapshots has one block of states `[snapshots, bytes]` in place of those of its layers and signals.
A checksum starts from a seed made of recording, stretch, block and row: a sound row in the wrong place fails too.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.recording.coding import SCALE_BYTES, STORED_AS, encoded
from inspector.recording.words import Damaged, Layer

STRETCH = 4096
TOP_GUESSES = 10

Array = npt.NDArray[Any]
Key = tuple[int, str]
"""Names a block: (layer, signal), or one of the four below, which belong to no layer."""
LOSS: Key = (-1, "loss")
GUESS_IDS: Key = (-1, "guess_ids")
GUESS_PROBABILITIES: Key = (-1, "guess_probabilities")
STATES: Key = (-1, "states")


class Snapshots(NamedTuple):
    """States that are kept in place of values: one before each character whose position is a multiple of `every`."""

    every: int  # divides STRETCH
    n_bytes: int  # of one state


@cache
def _row(dtype: np.dtype[Any], n_columns: int) -> np.dtype[Any]:
    """A checksum and so many columns; numpy takes longer to put that together than to read one row of them."""
    return np.dtype([("crc", "<u4"), ("values", dtype, (n_columns,))])


@dataclass(frozen=True)
class Block:
    """One block: its place in the order of blocks, and how its values are stored.

    size : how many rows of one value per character; with `every`, how many values in a row for so many characters.
    """

    number: int
    size: int
    dtype: np.dtype[Any]
    every: int | None = None

    @property
    def is_scaled(self) -> bool:
        """Whether the values of a row come behind their scale (see `coding`)."""
        return self.dtype == np.int8

    def shape(self, n_chars: int) -> tuple[int, int]:
        """Rows and columns over a stretch of `n_chars`."""
        return (self.size, n_chars) if self.every is None else (-(-n_chars // self.every), self.size)

    def row(self, n_columns: int) -> np.dtype[Any]:
        """The bytes of one row: a checksum, then the values as they are stored."""
        return _row(self.dtype, n_columns + self.is_scaled * SCALE_BYTES)

    def n_bytes(self, n_chars: int) -> int:
        n_rows, n_columns = self.shape(n_chars)
        return n_rows * self.row(n_columns).itemsize


class Layout:
    """Which blocks a stretch has, in their order.

    layers, dtype : as in the recording.
    n_symbols : size of the network's vocabulary; 0 leaves out the guesses.
    snapshots : kept in place of the layers' values, where given.
    """

    def __init__(self, layers: Sequence[Layer], dtype: str, n_symbols: int, snapshots: Snapshots | None = None) -> None:
        shapes: list[tuple[Key, int, str]] = [
            ((index, signal), layer.n_units, STORED_AS[dtype])
            for index, layer in enumerate(() if snapshots else layers)
            for signal in layer.signals
        ]
        shapes.append((LOSS, 1, "<f4"))
        self.n_guesses = min(TOP_GUESSES, n_symbols)
        if self.n_guesses:
            shapes += [(GUESS_IDS, self.n_guesses, "<i4"), (GUESS_PROBABILITIES, self.n_guesses, "<f4")]
        self.blocks = {
            key: Block(number, n_rows, np.dtype(stored)) for number, (key, n_rows, stored) in enumerate(shapes)
        }
        if snapshots:
            self.blocks[STATES] = Block(len(shapes), snapshots.n_bytes, np.dtype("|u1"), snapshots.every)

    def empty(self, n_chars: int) -> dict[Key, Array]:
        """Room for one stretch, to be filled."""
        return {
            key: np.empty(block.shape(n_chars), np.float32 if block.is_scaled else block.dtype)
            for key, block in self.blocks.items()
        }

    def stored(self, key: Key, values: Array) -> Array:
        """A block that is filled as it is stored; a FloatingPointError where its dtype cannot hold it."""
        return encoded(values) if self.blocks[key].is_scaled else values

    def offset(self, key: Key, n_chars: int) -> int:
        """Where a block begins in a stretch of `n_chars`."""
        before = self.blocks[key].number
        return sum(block.n_bytes(n_chars) for block in self.blocks.values() if block.number < before)

    def n_bytes(self, n_chars: int) -> int:
        return sum(block.n_bytes(n_chars) for block in self.blocks.values())


def sealed(block: Block, values: Array, seed: int) -> Array:
    """Rows with their checksums, as they go to disk."""
    rows = np.empty(len(values), block.row(values.shape[1] - block.is_scaled * SCALE_BYTES))
    rows["values"] = values
    start = _start(block, seed)
    rows["crc"] = [zlib.crc32(row, start + number & 0xFFFFFFFF) for number, row in enumerate(rows["values"])]
    return rows


def opened(block: Block, raw: bytes, first_row: int, n_columns: int, seed: int) -> Array:
    """Consecutive rows as `sealed` made them, read-only; `Damaged` where one is not as written."""
    rows = np.frombuffer(raw, block.row(n_columns))
    start = _start(block, seed) + first_row
    found = [zlib.crc32(row, start + number & 0xFFFFFFFF) for number, row in enumerate(rows["values"])]
    if found != rows["crc"].tolist():
        raise Damaged("does not match its checksum")
    return rows


def checksum_of(blocks: Iterable[Array]) -> int:
    """One checksum for a whole stretch, made of those of its rows."""
    checksum = 0
    for rows in blocks:
        checksum = zlib.crc32(rows["crc"].tobytes(), checksum)
    return checksum


def seed_of(recording_id: str, stretch: int) -> int:
    return zlib.crc32(f"{recording_id} {stretch}".encode())


def _start(block: Block, seed: int) -> int:
    return zlib.crc32(block.number.to_bytes(4, "little"), seed)
