"""The reduction family: sums, products and truth over dimensions."""

from __future__ import annotations

import builtins
from typing import Any

from autodiff import dtypes
from autodiff.descriptor import fresh
from autodiff.dtypes import dtype
from autodiff.native import error, lib, numbered
from autodiff.ops.base import Op, OpNode
from autodiff.ops.elementwise import mul
from autodiff.ops.numbers import number_of
from autodiff.ops.scan import _recurrence
from autodiff.ops.views import _expand, permute, reshape, unsqueeze, zeros_p
from autodiff.shapes import Size, dim_mask, inverse, mask_dims, sizes_of
from autodiff.tensor import Tensor, own, wrap

KINDS = numbered(lib.ad_reduction_name)
_SUM, _MEAN = KINDS["sum"], KINDS["mean"]
_FLOAT = dtypes.FIRST_FLOAT
_reduce_all = lib.ad_reduce_all
_EVERY = (-1, False)  # a node's arguments, where all dimensions are reduced and none is kept
_BOOL, _UINT8, _INT64 = dtypes.bool.code, dtypes.uint8.code, dtypes.int64.code


def _native(kind: str) -> Any:
    code = KINDS[kind]
    return lambda p, mask, keepdim, d: lib.ad_reduce(code, p, mask, keepdim, d)


def _restore(node: OpNode, g: Tensor) -> Tensor:
    """A cotangent of a reduction's result, broadcast over what was reduced."""
    mask, keepdim = node.args[0], node.args[1]
    if not keepdim and g._p.ndim:
        for d in range(len(node.shape)):
            if mask >> d & 1:
                g = unsqueeze(g, d)
    return _expand(g, node.shape)


def _share(node: OpNode, g: Tensor) -> Tensor:
    """A cotangent of a mean, divided among what was averaged."""
    return _restore(node, g / _count(node))


def _count(node: OpNode) -> int:
    count = 1
    for d, size in enumerate(node.shape):
        if node.args[0] >> d & 1:
            count *= size
    return count


_sum = Op("sum", _native("sum"), lambda node, g: (_restore(node, g),))
_sum_dim = Op(
    "sum_dim", _native("sum"), lambda node, g: (_restore(node, g),), grad_name="SumBackward1"
)
_mean = Op("mean", _native("mean"), lambda node, g: (_share(node, g),))
_mean_dim = Op("mean_dim", _native("mean"), lambda node, g: (_share(node, g),),
        grad_name="MeanBackward1")  # fmt: skip


_sum_at_once = _sum.direct(_reduce_all, _SUM, always=_EVERY)
_sum_dim_at_once = _sum_dim.direct(lib.ad_reduce, _SUM)
_mean_dim_at_once = _mean_dim.direct(lib.ad_reduce, _MEAN)
_mean_at_once = _mean.direct(_reduce_all, _MEAN, always=_EVERY)


def _rows_of(node: OpNode) -> tuple[list[int], list[int]]:
    """The order of dimensions that has the reduced ones last, and the sizes with these as one."""
    mask, n = node.args[0], len(node.shape)
    kept = mask_dims(~mask, n)
    return [*kept, *mask_dims(mask, n)], [*[node.shape[d] for d in kept], _count(node)]


def _prod_rule(node: OpNode, g: Tensor, x: Tensor) -> tuple[Tensor]:
    """The product of all the others: exact also where an element is zero, and at second order."""
    order, rows = _rows_of(node)
    moved = permute(x, order)
    others = reshape(_others_product(reshape(moved, rows)), moved.shape)
    return (mul.call(_restore(node, g), permute(others, inverse(order))),)


def _others_product(rows: Tensor) -> Tensor:
    """For each element of each row, the product of those before it and of those behind it."""
    n, last = rows.shape[-1], rows._p.ndim - 1
    if n <= 1:
        return rows.new_ones(rows.shape)
    starts = map(wrap, _starts(rows._p.dtype, [*rows.shape]))
    before, behind = (_recurrence.on((rows, b), last, k, True) for k, b in enumerate(starts))
    return mul.call(before, behind)


def _starts(d: int, shape: list[int]) -> list[Any]:
    """Rows of zeros with a 1 at the beginning, and such with it at the end."""
    first = zeros_p(d, [2, shape[-1]])
    found = []
    for k in (0, 1):
        one = fresh(lib.ad_select_two(first, k, -k), "prod", first)
        if lib.ad_copy(one, number_of(1)._p):
            raise error("prod", one)
        row = fresh(lib.ad_select(first, 0, k), "prod", first)
        found.append(fresh(lib.ad_expand(row, len(shape), shape), "prod", row))
    return found


def _prod_sweep(node: OpNode, g: Tensor) -> tuple[Tensor]:
    """The same in fewer steps."""
    (p,) = node.unpack()
    n = p.ndim
    if p.numel < 2 or n == 0:
        return _prod_rule(node, g, wrap(p))
    order, rows = _rows_of(node)
    moved = fresh(lib.ad_permute(p, n, order), "prod", p)
    dense = fresh(lib.ad_contiguous(moved, p.dtype), "prod", p)
    x = fresh(lib.ad_view(dense, len(rows), rows), "prod", p)
    before, behind = (
        own(lib.ad_recurrence(x, start, len(rows) - 1, k, True), "prod", x)
        for k, start in enumerate(_starts(p.dtype, rows))
    )
    others = mul.call(before, behind)._p
    back = fresh(lib.ad_view(others, n, dense.shape), "prod", others)
    turned = own(lib.ad_permute(back, n, inverse(order)), "prod", back)
    return (mul.call(_restore(node, g), turned),)


