"""Pooling: the greatest elements of windows, and their sums, as convolutions with ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autodiff.descriptor import fresh
from autodiff.native import NULL, ffi, lib
from autodiff.node import mode
from autodiff.ops.base import Op, OpNode
from autodiff.ops.convolution import Geometry
from autodiff.ops.gather import Indices, _add_along
from autodiff.ops.views import reshape
from autodiff.tensor import Tensor, live_node, own, wrap

__all__ = ["Plan", "Windows", "greatest", "sums"]

Windows = Sequence[tuple[int, int]]  # where each starts and ends


class Plan:
    """Windows over the last dimensions of images, for `greatest`."""

    __slots__ = ("nd", "numbers")

    def __init__(self, windows: Sequence[Windows], dilation: Sequence[int]) -> None:
        self.nd = len(windows)
        plan = [self.nd, *dilation, *map(len, windows)]
        for each in windows:
            plan += [start for start, _ in each] + [end for _, end in each]
        self.numbers = ffi.new("int64_t[]", plan)


def greatest(x: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
    """The greatest element of each window over the last dimensions of x, and where it is in them.

    The place is that in row-major order: of the first of equal elements, or the last nan.
    """
    out = ffi.new("ad_tensor **")
    y = own(lib.ad_max_pool(x._p, len(plan.numbers), plan.numbers, out), "max_pool", x._p)
    places = wrap(fresh(out[0], "max_pool"))
    if mode.grad and (edge := live_node(x)) is not None:
        at = x.ndim - plan.nd
        indices = Indices([_flat(places, at)], at)
        y._node = _greatest.record((x,), (edge,), (indices,), y._p)
    return y, places


def _flat(x: Tensor, at: int) -> Tensor:
    """x with the dimensions from `at` on as one."""
    return reshape(x, [*x.shape[:at], math.prod(x.shape[at:])])


def _greatest_rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
    (indices,) = node.args
    at, shape = indices.first, node.shape
    whole = [*shape[:at], math.prod(shape[at:])]
    return (reshape(_add_along(_flat(g, at), indices, whole), shape),)


_greatest: Op = Op(
    "max_pool", lambda *_: None, _greatest_rule, grad_name="MaxPool2DWithIndicesBackward0"
)


# ---- sums ----


def _convolved(kind: int, p: Any, image: Sequence[int], result: Sequence[int], g: Geometry) -> Any:
    """Each image with a kernel of ones."""
    nd = len(image)
    lead = ffi.unpack(p.shape, p.ndim - nd)
    x = p if p.contiguous else fresh(lib.ad_contiguous(p, p.dtype), "sum_pool", p)
    x = fresh(lib.ad_view(x, nd + 2, [math.prod(lead), 1, *image]), "sum_pool", p)
    ones = fresh(lib.ad_full_f64(p.dtype, nd + 2, [1, 1, *g.kernel], 1.0), "sum_pool")
    y = lib.ad_conv(kind, x, ones, NULL, 1, nd, g.steps + tuple(result))
    return lib.ad_view(fresh(y, "sum_pool", p), len(lead) + nd, [*lead, *result])


sums: Op = Op(
    "sum_pool",
    lambda p, g: _convolved(lib.AD_CONV_FORWARD, p, g.image, g.result, g),
    lambda node, g: (_spread(g, *node.args),),
    shaped=False,
)
"""The sums over windows of the last dimensions of x, as a Geometry tells: zeros are around x."""
_spread: Op = Op(
    "sum_pool_image",
    lambda p, g: _convolved(lib.AD_CONV_TRANSPOSED, p, g.result, g.image, g),
    lambda node, g: (sums(g, *node.args),),
    shaped=False,
)
