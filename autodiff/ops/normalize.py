"""Softmax, its logarithm, and what it divides by: logsumexp."""

from __future__ import annotations

import math
from typing import Any

from autodiff.dtypes import SCALAR_NAMES, dtype, float32, float64, get_default_dtype
from autodiff.expr import Expr, build, inputs
from autodiff.native import lib
from autodiff.ops.base import OUTPUT, Op, OpNode, fresh
from autodiff.ops.cast import to_dtype
from autodiff.ops.declare import exp, where
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.reductions import KINDS, _restore, _sum_dim
from autodiff.ops.views import reshape
from autodiff.shapes import dim_index, dim_mask
from autodiff.tensor import Tensor, wrap

__all__ = ["log_softmax", "logsumexp", "softmax"]

_a, _b, _c, _d = inputs(4)
_shifted_exp = PointwiseOp("softmax_exp", exp(_a - _b), 2)
_divided = PointwiseOp("softmax_divide", _a / _b, 2)
_log_shifted = PointwiseOp("log_softmax_shift", _a - _b - build("log", _c), 3)
_softmax_vjp = PointwiseOp("softmax_vjp", (_a - _c) * _b, 3, "SoftmaxBackwardDataBackward0")
_log_softmax_vjp = PointwiseOp(
    "log_softmax_vjp", _a - exp(_b) * _c, 3, "LogSoftmaxBackwardDataBackward0"
)


def _infinite(x: Expr) -> Expr:
    return build("eq", build("abs", x), math.inf)


_finite_or_0 = PointwiseOp("logsumexp_shift", where(_infinite(_a), 0.0, _a), 1)
_log_plus = {
    d: PointwiseOp("logsumexp_join", (build("log", _a) + _b).to(d), 2) for d in (float32, float64)
}
# Of g, x, the result and softmax: at an infinite result, PyTorch's nan or 0.
_logsumexp_vjp = PointwiseOp("logsumexp_vjp", _a * where(_infinite(_c), exp(_b - _c), _d), 4)


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


def _logsumexp_forward(p: Any, mask: int, keepdim: bool) -> Any:
    """The sum of exponentials of float32 in float64, so that its logarithm may cancel with x."""
    shift = wrap(_largest(p, mask))
    powers = _shifted_exp.call(wrap(p), shift)._p
    total = lib.ad_reduce(KINDS["sum"], powers, mask, 1, float64.code)
    found = _log_plus[float32 if p.dtype == float32.code else float64].call(
        wrap(fresh(total, "sum", powers)), shift
    )
    if keepdim:
        return lib.ad_alias(found._p)
    kept = [p.shape[d] for d in range(p.ndim) if not mask >> d & 1]
    return lib.ad_alias(reshape(found, kept)._p)


def _largest(p: Any, mask: int) -> Any:
    """Each row's largest element, to be taken off: 0 where that is infinite or nothing is there."""
    if not p.numel:
        return _reduce("sum", p, mask)
    return _finite_or_0.call(wrap(_reduce("max", p, mask)))._p


def _logsumexp_rule(node: OpNode, g: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor]:
    """dx = g softmax(x), which needs no large y to be exact."""
    share = _softmax(x, node.args[0])
    return (_logsumexp_vjp.call(_restore(node, g), x, _restore(node, y), share),)


_logsumexp = Op("logsumexp", _logsumexp_forward, _logsumexp_rule, saves=(0, OUTPUT))


def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """The logarithm of the sum of exponentials over `dim`, an int or a tuple; no overflow.

    Integers are taken as the default dtype; -inf where there are no elements.
    """
    if dim is None:
        raise TypeError(
            "logsumexp(): argument 'dim' (position 2) must be tuple of ints, not NoneType"
        )
    x = input if input.is_floating_point() else to_dtype(input, get_default_dtype())
    return _logsumexp(x, dim_mask(dim, x.ndim), keepdim)
