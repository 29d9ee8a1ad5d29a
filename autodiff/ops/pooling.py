"""The greatest elements of windows, and their sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autodiff.native import NULL, error, ffi, hold, lib
from autodiff.node import mode
from autodiff.ops.base import Op, OpNode
from autodiff.ops.gather import Indices, _add_along
from autodiff.ops.views import reshape
from autodiff.tensor import Tensor, live_node, own, wrap

Windows = Sequence[tuple[int, int]]  # where each starts and ends


class Plan:
    """Windows over the last dimensions of images, for `greatest`."""

    __slots__ = ("n", "nd", "numbers", "title")

    def __init__(self, title: str, windows: Sequence[Windows], dilation: Sequence[int]) -> None:
        self.nd = len(windows)
        self.title = title
        plan = [self.nd, *dilation, *map(len, windows)]
        for each in windows:
            plan += [start for start, _ in each] + [end for _, end in each]
        self.n = len(plan)
        self.numbers = ffi.new("int64_t[]", plan)


def greatest(x: Tensor, plan: Plan, where: bool) -> Any:
    """The greatest element of each window over the last dimensions of x; with `where` its place,
    that in row-major order: of the first of equal elements, or the last nan.
    """
    edge = live_node(x) if mode.grad else None
    if edge is None and not where:  # half the work
        return own(lib.ad_max_pool(x._p, plan.n, plan.numbers, NULL), "max_pool", x._p)
    out = ffi.new("ad_tensor **")
    y = own(lib.ad_max_pool(x._p, plan.n, plan.numbers, out), "max_pool", x._p)
    places = wrap(hold(out[0]))
    if edge is not None:
        indices = Indices([places], x.ndim - plan.nd)
        y._node = _greatest.record((x,), (edge,), (indices, plan.title), y._p)
    return (y, places) if where else y


def _flat(x: Tensor, at: int) -> Tensor:
    """x with the dimensions from `at` on as one."""
    return reshape(x, [*x.shape[:at], math.prod(x.shape[at:])])


def _greatest_rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
    places, shape = node.args[0], node.shape
    at = places.first
    flat = Indices([_flat(wrap(places.checked()[0]), at)], at)
    whole = [*shape[:at], math.prod(shape[at:])]
    return (reshape(_add_along(_flat(g, at), flat, whole), shape),)


def _greatest_sweep(node: OpNode, g: Tensor) -> tuple[Tensor]:
    places, shape = node.args[0], node.shape
    at = places.first
    p = lib.ad_add_at(g._p, places.checked()[0], at, len(shape) - at, shape[at:])
    return (own(p, "max_pool", g._p),)


_greatest: Op = Op(
    "max_pool",
    lambda *_: None,
    _greatest_rule,
    sweep=_greatest_sweep,
    grad_name=lambda node: str(node.args[1]),
)


# ---- sums ----


class Sums:
    """Windows over the last dimensions of images, for `windows`: the numbers of its native plan."""

    __slots__ = ("n", "numbers", "title", "weights")

    def __init__(
        self,
        title: str,
        axes: Sequence[Sequence[int]],
        divisor: tuple[int, int] = (0, 0),
        places: Sequence[int] = (),
        weights: Tensor | None = None,
    ) -> None:
        self.title = title
        numbers = [len(axes), *divisor]
        for axis in axes:
            numbers += axis
        self.n = len(numbers) + len(places)
        self.numbers = ffi.new("int64_t[]", [*numbers, *places])
        self.weights = NULL if weights is None else weights._p


windows: Op = Op("windows", lambda p, sums: lib.ad_windows(p, sums.weights, sums.n, sums.numbers),
        lambda node, g: (_spread(g, *node.args),), shaped=False,
        grad_name=lambda node: str(node.args[0].title))  # fmt: skip
"""The sums over windows of the last dimensions of x, weighted or divided as Sums tell."""
_spread: Op = Op("windows_vjp",
        lambda p, sums: lib.ad_windows_vjp(p, sums.weights, sums.n, sums.numbers),
        lambda node, g: (windows(g, *node.args),), shaped=False)  # fmt: skip


def summed(x: Tensor, sums: Sums) -> Tensor:
    """`windows`, in fewer steps."""
    p = lib.ad_windows(x._p, sums.weights, sums.n, sums.numbers)
    if not p:
        raise error(windows.public, x._p)
    return windows.result(x, p, (sums,))