_prod = Op("prod", _native("prod"), _prod_rule, saves=(0,), sweep=_prod_sweep)
_prod_dim = Op("prod_dim", _native("prod"), _prod_rule, saves=(0,), grad_name="ProdBackward1",
        sweep=_prod_sweep)  # fmt: skip


def _dims(node: OpNode) -> tuple[int, ...]:
    return mask_dims(node.args[0], len(node.shape))


_sum_to = Op("sum_to_size", lambda p, shape: lib.ad_sum_to(p, len(shape), list(shape)),
        lambda node, g: (g.expand(node.shape),), grad_name="SumBackward1")  # fmt: skip


def _accumulated(x: Tensor, requested: dtype | None) -> int:
    """The dtype code a sum or product is computed in: int64 for integers and bools."""
    if requested is not None:
        return requested.code
    return dtypes.int64.code if x._p.dtype < dtypes.FIRST_FLOAT else int(x._p.dtype)


def _prepared(x: Tensor, requested: dtype | None) -> Tensor:
    """x in the requested dtype, so that a gradient is converted back."""
    return x if requested is None or requested is x.dtype else x.to(requested)


def sum(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The sum over `dim` (an int, a tuple, or None for all). Integers are summed as int64.

    >>> ad.tensor([[1, 2], [3, 4]]).sum()
    tensor(10)
    >>> ad.tensor([[1, 2], [3, 4]]).sum(dim=1, keepdim=True)
    tensor([[3],
            [7]])
    """
    if dim is None and dtype is None and not keepdim:
        found: Tensor | None = _sum_at_once(input)
        if found is not None:
            return found
        y = _reduce_all(_SUM, input._p)
        if y:
            return _sum.result(input, y, _EVERY)
    elif type(dim) is int and dtype is None and 0 <= dim < input._p.ndim:
        d = input._p.dtype
        found = _sum_dim_at_once(input, 1 << dim, keepdim, d if d >= _FLOAT else _INT64)
        if found is not None:
            return found
    x = input if dtype is None else _prepared(input, dtype)
    p = x._p
    d = p.dtype if dtype is None else dtype.code
    mask, op = ((1 << p.ndim) - 1, _sum) if dim is None else (dim_mask(dim, p.ndim), _sum_dim)
    args = (mask, keepdim, d if d >= _FLOAT or dtype is not None else _INT64)
    y = lib.ad_reduce(_SUM, p, *args)
    return op.result(x, y, args) if y else op(x, *args)


def mean(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The mean over `dim` (an int, a tuple, or None for all); nan where there are no elements.

    RuntimeError of other than floats, unless `dtype` converts them.

    >>> ad.tensor([[1.0, 2.0], [3.0, 4.0]]).mean(0)
    tensor([2., 3.])
    """
    if dim is None and dtype is None and not keepdim:
        found: Tensor | None = _mean_at_once(input)
        if found is not None:
            return found
        y = _reduce_all(_MEAN, input._p)
        if y:
            return _mean.result(input, y, _EVERY)
    x = input if dtype is None else _prepared(input, dtype)
    p = x._p
    if p.dtype < _FLOAT:
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or "
            f"complex dtype. Got: {x.dtype.title}"
        )
    op = _mean if dim is None else _mean_dim
    mask = dim_mask(dim, p.ndim)
    if dim is not None:
        found = _mean_dim_at_once(x, mask, keepdim, p.dtype)
        if found is not None:
            return found
    return op(x, mask, keepdim, p.dtype)


def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The product over one dimension or all, 1 of no elements; of integers and bools int64.

    >>> ad.tensor([[1, 2], [3, 4]]).prod(1)
    tensor([ 2, 12])
    """
    x = _prepared(input, dtype)
    op = _prod if dim is None else _prod_dim
    return op(x, dim_mask(dim, x.ndim), keepdim, _accumulated(x, dtype))


def _truth(kind: str, x: Tensor, dim: Any, keepdim: bool) -> Tensor:
    p = x._p
    none = isinstance(dim, (tuple, list)) and not dim
    mask = 0 if none else dim_mask(dim, p.ndim)  # as NumPy has it: of each element
    truth = own(lib.ad_reduce(KINDS[kind], p, mask, keepdim, _BOOL), kind, p)
    return truth.to(dtypes.uint8) if p.dtype == _UINT8 else truth  # as PyTorch has it


def any(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether any element over `dim` (an int, a tuple, or None for all) is nonzero.

    bool, or uint8 of uint8; False of no elements.

    >>> ad.tensor([[0, 1], [0, 0]]).any(1)
    tensor([ True, False])
    """
    return _truth("any", input, dim, keepdim)


def all(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether all elements over `dim` (an int, a tuple, or None for all) are nonzero.

    bool, or uint8 of uint8; True of no elements.

    >>> ad.tensor([[1, 1], [0, 1]]).all(1)
    tensor([ True, False])
    """
    return _truth("all", input, dim, keepdim)


def sum_to_size(x: Tensor, *size: Any) -> Tensor:
    """The sum that undoes a broadcast from `size`. RuntimeError where x is no such broadcast.

    >>> ad.ones(2, 3).sum_to_size(1, 3)
    tensor([[2., 2., 2.]])
    """
    shape = sizes_of(size, "sum_to_size")
    if list(x.shape) == shape:
        return x
    lead = x.ndim - len(shape)
    if lead < 0 or builtins.any(
        want not in (1, have) for have, want in zip(x.shape[lead:], shape, strict=False)
    ):
        raise RuntimeError(f"size {list(shape)} is not expandable to size {list(x.shape)}.")
    return _sum_to(x if x.is_floating_point() else x.to(dtypes.int64), Size(shape))
