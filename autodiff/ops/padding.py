"""Padding: more elements before and after those of a dimension, or, where negative, fewer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autodiff.ops.assign import copy_
from autodiff.ops.base import Op
from autodiff.ops.create import arange, full
from autodiff.ops.gather import index_along
from autodiff.ops.rearrange import made
from autodiff.ops.views import _slice
from autodiff.tensor import Tensor

__all__ = ["PLACES", "constant_pad", "place_pad"]

Pads = Sequence[tuple[int, int]]  # before and after, for each dimension


def _padded(x: Tensor, pads: Pads, value: float) -> Tensor:
    for d, (low, high) in enumerate(pads):
        if low < 0 or high < 0:
            x = _slice(x, d, max(0, -low), x.shape[d] + min(0, high), 1)
    grown = [(max(0, low), max(0, high)) for low, high in pads]
    if not any(map(any, grown)):
        return x
    shape = [low + size + high for size, (low, high) in zip(x.shape, grown, strict=True)]
    y = region = full(shape, value, dtype=x.dtype)
    for d, (low, _) in enumerate(grown):
        region = _slice(region, d, low, low + x.shape[d], 1)
    copy_(region, x)
    return y


constant_pad: Op = Op(
    "constant_pad_nd",
    made(_padded),
    lambda node, g: (constant_pad(g, [(-a, -b) for a, b in node.args[0]], 0),),
    shaped=False,
)


def _reflected(at: Tensor, size: int) -> Tensor:
    return (size - 1) - ((size - 1) - at.abs()).abs()


# Where in a dimension of a size the elements at positions, of which some are outside, are taken.
PLACES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "reflect": _reflected,
    "replicate": lambda at, size: at.clamp(0, size - 1),
    "circular": lambda at, size: at % size,
}


def place_pad(x: Tensor, pads: Pads, mode: str) -> Tensor:
    """The tensor with elements of its own around it."""
    for d, (low, high) in enumerate(pads):
        if mode == "circular":  # around what is left
            x = _slice(x, d, max(0, -low), x.shape[d] + min(0, high), 1)
            low, high = max(0, low), max(0, high)
        if low or high:
            size = x.shape[d]
            x = index_along(x, d, PLACES[mode](arange(-low, size + high), size))
    return x
