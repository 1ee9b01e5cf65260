"""What prediction costs without a network: n-grams and a compressor, on the same split as the network's own loss.

    train symbols ──► counted n-grams ──► interpolated probabilities of the held-out symbols ──► nats per character
    train + held-out bytes ──► xz ──► what the held-out bytes add, in nats per character

Owns: counting and compressing. Knows nothing about: networks, recordings, concepts.
"""

from __future__ import annotations

import lzma
import math

import numpy as np

LENGTHS = range(1, 9)  # an n-gram of length 8 looks at seven characters and predicts the eighth
_KEY_BITS = 63


def ngram_nats(train: np.ndarray, held_out: np.ndarray, n_symbols: int) -> dict[int, float]:
    """Cross-entropy of n-gram models of growing length, in nats per character.

    >>> ngram_nats(np.array([1, 2] * 50), np.array([1, 2, 1]), 3)[2] < 0.1
    True

    train, held_out : int64 (n_chars,), symbols from 0 to n_symbols - 1, texts end to end.

    Each length is interpolated with the next shorter one, down to all symbols being equally likely, by Witten and
    Bell's weights (1991, "The zero-frequency problem", method C): a context seen n times with m different
    continuations trusts its own counts by n / (n + m). Returns {length: nats} for every length whose n-grams fit into
    63 bits: 8 for up to 234 symbols. An empty held-out text gives nan.
    """
    longest = min(LENGTHS[-1], int(_KEY_BITS / math.log2(max(2, n_symbols))))
    chance = np.full(len(held_out), 1 / n_symbols)
    nats = {}
    for length in range(1, longest + 1):
        if min(len(train), len(held_out)) >= length:
            later = chance[length - 1 :]
            chance[length - 1 :] = _refined(_keys(train, length, n_symbols), _keys(held_out, length, n_symbols), later)
        nats[length] = float(-np.log(chance).mean()) if len(chance) else math.nan
    return nats


def xz_nats(train: str, held_out: str) -> float:
    """What `held_out` adds to the size of `train` compressed by xz -9e, in nats per character; nan without text."""
    if not held_out:
        return math.nan
    alone, both = (len(_compressed(text)) for text in (train, train + held_out))
    return 8 * (both - alone) * math.log(2) / len(held_out)


def _compressed(text: str) -> bytes:
    return lzma.compress(text.encode("utf-8", "surrogatepass"), preset=9 | lzma.PRESET_EXTREME)


def _keys(symbols: np.ndarray, length: int, n_symbols: int) -> np.ndarray:
    """Every n-gram as a number whose lowest digit is its last symbol: (2, n_chars - length + 1), context and n-gram."""
    n_grams = len(symbols) - length + 1
    context = np.zeros(n_grams, np.int64)
    for place in range(length - 1):
        context = context * n_symbols + symbols[place : place + n_grams]
    return np.stack([context, context * n_symbols + symbols[length - 1 :]])


def _refined(train: np.ndarray, held_out: np.ndarray, shorter: np.ndarray) -> np.ndarray:
    """Probabilities (n,) of the held-out n-grams, from counts and what the next shorter n-gram believed."""
    grams, first, counts = np.unique(train[1], return_index=True, return_counts=True)
    contexts, starts = np.unique(train[0][first], return_index=True)  # sorted n-grams have sorted contexts
    n_seen, n_kinds = np.add.reduceat(counts, starts), np.diff(np.append(starts, len(grams)))
    seen = _looked_up(grams, counts, held_out[1])
    total, kinds = (_looked_up(contexts, table, held_out[0]) for table in (n_seen, n_kinds))
    return np.where(total > 0, (seen + kinds * shorter) / np.maximum(total + kinds, 1), shorter)


def _looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values by sorted key; 0 for a key that is not there."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0)
