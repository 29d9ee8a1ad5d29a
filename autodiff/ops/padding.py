"""Padding: more elements before and after those of a dimension, or, where negative, fewer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from autodiff.dtypes import ALL
from autodiff.native import ffi
from autodiff.ops.assign import ZEROS
from autodiff.ops.base import Op, OpNode
from autodiff.ops.create import arange, full
from autodiff.ops.gather import Indices, _scatter
from autodiff.ops.join import cat
from autodiff.ops.rearrange import pieces
from autodiff.tensor import Tensor

__all__ = ["PLACES", "constant_pad", "place_pad"]

Pads = Sequence[tuple[int, int]]  # before and after, for each dimension
Piece = tuple[int, int, int]  # where it starts, the step to the next element, how many


def _kept(size: int, low: int, high: int) -> Piece:
    """What is left of a dimension where pads are negative."""
    return max(0, -low), 1, size + min(0, low) + min(0, high)


def _padded(p: Any, pads: Pads, value: Any) -> Any:
    plan: list[int] = []
    for size, (low, high) in zip(ffi.unpack(p.shape, p.ndim), pads, strict=True):
        if low or high:
            plan += (3, -1, 1, max(0, low), *_kept(size, low, high), -1, 1, max(0, high))
        else:
            plan += (1, 0, 1, size)
    zero = type(value) is int and value == 0
    given = ZEROS[p.dtype] if zero else full((), value, dtype=ALL[p.dtype])
    return pieces(p, plan, given._p)


constant_pad: Op = Op(
    "constant_pad_nd",
    _padded,
    lambda node, g: (constant_pad(g, [(-a, -b) for a, b in node.args[0]], 0),),
    shaped=False,
)


def _reflected(size: int, low: int, high: int) -> Iterator[Piece]:
    yield low, -1, max(0, low)
    yield _kept(size, low, high)
    yield size - 2, -1, max(0, high)


def _replicated(size: int, low: int, high: int) -> Iterator[Piece]:
    yield 0, 0, max(0, low)
    yield _kept(size, low, high)
    yield size - 1, 0, max(0, high)


def _wrapped(size: int, low: int, high: int) -> Iterator[Piece]:
    """Around what is left, which may be less than is wanted."""
    kept = first, _, n = _kept(size, low, high)
    before, after = (divmod(max(0, wanted), n or 1) for wanted in (low, high))
    yield first + n - before[1], 1, before[1]
    yield from [kept] * (before[0] + 1 + after[0])
    yield first, 1, after[1]


# The pieces that a padded dimension is made of.
PLACES: dict[str, Callable[[int, int, int], Iterator[Piece]]] = {
    "reflect": _reflected,
    "replicate": _replicated,
    "circular": _wrapped,
}


def _place_forward(p: Any, pads: Pads, mode: str) -> Any:
    plan: list[int] = []
    for size, (low, high) in zip(ffi.unpack(p.shape, p.ndim), pads, strict=True):
        found = list(PLACES[mode](size, low, high)) if low or high else [(0, 1, size)]
        plan.append(len(found))
        for piece in found:
            plan += piece
    return pieces(p, plan)


def _place_rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
    pads, mode = node.args
    for d, (low, high) in enumerate(pads):
        if not (low or high):
            continue
        found = PLACES[mode](node.shape[d], low, high)
        at = cat([full([n], start) if step == 0 else arange(start, start + step * n, step)
                  for start, step, n in found if n])  # fmt: skip
        g = _scatter(g, Indices([at], d), [*g.shape[:d], node.shape[d], *g.shape[d + 1 :]])
    return (g,)


_place: Op = Op("place_pad", _place_forward, _place_rule)


def place_pad(x: Tensor, pads: Pads, mode: str) -> Tensor:
    """The tensor with elements of its own around it."""
    return _place(x, pads, mode)
