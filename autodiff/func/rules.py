"""What the six families do with a batch: the hidden dimension is in front, so dimensions shift.

A pointwise operation lines its operands up behind the batch; a reduction, a view and a row program
count their dimensions from one more; a product takes the batch as one of its own; gather and
scatter leave it alone. A rule that cannot returns NotImplemented: then samples run one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff import dtypes
from autodiff.func.batched import Batched, BatchError, Level, lifted, padded, shared_write, sizes
from autodiff.func.dispatch import FUNCTIONS, OPERATIONS, signatures
from autodiff.ops.base import Op
from autodiff.ops.contraction import linear, matmul
from autodiff.ops.create import zeros
from autodiff.ops.elementwise import mul
from autodiff.ops.layer_norm import composed_group_norm, layer_norm
from autodiff.ops.losses import mse
from autodiff.ops.normal import composed_affine, composed_rms_norm
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.reductions import sum as total
from autodiff.ops.views import reshape, squeeze, transpose, unsqueeze
from autodiff.shapes import Size, dim_index, sizes_of
from autodiff.tensor import Tensor

Rule = Callable[..., Any]


def _function(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for functions of these names."""

    def register(rule: Rule) -> Rule:
        FUNCTIONS.update(dict.fromkeys(names, rule))
        return rule

    return register


