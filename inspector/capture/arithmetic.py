"""How torch is asked to multiply: with which kernel, how exactly, and into what memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear


def is_plain(values: Tensor) -> bool:
    """Whether they are float32 on a CPU."""
    return values.device.type == "cpu" and values.dtype == torch.float32


def put(values: Tensor, into: Tensor) -> None:
    """Copy them; by this thread alone where it can: torch's own threads spin for milliseconds after each copy."""
    if is_plain(values):
        into.numpy()[...] = values.numpy()
    else:
        into.copy_(values)


def as_flat(values: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Values (steps, sequences, units) as float32 numbers in one row, and how many of them lie between two steps and
    between two sequences. Copied only where units do not lie side by side.
    """
    rows = values if is_plain(values) and values.stride(2) == 1 else values.float().cpu().contiguous()
    strides = np.array(rows.stride()[:2])
    n = int(strides @ (np.array(rows.shape[:2]) - 1)) + rows.shape[2]
    return rows.as_strided((n,), (1,)).numpy(), strides


def fresh(*shape: int, like: Tensor) -> Tensor:
    """Memory for large results. What numpy gets from the system comes in large pages, where there are such: the first
    touch of each small one costs as much as the numbers on it.
    """
    return torch.from_numpy(np.empty(shape, {torch.float64: np.float64}.get(like.dtype, np.float32)))


def product(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`linear` without gradients, by oneDNN where torch has it: twice as fast as MKL on an AMD with AVX-512."""
    if is_plain(inputs) and _has_onednn():
        answer: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
        return answer
    return linear(inputs, weight, bias)


@cache
def _has_onednn() -> bool:
    one = torch.ones(1, 1)
    try:
        weight = torch.ops.mkldnn._reorder_linear_weight(one, 1)
        return bool(torch.ops.mkldnn._linear_pointwise(one, weight, one[0], "none", [], "") == 2)
    except (AttributeError, RuntimeError):
        return False


@contextmanager
def all_bits() -> Iterator[None]:
    """Neither cuDNN nor cuBLAS may round factors to TF32's eleven bits, whatever the caller lets them do.

    Nor does cuDNN warn that the weights of one layer out of a stack lie apart: it brings them together as it runs.
    """
    cudnn: Any = torch.backends.cudnn
    cublas: Any = torch.backends.cuda.matmul
    switches = [(cudnn.rnn, "fp32_precision"), (cublas, "fp32_precision")] if hasattr(cudnn, "rnn") else []
    switches = switches or [(cudnn, "allow_tf32"), (cublas, "allow_tf32")]  # torch before 2.9
    before = [getattr(place, name) for place, name in switches]
    try:
        for place, name in switches:
            setattr(place, name, "ieee" if name == "fp32_precision" else False)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")
            yield
    finally:
        for (place, name), value in zip(switches, before, strict=True):
            setattr(place, name, value)


def precision() -> tuple[str, ...]:
    """With how many bits torch may multiply float32 on a CPU, by all of its switches: what a proof depends on."""
    mkldnn: Any = torch.backends.mkldnn
    if not hasattr(mkldnn, "rnn"):  # torch before 2.9
        return (torch.get_float32_matmul_precision(),)
    return tuple(place.fp32_precision for place in (torch.backends, mkldnn.matmul, mkldnn.rnn))
