"""Convolutions: three maps, linear in either operand, whose vjps are each other.

Over images x (n, groups c, space), weights w (groups m, c, taps) and results y (n, groups m,
space): a convolution makes y from x and w, its adjoint in x makes x from y and w, and its adjoint
in w makes w from y and x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff.native import NULL, lib
from autodiff.ops.base import Op, OpNode
from autodiff.tensor import Tensor


class Geometry:
    """How windows of `kernel` elements of an `image` lie on a `result`: sizes of space each.

    The padding is that before the first element: what is missing after the last is zeros too.
    """

    __slots__ = ("groups", "image", "kernel", "result", "steps")

    def __init__(
        self,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
        image: Sequence[int],
        kernel: Sequence[int],
        result: Sequence[int],
    ) -> None:
        self.steps = (*stride, *padding, *dilation)
        self.groups = groups
        self.image, self.kernel, self.result = tuple(image), tuple(kernel), tuple(result)


def _forward(kind: int, target: str) -> Callable[..., Any]:
    def forward(a: Any, b: Any, *rest: Any) -> Any:
        g = rest[-1]
        bias = rest[0] if len(rest) == 2 else NULL
        sizes = getattr(g, target)
        return lib.ad_conv(kind, a, b, bias, g.groups, len(sizes), g.steps + sizes)

    return forward


def _rule(first: str, second: str) -> Callable[..., Sequence[Tensor | None]]:
    """The cotangents of a and b: from g and b by `first`, from g and a by `second`."""

    def rule(node: OpNode, g: Tensor, a: Tensor | None, b: Tensor | None) -> list[Tensor | None]:
        geometry = node.args[0]
        edges = node.edges
        found: list[Tensor | None] = [
            None if b is None else _VJPS[first](g, b, geometry),
            None if a is None else _VJPS[second](g, a, geometry),
        ]
        if len(edges) == 3:
            dims = (0, *range(2, g.ndim))
            found.append(None if edges[2] is None else g.sum(dims))
        return found

    return rule


def _op(name: str, kind: int, target: str, first: str, second: str) -> Op:
    grad_name = f"Convolution{'Backward' * (kind == lib.AD_CONV_WEIGHT)}Backward0"
    return Op(name, _forward(kind, target), _rule(first, second), bilinear=True, shaped=False,
            grad_name=grad_name)  # fmt: skip


_convolution = _op("convolution", lib.AD_CONV_FORWARD, "result", "image of", "weight of")
_transposed = _op("conv_transpose", lib.AD_CONV_TRANSPOSED, "image", "result of", "weight from")
_weight = _op("conv_weight", lib.AD_CONV_WEIGHT, "kernel", "result by", "image from")
# Each is given a cotangent g, and the operand that is not asked for.
_VJPS: dict[str, Callable[[Tensor, Tensor, Geometry], Tensor]] = {
    "image of": lambda g, w, geometry: _transposed.on((g, w), geometry),
    "weight of": lambda g, x, geometry: _weight.on((g, x), geometry),
    "result of": lambda g, w, geometry: _convolution.on((g, w), geometry),
    "weight from": lambda g, y, geometry: _weight.on((y, g), geometry),
    "result by": lambda g, x, geometry: _convolution.on((x, g), geometry),
    "image from": lambda g, y, geometry: _transposed.on((y, g), geometry),
}


def convolve(x: Tensor, w: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """y = the windows of x times w, plus bias (groups m)."""
    return _convolution.on((x, w) if bias is None else (x, w, bias), geometry)


def spread(y: Tensor, w: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """x = y times w added up where the windows lie: the adjoint of `convolve` in x, plus bias."""
    return _transposed.on((y, w) if bias is None else (y, w, bias), geometry)
