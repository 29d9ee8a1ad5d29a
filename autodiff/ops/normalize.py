"""Softmax and log-softmax: rows normalised so that they, or their exponentials, sum to one."""

from __future__ import annotations

from typing import Any

from autodiff.dtypes import SCALAR_NAMES, dtype
from autodiff.expr import build, inputs
from autodiff.native import lib
from autodiff.ops.base import OUTPUT, Op, OpNode, fresh
from autodiff.ops.cast import to_dtype
from autodiff.ops.declare import exp
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.reductions import KINDS, _sum_dim
from autodiff.shapes import dim_index, dim_mask
from autodiff.tensor import Tensor, wrap

__all__ = ["log_softmax", "softmax"]

_a, _b, _c = inputs(3)
_shifted_exp = PointwiseOp("softmax_exp", exp(_a - _b), 2)
_divided = PointwiseOp("softmax_divide", _a / _b, 2)
_log_shifted = PointwiseOp("log_softmax_shift", _a - _b - build("log", _c), 3)
_softmax_vjp = PointwiseOp("softmax_vjp", (_a - _c) * _b, 3, "SoftmaxBackwardDataBackward0")
_log_softmax_vjp = PointwiseOp(
    "log_softmax_vjp", _a - exp(_b) * _c, 3, "LogSoftmaxBackwardDataBackward0"
)


def _reduce(kind: str, p: Any, mask: int) -> Any:
    return fresh(lib.ad_reduce(KINDS[kind], p, mask, 1, p.dtype), kind, p)


def _exponentials(p: Any, mask: int) -> tuple[Tensor, Any, Tensor]:
    """Each row's largest element, exp(row - largest), which cannot overflow, and their sum."""
    largest = wrap(_reduce("max", p, mask))
    powers = _shifted_exp.call(wrap(p), largest)._p
    return largest, powers, wrap(_reduce("sum", powers, mask))


def _softmax_forward(p: Any, mask: int) -> Any:
    if not p.numel:
        return lib.ad_clone(p)
    _, powers, total = _exponentials(p, mask)
    return lib.ad_alias(_divided.call(wrap(powers), total)._p)


def _log_softmax_forward(p: Any, mask: int) -> Any:
    if not p.numel:
        return lib.ad_clone(p)
    largest, _, total = _exponentials(p, mask)
    return lib.ad_alias(_log_shifted.run((wrap(p), largest, total)))


def _row_sum(node: OpNode, x: Tensor) -> Tensor:
    return _sum_dim(x, node.args[0], True, x._p.dtype)


def _softmax_rule(node: OpNode, g: Tensor, y: Tensor) -> tuple[Tensor]:
    """dx = (g - sum(g y)) y."""
    return (_softmax_vjp.call(g, y, _row_sum(node, g * y)),)


def _log_softmax_rule(node: OpNode, g: Tensor, y: Tensor) -> tuple[Tensor]:
    """dx = g - exp(y) sum(g)."""
    return (_log_softmax_vjp.call(g, y, _row_sum(node, g)),)


_softmax = Op("softmax", _softmax_forward, _softmax_rule, saves=(OUTPUT,), shaped=False)
_log_softmax = Op(
    "log_softmax", _log_softmax_forward, _log_softmax_rule, saves=(OUTPUT,), shaped=False
)


def _along(op: Op, x: Tensor, dim: int, d: dtype | None) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{op.name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}"
        )
    x = x if d is None else to_dtype(x, d)
    if not x.is_floating_point():
        raise NotImplementedError(f'"{op.name}" not implemented for {SCALAR_NAMES[x._p.dtype]!r}')
    return op(x, dim_mask(dim_index(dim, x.ndim), x.ndim))


def softmax(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """exp(input) divided by its sum along `dim`."""
    return _along(_softmax, input, dim, dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """The logarithm of softmax, exact also where softmax rounds to zero."""
    return _along(_log_softmax, input, dim, dtype)
