"""What products, factorizations, norms and losses of rows do with a batch: see `rules`."""

from __future__ import annotations

from typing import Any

from autodiff.func.batched import Batched, BatchError, Level, is_batch, lifted, mapped_out, padded
from autodiff.func.dispatch import Rule, for_functions, for_operations, signatures
from autodiff.ops.base import Op
from autodiff.ops.contraction import linear, matmul
from autodiff.ops.create import zeros
from autodiff.ops.elementwise import mul
from autodiff.ops.layer_norm import composed_group_norm, layer_norm
from autodiff.ops.losses import mse
from autodiff.ops.normal import composed_affine, composed_rms_norm
from autodiff.ops.reductions import sum as total
from autodiff.ops.views import reshape, squeeze, transpose, unsqueeze
from autodiff.tensor import Tensor

# ---- contraction ----


@for_functions("matmul")
def _matmul(function: Rule, level: Level, input: Any, other: Any) -> Any:
    a, b = input, other
    if not (isinstance(a, Tensor) and isinstance(b, Tensor) and a.ndim and b.ndim):
        return NotImplemented
    row, column = a.ndim == 1, b.ndim == 1
    if a.shape[-1] != b.shape[-2 if not column else -1] or a.dtype is not b.dtype:
        return function(zeros(a.shape, dtype=a.dtype), zeros(b.shape, dtype=b.dtype))
    if type(a) is Batched and not is_batch(b, level) and b.ndim == 2 and a.ndim <= 2:
        return Batched(function(a.value, b), level)  # rows of one matrix
    if row and column and a.is_floating_point():  # as one such product adds
        return total(mul.call(a, b), 0)
    left = unsqueeze(a, 0) if row else a
    right = unsqueeze(b, 1) if column else b
    ndim = max(left.ndim, right.ndim)
    y = function(padded(left, level, ndim), padded(right, level, ndim))
    y = squeeze(y, -1) if column else y
    return Batched(squeeze(y, -1 if column else -2) if row else y, level)


@for_functions("linear")
def _linear(function: Rule, level: Level, input: Any, weight: Any, bias: Any = None) -> Any:
    if not is_batch(weight, level) and not is_batch(bias, level) and input.ndim:
        return Batched(function(input.value, weight, bias), level)
    if weight.ndim != 2 or not input.ndim or input.shape[-1] != weight.shape[1]:
        given = (input, weight, bias)
        return function(*(None if x is None else zeros(x.shape, dtype=x.dtype) for x in given))
    y = matmul(input, transpose(weight, 0, 1))
    return y if bias is None else y + bias


def _flipped(x: Any, flag: int) -> Any:
    return transpose(x, -2, -1) if flag else x


@for_functions("_multiply")
def _multiplied(function: Rule, level: Level, a: Any, b: Any, flags: int) -> Any:
    return matmul(_flipped(a, flags & 1), _flipped(b, flags >> 1))


@for_operations("matmul")
def _product(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    (a, b), (flags, _) = tensors, args
    return matmul(_flipped(a, flags & 1), _flipped(b, flags >> 1))


@for_operations("linear")
def _linear_op(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return linear(*tensors)


@for_functions("inv", "inverse", "det", "logdet", "slogdet", "cholesky", "qr", "svd", "svdvals",
               "eigh", "eigvalsh", "pinv", "matrix_power", "matrix_exp", "tril",
               "triu")  # fmt: skip
def _matrices(function: Rule, level: Level, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Functions of the last two dimensions."""
    others = (*args, *kwargs.values())
    if not is_batch(x, level) or x.ndim < 2 or any(isinstance(o, Tensor) for o in others):
        return NotImplemented
    return mapped_out(function(x.value, *args, **kwargs), level)


@for_functions("_factors", "_pivots", "_order")
def _of_lu(function: Rule, level: Level, *args: Any) -> Any:
    """Functions of matrices, and of orders of their rows, that are read."""
    return mapped_out(function(*(x.value if is_batch(x, level) else x for x in args)), level)


# ---- row programs with weights ----


@for_functions("batch_norm", "instance_norm")
def _running(function: Rule, level: Level, *args: Any, **names: Any) -> Any:
    """Refused where the samples' moments, each its own, would move running ones of all of them."""
    given = signatures[function].bind(*args, **names).arguments
    held = [given.get("running_mean"), given.get("running_var")]
    training = given.get("training", given.get("use_input_stats", function.__name__[0] == "i"))
    if (
        training
        and is_batch(given["input"], level)
        and not all(x is None or is_batch(x, level) for x in held)
    ):
        raise BatchError(
            f"vmap: {function.__name__} got samples while running_mean and running_var, which "
            "will be updated in place, are one for all of them. Use eval(), or a layer of "
            "track_running_stats=False (func.replace_all_batch_norm_modules_ makes them such)."
        )
    return NotImplemented


@for_operations("layer_norm", "layer_norm_weight", "layer_norm_bias")
def _layer_norm(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    x, *scale = tensors
    (normal,) = args
    if is_batch(x, level) and not any(is_batch(w, level) for w in scale):
        return Batched(op.on([x.value, *scale], normal), level)
    y = layer_norm(x, normal.shape, None, None, normal.eps)
    y = y * scale[0] if scale else y
    return y + scale[1] if len(scale) > 1 else y


@for_operations("group_norm")
def _group_norm(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return composed_group_norm(*tensors, *args)


@for_operations("affine")
def _affine(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return composed_affine(*tensors)


@for_operations("rms_norm", "rms_norm_weight")
def _rms_norm(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    x, (normal,) = tensors[0], args
    mask = (1 << x.ndim) - (1 << (x.ndim - len(normal.shape)))
    return composed_rms_norm(x, mask, *tensors[1:], eps=normal.eps)


@for_functions("nll", "cross_entropy")
def _classes(function: Rule, level: Level, *args: Any, **names: Any) -> Any:
    """Losses of rows: those of all samples' rows, and then each sample's of its own."""
    if names or len(args) != 5 or any(is_batch(x, level) for x in args[2:3]):
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


@for_functions("mse_loss")
def _mse(function: Rule, level: Level, input: Any, target: Any, *args: Any, **how: Any) -> Any:
    """Without its short cut."""
    if args or how.keys() - {"reduction"} or input.shape != target.shape:
        return NotImplemented
    return mse(how.get("reduction", "mean"), input, target)
