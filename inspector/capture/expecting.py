"""Log probabilities of the symbol that follows, out of hidden states: the output layer and a softmax, compiled."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.capture.panels import filled_up, in_panels, multiply
from inspector.compiled import compiled, fast

Array = NDArray[Any]

_AT_ONCE = 48  # rows, whose logits stay in the nearest cache


def head_panels(weight: Array, bias: Array) -> tuple[Array, Array]:
    """An output layer (symbols, units), (symbols,) as `expect` takes it."""
    return in_panels(np.ascontiguousarray(weight, np.float32)[None]), filled_up(bias.astype(np.float32)[None])


@fast
def _log_softmax(logits: Array, out: Array) -> None:
    highest = logits[0]
    for i in range(len(out)):
        highest = max(highest, logits[i])
    total = np.float32(0)
    for i in range(len(out)):
        total += np.exp(logits[i] - highest)
    shift = highest + np.log(total)
    for i in range(len(out)):
        out[i] = logits[i] - shift


@compiled
def expect(panels: Array, bias: Array, hidden: Array, stride: int, out: Array, first: int, last: int) -> None:
    """out (rows, symbols), float32, filled for the rows first..last.

    panels, bias : as `head_panels` has them. hidden : numbers, float32, of which a row begins every `stride`.
    """
    logits = np.empty((_AT_ONCE, *bias.shape), np.float32)
    for begin in range(first, last, _AT_ONCE):
        n = min(_AT_ONCE, last - begin)
        multiply(panels, hidden, begin * stride, stride, n, bias, logits, 0, panels.shape[1], True)
        for row in range(n):
            _log_softmax(logits[row, 0], out[begin + row])
