"""Elements in another order: flipped, turned, rolled."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from autodiff.descriptor import fresh
from autodiff.native import NULL, error, lib
from autodiff.ops.base import Op, OpNode
from autodiff.shapes import dim_index, distinct_dims, present_dim, sizes_of
from autodiff.tensor import Tensor

_flip: Op = Op("flip", lambda p, dims: lib.ad_flip(p, len(dims), dims),
        lambda node, g: (_flip(g, *node.args),), shaped=False)  # fmt: skip


def flip(input: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """A copy with the order of the elements reversed along the dimensions.

    >>> ad.flip(ad.tensor([[1, 2], [3, 4]]), [0]).tolist()
    [[3, 4], [1, 2]]
    """
    one = dims is None and len(order) == 1 and type(order[0]) is int
    given = order if one else sizes_of(order, "flip", dims)
    p = input._p
    try:
        y = lib.ad_flip(p, len(given), given)
    except OverflowError:
        y = NULL
    if y:
        return _flip.result(input, y, (given,))
    distinct_dims(given, p.ndim, "flip")
    raise error("flip", p)


def fliplr(input: Tensor) -> Tensor:
    """A copy with the columns in reverse order.

    >>> ad.tensor([[1, 2], [3, 4]]).fliplr()
    tensor([[2, 1],
            [4, 3]])
    """
    if input.ndim < 2:
        raise RuntimeError(f"Input must be >= 2-d, got {input.ndim}-d.")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """A copy with the rows in reverse order.

    >>> ad.tensor([[1, 2], [3, 4]]).flipud()
    tensor([[3, 4],
            [1, 2]])
    """
    if input.ndim < 1:
        raise RuntimeError(f"Input must be >= 1-d, got {input.ndim}-d.")
    return flip(input, 0)


def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """A copy turned by 90 degrees k times in the plane of two dimensions, from the first on.

    >>> ad.rot90(ad.tensor([[1, 2], [3, 4]])).tolist()
    [[2, 4], [1, 3]]
    """
    if dims == (0, 1) and type(dims[0]) is type(dims[1]) is type(k) is int and input._p.ndim > 1:
        return _rot90.call(input, k % 4, 0, 1)
    given = sizes_of((dims,), "rot90")
    if len(given) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {given}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    a, b = (dim_index(d, input.ndim) for d in given)
    if a == b:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {given[0]} and dim1 = "
            f"{given[1]}"
        )
    return _rot90(input, operator.index(k) % 4, a, b)


def _turned(p: Any, turns: int, a: int, b: int) -> Any:
    if turns % 2 == 0:
        return lib.ad_flip(p, turns, (a, b))
    flipped = fresh(lib.ad_flip(p, 1, (b if turns == 1 else a,)), "rot90", p)
    return lib.ad_transpose(flipped, a, b)


_rot90: Op = Op("rot90", _turned,
        lambda node, g: (_rot90(g, -node.args[0] % 4, *node.args[1:]),), shaped=False)  # fmt: skip


def _around(x: Tensor, shifts: Sequence[int], dims: Sequence[int]) -> list[int]:
    """Shifts as ones that are not negative, and less than there are elements to go around."""
    sizes = [x.shape[d] for d in dims] if dims else [x._p.numel]
    return [s % max(n, 1) for s, n in zip(shifts, sizes, strict=True)]


def _roll_rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
    shifts, dims = node.args
    return (_roll(g, _around(g, [-s for s in shifts], dims), dims),)


_roll: Op = Op("roll", lambda p, shifts, dims: lib.ad_roll(p, len(shifts), shifts, dims or NULL),
        _roll_rule, shaped=False)  # fmt: skip


def _ints(value: Any) -> Sequence[int]:
    if type(value) is int:
        return (value,)
    return sizes_of((value if isinstance(value, (tuple, list)) else (value,),), "roll")


def roll(input: Tensor, shifts: Any, dims: Any = ()) -> Tensor:
    """A copy shifted along dimensions; what leaves at one end comes in at the other.

    Without dims the elements are shifted as one vector.

    >>> ad.roll(ad.arange(4), 1).tolist()
    [3, 0, 1, 2]
    """
    p, given, along = input._p, _ints(shifts), () if dims is None else _ints(dims)
    if not given:
        raise RuntimeError("`shifts` required")
    if len(given) != len(along) and (along or len(given) != 1):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {given}, dims: {along}")
    try:
        y = lib.ad_roll(p, len(given), given, along or NULL)
    except OverflowError:
        for d in along:
            dim_index(d, p.ndim)
        raise
    if y:
        return _roll.result(input, y, (given, along))
    failure = error("roll", p)
    for d in along:
        present_dim(d, p.ndim)
    raise failure
