"""In-place copies and fills."""

from __future__ import annotations

from typing import Any

from autodiff import dtypes
from autodiff.native import describe, lib, take_failure
from autodiff.node import mode
from autodiff.ops.base import Op, OpNode, is_told_by_none, is_untold, titled
from autodiff.ops.cast import to_dtype
from autodiff.ops.clones import clone
from autodiff.ops.create import exact, scalar
from autodiff.ops.elementwise import where_
from autodiff.ops.history import check_writable, rebase
from autodiff.ops.numbers import number_of
from autodiff.ops.pointwise import PointwiseOp
from autodiff.tensor import Tensor, live_node


def _copy_rule(node: OpNode, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Nothing of what was written over is left: its cotangent is zero."""
    shape, d = node.args
    over = g.new_zeros(g.shape) if node.needs(0) else None
    return over, to_dtype(g.sum_to_size(shape), d) if node.needs(1) else None


_copy: Op = Op("copy", lambda *_: None, _copy_rule, shaped=False, grad_name="CopyBackwards")


_NUMBERS = frozenset([bool, int, float])
_REAL = frozenset([int, float])


def copy_(x: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Write src, a tensor or a number, over x, broadcast and converted.

    >>> ad.zeros(2).copy_(ad.tensor([1, 2]))
    tensor([1., 2.])
    """
    if type(src) in _NUMBERS:
        src = number_of(src)  # type: ignore[arg-type]
    if is_untold(x, src) or is_told_by_none(x, src):
        if not lib.ad_copy(x._p, src._p):
            return x
        take_failure()  # to be met again
    if mode.grad:
        check_writable(x, "copy_")
    before = live_node(x)
    edges = [before if x._base is None else None, live_node(src)]  # a base clears its own part
    wants = mode.grad and (edges[1] is not None or before is not None)
    if lib.ad_copy(x._p, src._p):
        failure = take_failure()
        if failure[0] == lib.AD_BAD_DIM:
            raise RuntimeError(
                f"copy_: output with shape {list(x.shape)} doesn't match the broadcast shape of a "
                f"source of shape {list(src.shape)}"
            )
        raise describe(failure, "copy_", x._p, src._p)
    if wants and x.is_floating_point():
        rebase(x, _copy.record((x, src), edges, (src.shape, src.dtype), x._p))
    return x


def named_(x: Tensor, src: Tensor, title: str | None) -> Tensor:
    """`copy_`, whose node has another name; a view's is that of the region."""
    before = x._node
    copy_(x, src)
    if x._node is not before and x._node is not None and x._base is None and title is not None:
        x._node.title = title
    return x


def replace_(x: Tensor, y: Tensor) -> Tensor:
    """Write over x what was computed from it, under the name that has."""
    if is_untold(x, y):
        return copy_(x, y)
    return named_(x, y, None if y._node is None else y._node.name())


def fill_(x: Tensor, value: Any) -> Tensor:
    """Write one value over all of x."""
    if type(value) is int and -1e4 < value < 1e4 and x._p.dtype >= dtypes.FIRST_FLOAT:
        value = float(value)
    if type(value) is float and x._p.dtype >= dtypes.FIRST_FLOAT:
        if not -1e4 < value < 1e4:  # else every dtype has it
            value = exact(value, x.dtype, x.shape)
        if x._node is None and x._base is None:
            return copy_(x, number_of(value))
        return named_(x, number_of(value), "FillBackward2")
    given = value if isinstance(value, Tensor) else scalar(value, x.dtype, x.shape)
    if given.ndim:
        raise RuntimeError(
            f"fill_ only supports 0-dimension value tensor but got tensor with {given.ndim} "
            "dimensions."
        )
    return named_(x, given, "FillBackward3" if given is value else "FillBackward2")


def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor of the input's shape and dtype, of one value: a number, or a tensor of one.

    >>> ad.fill(ad.zeros(2), 3.0).tolist()
    [3.0, 3.0]
    """
    kind = isinstance(value, Tensor)
    return titled(fill_(clone(input), value), f"FillBackward{kind:d}")


_BOOL = dtypes.bool.code
ZEROS = {d.code: scalar(0, d) for d in dtypes.ALL}


def zero_(x: Tensor) -> Tensor:
    """Write zeros over all of x.

    >>> ad.ones(2).zero_()
    tensor([0., 0.])
    """
    if x._node is None and x._base is None:
        return copy_(x, ZEROS[x._p.dtype])
    return named_(x, ZEROS[x._p.dtype], "ZeroBackward0")


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """input with a number, or 0-d tensor, where mask is true, in input's dtype; mask broadcasts.

    RuntimeError for a mask of other than bools.

    >>> ad.zeros(2).masked_fill(ad.tensor([True, False]), 5.0)
    tensor([5., 0.])
    """
    given = _filling(input, mask, value)
    op = _filled[isinstance(value, Tensor)]
    return op.call(mask, given, input)


_filled = [
    PointwiseOp("masked_fill", where_.root, 3, f"MaskedFillBackward{variant}", where_.check)
    for variant in range(2)
]


def _filling(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """What is written where a mask is true, in the input's dtype."""
    if mask._p.dtype != _BOOL:
        raise RuntimeError(
            f"masked_fill_ only supports boolean masks, but got mask with dtype {mask.dtype!r}"
        )
    if input._p.dtype >= dtypes.FIRST_FLOAT and type(value) in _REAL:
        plain = -1e4 < value < 1e4  # which every dtype has
        return number_of(float(value) if plain else exact(value, input.dtype))
    given = value if isinstance(value, Tensor) else scalar(value, input.dtype)
    if given._p.ndim:
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{given.ndim} dimension(s)."
        )
    return given if given._p.number else to_dtype(given, input.dtype)


def masked_fill_(x: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Write value where mask is true."""
    given = _filling(x, mask, value)
    return _filled[isinstance(value, Tensor)].into(x, (mask, given, x))
