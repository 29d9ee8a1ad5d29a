"""Images read at any places: one call for what `composed` makes of other operations."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

from autodiff.dtypes import int64
from autodiff.expr import Expr, build, inputs
from autodiff.native import error, ffi, hold, lib
from autodiff.ops.base import Op, OpNode
from autodiff.ops.create import arange
from autodiff.ops.declare import where
from autodiff.ops.elementwise import mul
from autodiff.ops.gather import gather
from autodiff.ops.halves import in_float32
from autodiff.ops.numbers import number_of
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.recompute import cotangents_of
from autodiff.ops.views import expand, reshape
from autodiff.tensor import Tensor, wrap

MODES = ("bilinear", "nearest", "bicubic")  # as the native library numbers them
PADDINGS = ("zeros", "border", "reflection")


class Grid:
    """How a grid is read."""

    __slots__ = ("corners", "mode", "numbers", "padding")

    def __init__(self, mode: str, padding: str, corners: bool) -> None:
        self.mode, self.padding, self.corners = mode, padding, corners
        self.numbers = (MODES.index(mode), PADDINGS.index(padding), corners)


GRIDS = {given: Grid(*given) for given in itertools.product(MODES, PADDINGS, (False, True))}


CUBIC = -0.75  # the slope of the cubic kernel


def cubic_near(t: Any, slope: float) -> Any:
    """The weight of what is t <= 1 away; tensors are taken too."""
    return ((slope + 2) * t - (slope + 3)) * t * t + 1


def cubic_far(t: Any, slope: float) -> Any:
    """The weight of what is 1 to 2 away."""
    return ((slope * t - 5 * slope) * t + 8 * slope) * t - 4 * slope


# ---- the pixels that make those at a place, in each dimension ----


def _limited(x: Expr, size: Expr) -> Expr:
    """Places moved into an image; where they were moved they have no gradient."""
    edge = where(x >= size - 1, size - 1, 0.0)
    return where((x > 0) & (x < size - 1), x, edge)


def _reflected(x: Expr, size: Expr, corners: bool) -> Expr:
    """Places mirrored at the edges, as often as it takes: at pixels' centres or at their sides."""
    low, span = (0.0, size - 1) if corners else (-0.5, size)
    safe = where(span == 0, 1.0, span)  # of one pixel, between whose centres nothing lies
    distance = build("abs", x - low)
    rest = build("fmod", distance, safe)
    turned = build("floor", distance / safe) % 2 == 1
    return where(span == 0, 0.0, _limited(where(turned, safe - rest, rest) + low, size))


@functools.cache
def _programs(mode: str, padding_mode: str, corners: bool) -> tuple[PointwiseOp, PointwiseOp]:
    """Of a dimension's places, its size, and which of the pixels around: the pixel, and its weight.

    Outside of the image, the pixel is 0 and its weight too.
    """
    x, size, k = inputs(3)
    one = build("ones_like", x)
    place = (x + 1) * ((size - 1) / 2) if corners else ((x + 1) * size - 1) / 2

    def moved(at: Expr) -> Expr:
        if padding_mode == "zeros":
            return at
        return _limited(at, size) if padding_mode == "border" else _reflected(at, size, corners)

    if mode == "nearest":
        at, weight = build("round", moved(place)), one
    else:
        place = moved(place) if mode == "bilinear" else place
        low = build("floor", place)
        t = place - low
        at = low + k
        if mode == "bilinear":
            weight = where(k == 0, 1 - t, t)
        else:
            far = where(k > 0, k - t, t - k)  # how far from the pixel
            beyond = cubic_far(far, CUBIC)
            weight = where((k == 0) | (k == 1), cubic_near(far, CUBIC), beyond)
            at = moved(at)
    inside = (at >= 0) & (at <= size - 1)
    return (
        PointwiseOp("grid_sample_pixel", where(inside, at, 0.0).to(int64), 3),
        PointwiseOp("grid_sample_weight", where(inside, one, 0.0) * weight, 3),
    )


_i, _n, _j = inputs(3)
_row_major = PointwiseOp("grid_sample_row_major", _i * _n + _j, 3)
_TAPS = {"nearest": (0, 1), "bilinear": (0, 2), "bicubic": (-1, 3)}
# Which pixels around, counted from the one at or before a place: for each dimension a dimension.
_AROUND = {
    (mode, nd): [reshape(arange(*ends), [-1] + [1] * (nd - d)) for d in range(nd)]
    for mode, ends in _TAPS.items()
    for nd in (2, 3)
}


@in_float32
def composed(input: Tensor, grid: Tensor, how: Grid) -> Tensor:
    """`sampled` of other operations."""
    (n, c, *image), places = input.shape, grid.shape[1:-1]
    nd, count = len(image), math.prod(places)
    pixel, weigh = _programs(how.mode, how.padding, how.corners)
    index, weight = None, None
    for d, (size, k) in enumerate(zip(image, _AROUND[how.mode, nd], strict=True)):
        x = reshape(grid.select(-1, nd - 1 - d), [n] + [1] * (nd + 1) + [count])
        given = (x, number_of(size), k)
        at, share = pixel.call(*given), weigh.call(*given)
        index = at if index is None else _row_major.call(index, given[1], at)
        weight = share if weight is None else mul.call(weight, share)
    assert index is not None
    assert weight is not None
    taps = index._p.numel // max(n * count, 1)
    found = gather(
        reshape(input, [n, c, math.prod(image)]),
        2,
        expand(reshape(index, [n, 1, taps * count]), [n, c, taps * count]),
    )
    total = reshape(found, [n, c, taps, count]) * reshape(weight, [n, 1, taps, count])
    total = total.sum(2) if taps > 1 else total
    return reshape(total, [n, c, *places])


# ---- in one call ----


def _rule(node: OpNode, g: Tensor, x: Tensor, grid: Tensor) -> Sequence[Tensor | None]:
    return cotangents_of(lambda x, grid: composed(x, grid, *node.args), node, g, (x, grid))


def _sweep(node: OpNode, g: Tensor) -> Sequence[Tensor | None]:
    out, wanted = ffi.new("ad_tensor *[2]"), node.needs(0) + 2 * node.needs(1)
    x, grid = node.unpack()
    if lib.ad_grid_sample_vjp(g._p, x, grid, *node.args[0].numbers, wanted, out):
        raise error("grid_sample", g._p, x, grid)
    return [wrap(hold(p)) if p else None for p in out]


_sampled = Op("grid_sample", lambda x, grid, how: lib.ad_grid_sample(x, grid, *how.numbers), _rule,
        saves=(0, 1), grad_name=lambda node: f"GridSampler{len(node.shape) - 2}DBackward0",
        sweep=_sweep)  # fmt: skip


def sampled(x: Tensor, grid: Tensor, how: Grid) -> Tensor:
    """Images (n, c, ...) at the places of a grid (n, ..., 2 or 3) of their dtype."""
    return _sampled.on((x, grid), how)
