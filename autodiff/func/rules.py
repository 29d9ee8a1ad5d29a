"""What the six families do with a batch: the hidden dimension is in front, so dimensions shift.

A pointwise operation lines its operands up behind the batch; a reduction, a view and a row program
count their dimensions from one more; a product takes the batch as one of its own; gather and
scatter leave it alone. A rule that cannot returns NotImplemented: then samples run one by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.func.batched import (
    Batched,
    BatchError,
    Level,
    is_batch,
    lifted,
    mapped_out,
    padded,
    shared_write,
    sizes,
)
from autodiff.func.dispatch import Rule, for_functions, for_operations, signatures
from autodiff.ops.base import Op
from autodiff.ops.create import zeros
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.views import reshape, transpose, unsqueeze
from autodiff.shapes import Size, dim_index, sizes_of
from autodiff.tensor import Tensor

# ---- pointwise ----


def _lined_up(tensors: Sequence[Tensor], level: Level, ndim: int) -> list[Tensor]:
    """Operands of a pointwise operation; 0-d samples promote as 0-d tensors do."""
    values = [padded(x, level, ndim) for x in tensors]
    sized = [x for x in tensors if x.ndim]
    if not sized:
        return [
            unsqueeze(v, 0) if v.ndim == 0 and not v._p.number and not is_batch(x, level) else v
            for x, v in zip(tensors, values, strict=True)
        ]
    strongest = max(x.dtype.category for x in sized)
    d = sized[0].dtype
    for x in sized:
        d = dtypes.promote_types(d, x.dtype)
    return [
        v.to(d) if is_batch(x, level) and not x.ndim and x.dtype.category <= strongest else v
        for x, v in zip(tensors, values, strict=True)
    ]


@for_functions("pointwise")
def _pointwise(op: PointwiseOp, level: Level, tensors: Sequence[Tensor]) -> Tensor:
    ndim = max(x.ndim for x in tensors)
    return Batched(op.call(*_lined_up(tensors, level, ndim)), level)


@for_functions("pointwise_into")
def _pointwise_into(op: PointwiseOp, level: Level, out: Tensor, tensors: Sequence[Tensor]) -> Any:
    if not is_batch(out, level):
        raise shared_write(op.name)
    values = _lined_up(tensors, level, out.ndim)
    target = out.value
    op.into(target, [target if x is out else v for x, v in zip(tensors, values, strict=True)])
    return out


@for_functions("to_dtype", "clone", "contiguous", "alias", "zeros_like", "ones_like", "empty_like",
               "full_like", "zero_")  # fmt: skip
def _on_value(function: Rule, level: Level, x: Any, *args: Any, **kwargs: Any) -> Any:
    if not is_batch(x, level):
        return NotImplemented
    y = function(x.value, *args, **kwargs)
    return x if y is x.value else Batched(y, level)


# ---- dimensions counted from one more ----

_SHIFTED = {  # functions of one tensor and `dim`: what None means
    "all": "sum mean amax amin any all var std var_mean std_mean logsumexp nansum nanmean "
    "count_nonzero",
    "flat": "prod argmax argmin argsort cumsum cumprod",
    "none": "softmax log_softmax sort topk unbind split chunk narrow select flip logcumsumexp "
    "cummax cummin kthvalue median nanmedian mode glu softmin",
}


def _shifted(policy: str) -> Rule:
    def rule(function: Rule, level: Level, *args: Any, **kwargs: Any) -> Any:
        signature = signatures[function]
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return NotImplemented
        bound.apply_defaults()
        given = bound.arguments
        first, *others = given
        x, name = given[first], "dim" if "dim" in given else "dims"
        if not is_batch(x, level) or any(type(given[o]) is Batched for o in others):
            return NotImplemented
        dim, ndim = given.get(name), x.ndim
        if isinstance(dim, bool):  # which stands for `unbiased`
            return NotImplemented
        given[first] = x.value
        if not ndim and "keepdim" in given:  # the reduction of a number
            given[first], given["keepdim"] = unsqueeze(x.value, 1), False
            dim = None if dim in (0, -1, ()) else dim
            ndim = 1
        if not ndim:
            return NotImplemented
        if dim is None or (dim == () and policy == "all"):
            if policy == "none":
                return NotImplemented
            if policy == "flat":
                given[first] = reshape(given[first], [level.size, x.numel()])
            given[name] = tuple(range(1, ndim + 1)) if policy == "all" else 1
        elif isinstance(dim, int):
            given[name] = dim_index(dim, ndim) + 1
        else:
            given[name] = type(dim)(dim_index(d, ndim) + 1 for d in dim)
        return mapped_out(function(*bound.args, **bound.kwargs), level)

    return rule


for _policy, _names in _SHIFTED.items():
    for_functions(*_names.split())(_shifted(_policy))


@for_functions("max", "min")
def _extreme(
    function: Rule, level: Level, input: Any, dim: Any = None, keepdim: bool = False, **named: Any
) -> Any:
    if named.get("other") is not None:
        return NotImplemented
    if not isinstance(dim, int) or isinstance(dim, bool):
        if dim is not None or not input.ndim:
            return NotImplemented
        return input.amax() if function.__name__ == "max" else input.amin()
    if not is_batch(input, level) or not input.ndim:
        return NotImplemented
    return mapped_out(function(input.value, dim_index(dim, input.ndim) + 1, keepdim), level)


@for_operations("sum", "sum_dim", "mean", "mean_dim", "prod", "prod_dim", "amax", "amin", "max",
                "min", "softmax", "log_softmax", "softmax_vjp", "log_softmax_vjp", "logsumexp",
                "logsumexp_vjp", "var", "std", "var_mean", "std_mean", "mean_beside_var",
                "mean_beside_std", "centred", "deviations")  # fmt: skip
def _masked(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    """Reductions and row programs, whose dimensions are bits."""
    mask, *rest = args
    return Batched(op.on([lifted(x, level) for x in tensors], mask << 1, *rest), level)


@for_operations("cumsum", "glu", "select", "slice", "unsqueeze")
def _along(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return Batched(op(tensors[0].value, args[0] + 1, *args[1:]), level)


@for_operations("transpose", "t", "reversed_dims")
def _swapped(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return Batched(transpose(tensors[0].value, args[0] + 1, args[1] + 1), level)


@for_operations("clone", "contiguous", "alias", "constant_pad_nd", "im2col", "col2im")
def _unchanged(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return Batched(op(tensors[0].value, *args), level)


@for_operations("permute")
def _permuted(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return Batched(op(tensors[0].value, [0, *(d + 1 for d in args[0])]), level)


@for_operations("squeeze")
def _squeezed(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return Batched(op(tensors[0].value, args[0] << 1), level)


# ---- shapes ----


def _resolved(shape: Sequence[int], count: int) -> list[int]:
    """Sizes of which one may be -1."""
    known = math.prod(size for size in shape if size != -1)
    return [count // known if size == -1 and known else size for size in shape]


@for_functions("view", "reshape")
def _reshaped(function: Rule, level: Level, input: Any, *shape: Any, dtype: Any = None) -> Any:
    if (
        not is_batch(input, level)
        or dtype is not None
        or any(isinstance(each, dtypes.dtype) for each in shape)
    ):
        return NotImplemented
    wanted = sizes_of(shape, function.__name__)
    if wanted.count(-1) <= 1 and all(size >= -1 for size in wanted):
        wanted = _resolved(wanted, input.numel())
    if -1 in wanted or Size(wanted).numel() != input.numel():
        return function(zeros(input.shape), *shape)  # which words what is wrong
    return Batched(function(input.value, sizes(level, wanted)), level)


@for_functions("reinterpreted")
def _reinterpreted(function: Rule, level: Level, x: Any, d: Any, **kwargs: Any) -> Any:
    if not x.ndim and d.itemsize != x.itemsize:
        return function(zeros((), dtype=x.dtype), d, **kwargs)  # which words what is wrong
    return Batched(function(x.value, d, **kwargs), level)


@for_operations("view", "_unsafe_view")
def _viewed(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    (x,) = tensors
    wanted = _resolved(args[0], x.numel())
    return Batched(op(x.value, sizes(level, wanted)), level)


@for_operations("expand")
def _expanded(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    (x,), (shape,) = tensors, args
    return Batched(op(padded(x, level, len(shape)), sizes(level, shape)), level)


@for_operations("sum_to_size")
def _summed_to(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    (x,), (shape,) = tensors, args
    wide = [1] * (x.ndim - len(shape)) + list(shape)
    y = op(x.value, Size(sizes(level, wide)))
    return Batched(y if len(wide) == len(shape) else reshape(y, sizes(level, shape)), level)


@for_operations("embed")
def _embedded(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    """The adjoint of a view: the cotangent written to that view of zeros."""
    (g,), (shape, _, again) = tensors, args
    z = Batched(zeros(sizes(level, shape), dtype=g.dtype), level)
    again(z).copy_(g)
    return z


@for_functions("as_strided")
def _strided(function: Rule, level: Level, input: Any, size: Any, stride: Any,
             storage_offset: Any = None) -> Any:  # fmt: skip
    if storage_offset is not None or not is_batch(input, level):
        raise BatchError("vmap: as_strided with a storage_offset is not supported for a batch")
    value = input.value
    return Batched(function(value, sizes(level, size), [value.stride(0), *stride]), level)


@for_functions("t", "T")
def _t(function: Rule, level: Level, x: Any) -> Any:
    n = x.ndim
    if not is_batch(x, level) or (n > 2 and function.__name__ == "t"):
        return NotImplemented
    order = [0, *range(n, 0, -1)]
    return Batched(x.value.permute(order), level)


@for_operations("cat", "stack")
def _joined(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    dim, *rest = args
    return Batched(op.on([lifted(x, level) for x in tensors], dim + 1, *rest), level)
