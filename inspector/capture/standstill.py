"""A network's exact state as bytes and back, so that a reading can go on where it was cut off. Knows no files."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def to_bytes(tensors: Iterable[Tensor]) -> bytes:
    """Every bit of these tensors, one after the other."""
    return b"".join(tensor.contiguous().cpu().numpy().tobytes() for tensor in tensors)


def from_bytes(raw: bytes, like: Iterable[Tensor]) -> list[Tensor]:
    """What `to_bytes` was given, where `like` has the shapes, dtypes and devices; other lengths are a ValueError."""
    tensors, offset = [], 0
    for tensor in like:
        n_bytes = tensor.numel() * tensor.element_size()
        part = torch.frombuffer(bytearray(raw[offset : offset + n_bytes]), dtype=tensor.dtype)
        tensors.append(part.reshape(tensor.shape).to(tensor.device))
        offset += n_bytes
    if offset != len(raw):
        raise ValueError(f"a state of {len(raw)} bytes does not fit a network whose state has {offset}")
    return tensors
