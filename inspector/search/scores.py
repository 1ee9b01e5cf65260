"""The loops that make scores: out of counts by bin, or out of values in their order. Arrays in, arrays filled.

counts by bin ──judge_choice, judge_score──► polarity, threshold, AUROC, F1, Matthews, average precision, within 1e-3
values ──put_in_order──► order ──judge_in_order──► AUROC and average precision as they are
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.compiled import compiled, fast
from inspector.search.counting import N_BINS
from inspector.search.kernels import in_order

_N_DIGITS, _DIGIT_BITS = 3, 11  # of a key of 32 bits

Array = NDArray[Any]


@compiled
def tails(t: Array, freedom: Array) -> Array:
    """P(T > t) of Student's distribution, (n,); t may be -inf. Within a fifth of the truth, in the far tail too.

    Wallace, "Bounds on normal approximations to Student's and the chi-square distributions" (1959).
    """
    out = np.ones(len(t))
    for i in range(len(t)):
        if t[i] > -math.inf:
            f = freedom[i]
            z = (8 * f + 1) / (8 * f + 3) * math.sqrt(f * math.log1p(t[i] * t[i] / f))
            out[i] = 0.5 * math.erfc(math.copysign(z, t[i]) / math.sqrt(2.0))
    return out


@compiled
def judge_choice(positive: Array, valid: Array, out: Array) -> None:
    """out (traces, 3) = polarity, AUROC in that direction and the bin of best F1, from counts (traces, N_BINS)."""
    for u in range(len(positive)):
        area = _auroc(positive[u], valid[u])
        polarity = 1 if area >= 0.5 else -1
        n_positive, found, yes = np.int64(positive[u].sum()), np.int64(0), np.int64(0)
        best, of, at = np.int64(-1), np.int64(1), 0
        for i in range(N_BINS):
            b = N_BINS - 1 - i if polarity > 0 else i
            found += np.int64(positive[u, b])
            yes += np.int64(valid[u, b])
            if positive[u, b] > 0 and found * of >= best * (yes + n_positive):  # F1 is 2 found / (yes + n_positive)
                best, of, at = found, yes + n_positive, b
        out[u, 0], out[u, 1], out[u, 2] = polarity, 0.5 + polarity * (area - 0.5), at


@compiled
def judge_score(positive: Array, valid: Array, choice: Array, tied: Array, head: Array, out: Array) -> None:
    """out (traces, 4) = AUROC, F1, Matthews' correlation and average precision, as the choice said.

    The values of a bin are taken to lie evenly, unless they are `tied` (traces, N_BINS): no threshold parts those.
    head : (traces, 2): of how many bins, from the end where it holds, the sum of precisions is known, and that sum.
    """
    for u in range(len(positive)):
        polarity, border = choice[u, 0], int(choice[u, 2])
        n, p = float(valid[u].sum()), float(positive[u].sum())
        found, yes, precision = 0.0, 0.0, head[u, 1]
        f1, matthews = 0.0, 0.0
        for i in range(N_BINS):
            b = N_BINS - 1 - i if polarity > 0 else i
            more, wider = float(positive[u, b]), float(valid[u, b])
            if more > 0 and i >= head[u, 0]:
                precision += (
                    more * (found + more) / (yes + wider) if tied[u, b] else _precisions(found, yes, more, wider)
                )
            found, yes = found + more, yes + wider
            if b == border:
                f1 = 2 * found / (yes + p)
                spread = np.sqrt(yes * (n - yes)) * np.sqrt(p * (n - p))
                matthews = (n * found - yes * p) / spread if spread > 0 else 0.0
        out[u, 0] = 0.5 + polarity * (_auroc(positive[u], valid[u]) - 0.5)
        out[u, 1], out[u, 2], out[u, 3] = f1, matthews, precision / p


@fast
def _precisions(found: float, yes: float, more: float, wider: float) -> Any:
    """The sum of the precisions at each positive of a bin, where positives lie evenly among its values.

    At the j-th it is (found + j) / (yes + j / share). Summed over j by the integral from 1/2 to more + 1/2.
    """
    share = (more + 1) / (wider + 1)
    begin = yes * share + 0.5
    z = more / (2 * begin + more)
    if z < 0.1:  # log((begin + more) / begin), of which nothing is lost here and which takes less
        growth = 2 * z * (1 + z * z * (1 / 3 + z * z * (1 / 5 + z * z / 7)))
    else:
        growth = math.log((begin + more) / begin)
    return share * (more + (found - yes * share) * growth)


@compiled
def _auroc(positive: Array, valid: Array) -> float:
    below, won, n_positive = (
        np.int64(0),
        np.int64(0),
        np.int64(0),
    )  # won: twice as many as there are pairs in the right order
    for b in range(N_BINS):
        more = np.int64(positive[b])
        negative = np.int64(valid[b]) - more
        won += more * (2 * below + negative)
        below += negative
        n_positive += more
    return won / (2.0 * n_positive * below)


@compiled
def correlate_ranks(sums: Array, valid: Array, total: float, squares: float, out: Array) -> None:
    """out (traces,) = Spearman's correlation with a graded label; 0 where either is constant.

    sums, valid : (traces, N_BINS) float32, the label's ranks summed up by bin, and how many they are; of any strides.
    total, squares : of the same ranks, and of their squares, exactly: the bins' sums are rounded.
    """
    for u in range(len(sums)):
        n = 0.0
        for b in range(N_BINS):
            n += valid[u, b]
        mean, below, products, spread = total / n, 0.0, 0.0, 0.0
        for b in range(N_BINS):
            many = float(valid[u, b])
            rank = (below + many / 2) / n - 0.5  # of the bin's middle, centred
            below += many
            products += rank * (sums[u, b] - many * mean)
            spread += many * rank * rank
        spread = math.sqrt(spread * max(squares - n * mean * mean, 0.0))
        out[u] = products / spread if spread > 0 else 0.0


@compiled
def put_in_order(values: Array, order: Array, room: Array) -> None:
    """order (n,) uint64, ascending = numbers that sort as values (n,) float32 do; the lower half says which it is.

    Digit by digit, the lowest first, of three: numpy's own sort takes several times as long on some processors.
    room : as much again, to work in.
    """
    ends = np.zeros((_N_DIGITS, 1 << _DIGIT_BITS), np.int64)
    for t in range(len(values)):
        for digit in range(_N_DIGITS):
            ends[digit, _digit(_key(values[t]), digit)] += 1
    for digit in range(_N_DIGITS):
        before = 0
        for i in range(ends.shape[1]):
            many = ends[digit, i]
            ends[digit, i] = before  # where the next number with this digit belongs
            before += many
    for t in range(len(values)):
        key = _key(values[t])
        _place((key << np.uint64(32)) | np.uint64(t), _digit(key, 0), ends[0], order)
    for number in order:
        _place(number, _digit(number >> np.uint64(32), 1), ends[1], room)
    for number in room:
        _place(number, _digit(number >> np.uint64(32), 2), ends[2], order)


@compiled
def _key(value: np.float32) -> Any:
    """32 bits of a uint64."""
    bits = np.float32(value + np.float32(0)).view(np.int32)  # of -0, those of 0
    return np.uint64(np.int64(in_order(bits)) + 2**31)


@compiled
def _digit(key: np.uint64, digit: int) -> Any:
    return (key >> np.uint64(digit * _DIGIT_BITS)) & np.uint64((1 << _DIGIT_BITS) - 1)


@compiled
def _place(number: np.uint64, digit: np.uint64, ends: Array, out: Array) -> None:
    out[ends[digit]] = number
    ends[digit] += 1


@compiled
def judge_in_order(order: Array, marks: Array, upwards: bool) -> tuple[float, float]:
    """AUROC and average precision of values in ascending `order`, as `put_in_order` has it; equal values are one step.

    marks : (n,) uint8: 0 of a value that does not count, 1 of one that does, 3 of a positive. upwards : high says yes.
    """
    n, last = len(order), np.uint64(0)
    found, yes, lost, precision = 0, 0, 0, 0.0  # above this step; lost: twice as many as there are wrong pairs
    more, wider = 0, 0  # at this step
    for i in range(n + 1):
        key = order[n - 1 - i if upwards else i] if i < n else np.uint64(0)
        if i == n or key >> np.uint64(32) != last:
            lost += more * (2 * (yes - found) + wider - more)
            found, yes = found + more, yes + wider
            if more:
                precision += more * (found / yes)
            more, wider, last = 0, 0, key >> np.uint64(32)
        if i < n:
            mark = marks[key & np.uint64(2**32 - 1)]
            wider += mark & 1
            more += mark >> 1
    return 1 - lost / (2.0 * found * (yes - found)), precision / found


@compiled
def rank_in_order(order: Array, valid: Array, ranks: Array) -> None:
    """ranks (n,) = the mid-rank of every valid value; `order` as above, valid (n,) bool."""
    begin, below = 0, 0
    for i in range(len(order) + 1):
        if i < len(order) and order[i] >> np.uint64(32) == order[begin] >> np.uint64(32):
            continue
        n = 0
        for k in range(begin, i):
            n += valid[order[k] & np.uint64(2**32 - 1)]
        for k in range(begin, i):
            ranks[order[k] & np.uint64(2**32 - 1)] = below + n / 2
        begin, below = i, below + n


@compiled
def correlation(x: Array, y: Array, valid: Array) -> float:
    """Pearson's of the valid ones, in float64; 0 where either is constant. All (n,)."""
    n, of_x, of_y, first = 0, 0.0, 0.0, np.argmax(valid)
    varies_x, varies_y = False, False
    for t in range(len(valid)):
        if valid[t]:
            n, of_x, of_y = n + 1, of_x + x[t], of_y + y[t]
            varies_x, varies_y = varies_x or x[t] != x[first], varies_y or y[t] != y[first]
    if not (varies_x and varies_y):
        return 0.0
    squares_x, squares_y, products = 0.0, 0.0, 0.0
    for t in range(len(valid)):
        if valid[t]:
            off_x, off_y = x[t] - of_x / n, y[t] - of_y / n
            squares_x, squares_y = squares_x + off_x * off_x, squares_y + off_y * off_y
            products += off_x * off_y
    return products / (math.sqrt(squares_x) * math.sqrt(squares_y))