def _operation(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for Ops of these names."""

    def register(rule: Rule) -> Rule:
        OPERATIONS.update(dict.fromkeys(names, rule))
        return rule

    return register


def _is(x: Any, level: Level) -> bool:
    return type(x) is Batched and x.level is level


# ---- pointwise ----


def _category(x: Tensor) -> int:
    d = x.dtype
    return 2 if d.is_floating_point else 0 if d is dtypes.bool else 1


def _lined_up(tensors: Sequence[Tensor], level: Level, ndim: int) -> list[Tensor]:
    """Operands of a pointwise operation; 0-d samples promote as 0-d tensors do."""
    values = [padded(x, level, ndim) for x in tensors]
    sized = [x for x in tensors if x.ndim]
    if not sized:
        return [
            unsqueeze(v, 0) if v.ndim == 0 and not v._p.number and not _is(x, level) else v
            for x, v in zip(tensors, values, strict=True)
        ]
    strongest = max(map(_category, sized))
    d = sized[0].dtype
    for x in sized:
        d = dtypes.promote_types(d, x.dtype)
    return [
        v.to(d) if _is(x, level) and not x.ndim and _category(x) <= strongest else v
        for x, v in zip(tensors, values, strict=True)
    ]


@_function("pointwise")
def _pointwise(op: PointwiseOp, level: Level, tensors: Sequence[Tensor]) -> Tensor:
    ndim = max(x.ndim for x in tensors)
    return Batched(op.call(*_lined_up(tensors, level, ndim)), level)


@_function("pointwise_into")
def _pointwise_into(op: PointwiseOp, level: Level, out: Tensor, tensors: Sequence[Tensor]) -> Any:
    if not _is(out, level):
        raise shared_write(op.name)
    values = _lined_up(tensors, level, out.ndim)
    target = out.value  # type: ignore[attr-defined]
    op.into(target, [target if x is out else v for x, v in zip(tensors, values, strict=True)])
    return out


@_function("to_dtype", "clone", "contiguous", "alias", "zeros_like", "ones_like", "empty_like",
           "full_like", "zero_")  # fmt: skip
def _on_value(function: Rule, level: Level, x: Any, *args: Any, **kwargs: Any) -> Any:
    if not _is(x, level):
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
        if not _is(x, level) or any(type(given[o]) is Batched for o in others):
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


def mapped_out(result: Any, level: Level) -> Any:
    """Results of a call on values, as tensors of the batch."""
    if isinstance(result, Tensor):
        return Batched(result, level)
    parts = [mapped_out(each, level) for each in result]
    return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)


for _policy, _names in _SHIFTED.items():
    _function(*_names.split())(_shifted(_policy))


@_function("max", "min")
def _extreme(
    function: Rule, level: Level, input: Any, dim: Any = None, keepdim: bool = False, **named: Any
) -> Any:
    if named.get("other") is not None:
        return NotImplemented
    if not isinstance(dim, int) or isinstance(dim, bool):
        if dim is not None or not input.ndim:
            return NotImplemented
        return input.amax() if function.__name__ == "max" else input.amin()
    if not _is(input, level) or not input.ndim:
        return NotImplemented
    return mapped_out(function(input.value, dim_index(dim, input.ndim) + 1, keepdim), level)


@_operation("sum", "sum_dim", "mean", "mean_dim", "prod", "prod_dim", "amax", "amin", "max", "min",
            "softmax", "log_softmax", "softmax_vjp", "log_softmax_vjp", "logsumexp",
            "logsumexp_vjp", "var", "std", "var_mean", "std_mean", "mean_beside_var",
            "mean_beside_std", "centred", "deviations")  # fmt: skip
def _masked(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    """Reductions and row programs, whose dimensions are bits."""
    mask, *rest = args
    return Batched(op.on([lifted(x, level) for x in tensors], mask << 1, *rest), level)


@_operation("cumsum", "glu", "select", "slice", "unsqueeze")
def _along(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return Batched(op(tensors[0].value, args[0] + 1, *args[1:]), level)


@_operation("transpose", "t", "reversed_dims")
def _swapped(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return Batched(transpose(tensors[0].value, args[0] + 1, args[1] + 1), level)


@_operation("clone", "contiguous", "alias", "constant_pad_nd", "im2col", "col2im")
def _unchanged(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return Batched(op(tensors[0].value, *args), level)


@_operation("permute")
def _permuted(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return Batched(op(tensors[0].value, [0, *(d + 1 for d in args[0])]), level)


@_operation("squeeze")
def _squeezed(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return Batched(op(tensors[0].value, args[0] << 1), level)


# ---- shapes ----


def _resolved(shape: Sequence[int], count: int) -> list[int]:
    """Sizes of which one may be -1."""
    known = 1
    for size in shape:
        known *= size if size != -1 else 1
    return [count // known if size == -1 and known else size for size in shape]


@_function("view", "reshape")
def _reshaped(function: Rule, level: Level, input: Any, *shape: Any, dtype: Any = None) -> Any:
    if (
        not _is(input, level)
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


@_function("reinterpreted")
def _reinterpreted(function: Rule, level: Level, x: Any, d: Any, **kwargs: Any) -> Any:
    if not x.ndim and d.itemsize != x.itemsize:
        return function(zeros((), dtype=x.dtype), d, **kwargs)  # which words what is wrong
    return Batched(function(x.value, d, **kwargs), level)


@_operation("view", "_unsafe_view")
def _viewed(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    (x,) = tensors
    wanted = _resolved(args[0], x.numel())
    return Batched(op(x.value, sizes(level, wanted)), level)


@_operation("expand")
def _expanded(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    (x,), (shape,) = tensors, args
    return Batched(op(padded(x, level, len(shape)), sizes(level, shape)), level)


@_operation("sum_to_size")
def _summed_to(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    (x,), (shape,) = tensors, args
    wide = [1] * (x.ndim - len(shape)) + list(shape)
    y = op(x.value, Size(sizes(level, wide)))
    return Batched(y if len(wide) == len(shape) else reshape(y, sizes(level, shape)), level)


@_operation("embed")
def _embedded(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    """The adjoint of a view: the cotangent written to that view of zeros."""
    (g,), (shape, _, again) = tensors, args
    z = Batched(zeros(sizes(level, shape), dtype=g.dtype), level)
    again(z).copy_(g)
    return z


@_function("as_strided")
def _strided(function: Rule, level: Level, input: Any, size: Any, stride: Any,
             storage_offset: Any = None) -> Any:  # fmt: skip
    if storage_offset is not None or not _is(input, level):
        raise BatchError("vmap: as_strided with a storage_offset is not supported for a batch")
    value = input.value
    return Batched(function(value, sizes(level, size), [value.stride(0), *stride]), level)


@_function("t", "T")
def _t(function: Rule, level: Level, x: Any) -> Any:
    n = x.ndim
    if not _is(x, level) or (n > 2 and function.__name__ == "t"):
        return NotImplemented
    order = [0, *range(n, 0, -1)]
    return Batched(x.value.permute(order), level)


@_operation("cat", "stack")
def _joined(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    dim, *rest = args
    return Batched(op.on([lifted(x, level) for x in tensors], dim + 1, *rest), level)


# ---- contraction ----


@_function("matmul")
def _matmul(function: Rule, level: Level, input: Any, other: Any) -> Any:
    a, b = input, other
    if not (isinstance(a, Tensor) and isinstance(b, Tensor) and a.ndim and b.ndim):
        return NotImplemented
    row, column = a.ndim == 1, b.ndim == 1
    if a.shape[-1] != b.shape[-2 if not column else -1] or a.dtype is not b.dtype:
        return function(zeros(a.shape, dtype=a.dtype), zeros(b.shape, dtype=b.dtype))
    if type(a) is Batched and not _is(b, level) and b.ndim == 2 and a.ndim <= 2:
        return Batched(function(a.value, b), level)  # rows of one matrix
    if row and column and a.is_floating_point():  # as one such product adds
        return total(mul.call(a, b), 0)
    left = unsqueeze(a, 0) if row else a
    right = unsqueeze(b, 1) if column else b
    ndim = max(left.ndim, right.ndim)
    y = function(padded(left, level, ndim), padded(right, level, ndim))
    y = squeeze(y, -1) if column else y
    return Batched(squeeze(y, -1 if column else -2) if row else y, level)


@_function("linear")
def _linear(function: Rule, level: Level, input: Any, weight: Any, bias: Any = None) -> Any:
    if not _is(weight, level) and not _is(bias, level) and input.ndim:
        return Batched(function(input.value, weight, bias), level)
    if weight.ndim != 2 or not input.ndim or input.shape[-1] != weight.shape[1]:
        given = (input, weight, bias)
        return function(*(None if x is None else zeros(x.shape, dtype=x.dtype) for x in given))
    y = matmul(input, transpose(weight, 0, 1))
    return y if bias is None else y + bias


def _flipped(x: Any, flag: int) -> Any:
    return transpose(x, -2, -1) if flag else x


@_function("_multiply")
def _multiplied(function: Rule, level: Level, a: Any, b: Any, flags: int) -> Any:
    return matmul(_flipped(a, flags & 1), _flipped(b, flags >> 1))


@_operation("matmul")
def _product(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    (a, b), (flags, _) = tensors, args
    return matmul(_flipped(a, flags & 1), _flipped(b, flags >> 1))


@_operation("linear")
def _linear_op(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return linear(*tensors)


@_function("inv", "inverse", "det", "logdet", "slogdet", "cholesky", "qr", "svd", "svdvals", "eigh",
           "eigvalsh", "pinv", "matrix_power", "matrix_exp", "tril", "triu")  # fmt: skip
def _matrices(function: Rule, level: Level, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Functions of the last two dimensions."""
    others = (*args, *kwargs.values())
    if not _is(x, level) or x.ndim < 2 or any(isinstance(o, Tensor) for o in others):
        return NotImplemented
    return mapped_out(function(x.value, *args, **kwargs), level)


@_function("_factors", "_pivots", "_order")
def _of_lu(function: Rule, level: Level, *args: Any) -> Any:
    """Functions of matrices, and of orders of their rows, that are read."""
    return mapped_out(function(*(x.value if _is(x, level) else x for x in args)), level)


# ---- row programs with weights ----


@_function("batch_norm", "instance_norm")
def _running(function: Rule, level: Level, *args: Any, **names: Any) -> Any:
    """Refused where the samples' moments, each its own, would move running ones of all of them."""
    given = signatures[function].bind(*args, **names).arguments
    held = [given.get("running_mean"), given.get("running_var")]
    training = given.get("training", given.get("use_input_stats", function.__name__[0] == "i"))
    if (
        training
        and _is(given["input"], level)
        and not all(x is None or _is(x, level) for x in held)
    ):
        raise BatchError(
            f"vmap: {function.__name__} got samples while running_mean and running_var, which "
            "will be updated in place, are one for all of them. Use eval(), or a layer of "
            "track_running_stats=False (func.replace_all_batch_norm_modules_ makes them such)."
        )
    return NotImplemented


@_operation("layer_norm", "layer_norm_weight", "layer_norm_bias")
def _layer_norm(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    x, *scale = tensors
    (normal,) = args
    if _is(x, level) and not any(_is(w, level) for w in scale):
        return Batched(op.on([x.value, *scale], normal), level)
    y = layer_norm(x, normal.shape, None, None, normal.eps)
    y = y * scale[0] if scale else y
    return y + scale[1] if len(scale) > 1 else y


@_operation("group_norm")
def _group_norm(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    (normal,) = args
    x, weight, bias = tensors
    return composed_group_norm(x, weight, bias, normal.shape[0], normal.eps)


@_operation("affine")
def _affine(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return composed_affine(*tensors)


@_operation("rms_norm", "rms_norm_weight")
def _rms_norm(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    x, (normal,) = tensors[0], args
    mask = (1 << x.ndim) - (1 << (x.ndim - len(normal.shape)))
    return composed_rms_norm(x, mask, *tensors[1:], eps=normal.eps)


@_function("nll", "cross_entropy")
def _classes(function: Rule, level: Level, *args: Any, **names: Any) -> Any:
    """Losses of rows: those of all samples' rows, and then each sample's of its own."""
    if names or len(args) != 5 or any(_is(x, level) for x in args[2:3]):
        return NotImplemented
    rows, target, weight, ignored, reduction = args
    if rows.ndim == 3:
        rows = reshape(transpose(rows, 1, 2), [-1, rows.shape[1]])
    m, classes = rows.shape
    flat = reshape(lifted(rows, level), [-1, classes])
    flat_target = reshape(lifted(target, level), [-1])
    each = reshape(function(flat, flat_target, weight, ignored, "none"), [level.size, m])
    if reduction == "none":
        return Batched(each, level)
    total = each.sum(1)
    if reduction == "mean":
        kept = (flat_target != ignored).to(rows.dtype)
        if weight is not None:
            kept = kept * weight.detach()[flat_target.where(flat_target != ignored, 0)]
        total = total / reshape(kept, [level.size, m]).sum(1)
    return Batched(total, level)


@_function("mse_loss")
def _mse(function: Rule, level: Level, input: Any, target: Any, *args: Any, **how: Any) -> Any:
    """Without its short cut."""
    if args or how.keys() - {"reduction"} or input.shape != target.shape:
        return NotImplemented
    return mse(how.get("reduction", "mean"), input, target)
