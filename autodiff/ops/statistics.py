"""Variance and standard deviation: one native call each, computed in float64 and rounded once."""

from __future__ import annotations

import math
import numbers
from typing import Any

from autodiff.anomaly import warn
from autodiff.descriptor import fresh
from autodiff.dtypes import FIRST_FLOAT, float64
from autodiff.expr import build, inputs
from autodiff.named import NamedTuple
from autodiff.native import NULL, lib
from autodiff.ops.base import OUTPUT, Op, OpNode
from autodiff.ops.declare import where
from autodiff.ops.elementwise import mul
from autodiff.ops.normalize import each_of_rows, one_a_row
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.reductions import KINDS, _count, _dims, _restore, _share, sum
from autodiff.shapes import dim_index, dim_mask
from autodiff.tensor import Tensor

_a, _b = inputs(2)
_std_vjp = PointwiseOp("std_vjp", where(build("eq", _b, 0), 0.0, _a / (_b * 2)), 2)
_unbounded = PointwiseOp("var_unbounded", _a * where(build("eq", _b, 0), math.nan, math.inf), 2)


class Spread(NamedTuple):
    """What is asked of a variance, after the dimensions and keepdim."""

    correction: float
    whole: bool  # no dimensions were named


_SPREADS = {whole: Spread(1.0, whole) for whole in (False, True)}  # where nothing is asked


def _averaged(p: Any, mask: int) -> tuple[int, int]:
    """How many elements each result is of, and how many results there are."""
    shape, count, kept = p.shape, 1, 1
    for d in range(p.ndim):
        if mask >> d & 1:
            count *= shape[d]
        else:
            kept *= shape[d]
    return count, kept


def _forward(root: bool) -> Any:
    def forward(p: Any, mask: int, keepdim: bool, spread: Spread) -> Any:
        count, _ = _averaged(p, mask)
        freedom = max(0.0, count - spread.correction) if count else 0.0  # of nothing: 0 / 0
        return lib.ad_spread(p, mask, keepdim, freedom, root)

    return one_a_row(forward)


_native_deviations = each_of_rows(lib.ad_deviations)
# Deviations from the mean: a projection, so its own adjoint.
_centred: Op = Op("centred", lambda p, mask: _native_deviations(p, NULL, mask, 1.0),
        lambda node, g: (_centred(g, node.args[0]),), shaped=False)  # fmt: skip


def _deviations_rule(node: OpNode, h: Tensor, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """Of g scale (x - mean): linear in both."""
    mask, scale = node.args
    products = mul.call(h, _centred(x, mask) * scale)
    dg = sum(products, _dims(node), keepdim=True)
    full = g.reshape([1 if mask >> d & 1 else n for d, n in enumerate(node.shape)])
    return _centred(mul.call(h, full) * scale, mask), dg.reshape(g.shape)


_deviations: Op = Op("deviations", _native_deviations, _deviations_rule, saves=(0, 1),
        grad_name="VarBackwardBackward0")  # fmt: skip


def _var_rule(node: OpNode, g: Tensor, x: Tensor) -> tuple[Tensor]:
    """dx = g 2 (x - mean) / degrees of freedom."""
    spread = node.args[2]
    freedom = _count(node) - spread.correction
    if spread.whole and freedom <= 0:
        return (_unbounded.call(_restore(node, g), _centred(x, node.args[0])),)
    return (_deviations.on((x, g), node.args[0], 2 / freedom if freedom else math.inf),)


def _std_rule(node: OpNode, g: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor]:
    """As of the variance, with g / (2 std); 0 where all elements are equal."""
    return _var_rule(node, _std_vjp.call(g, y), x)


def _mean_forward(p: Any, mask: int, keepdim: bool) -> Any:
    mean = fresh(lib.ad_reduce(KINDS["mean"], p, mask, keepdim, float64.code), "mean", p)
    return lib.ad_contiguous(mean, p.dtype)


def _mean_rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
    return (_share(node, g),)


_var = Op("var", _forward(False), _var_rule, saves=(0,))
_std = Op("std", _forward(True), _std_rule, saves=(0, OUTPUT))
_PAIRS = {
    "var_mean": (
        Op("var_mean", _var.forward, _var_rule, saves=(0,)),
        Op("mean_beside_var", _mean_forward, _mean_rule, grad_name="VarMeanBackward0"),
    ),
    "std_mean": (
        Op("std_mean", _std.forward, _std_rule, saves=(0, OUTPUT)),
        Op("mean_beside_std", _mean_forward, _mean_rule, grad_name="StdMeanBackward0"),
    ),
}


def _refused(name: str, why: str) -> TypeError:
    return TypeError(
        f"{name}(): {why}; give (input, unbiased), (input, dim, unbiased, keepdim) or "
        "(input, dim, *, correction, keepdim)"
    )


def _correction(name: str, unbiased: Any, correction: Any) -> float:
    if unbiased is not None:
        if not isinstance(unbiased, bool):
            raise _refused(name, f"unbiased must be bool, not {type(unbiased).__name__}")
        if correction is not None:
            raise _refused(name, f"unbiased={unbiased} and correction={correction!r} both given")
        return float(unbiased)
    if correction is None:
        return 1.0
    if isinstance(correction, Tensor):
        return float(correction)
    if not isinstance(correction, numbers.Real):
        raise _refused(name, f"correction must be a number, not {type(correction).__name__}")
    return float(correction)


def _check_freedom(name: str, x: Tensor, mask: int, correction: float) -> None:
    averaged, kept = _averaged(x._p, mask)
    count = averaged if kept else 0
    if count - correction <= 0:
        warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the "
            f"reduction factor (input numel divided by output numel): {correction:g} of {count}."
        )


def _asked(
    name: str, x: Tensor, dim: Any, unbiased: Any, keepdim: Any, correction: Any
) -> tuple[int, bool, Spread]:
    """The dimensions, keepdim and the correction, from any of the ways to give them."""
    p = x._p
    if unbiased is correction is None and p.dtype >= FIRST_FLOAT and p.ndim and p.numel:
        if dim is None and p.numel > 1:
            return (1 << p.ndim) - 1, keepdim, _SPREADS[True]
        if type(dim) is int and p.shape[d := dim_index(dim, p.ndim)] > 1:
            return 1 << d, keepdim, _SPREADS[False]
    if isinstance(dim, bool):
        if unbiased is not None or keepdim or correction is not None:
            raise _refused(
                name, "a bool after input is unbiased, alone: dim must be ints, not bool"
            )
        dim, unbiased = None, dim
    value = _correction(name, unbiased, correction)
    try:
        mask = dim_mask(dim, x.ndim)
    except TypeError:
        raise _refused(name, f"dim must be ints, not {type(dim).__name__}") from None
    if not x.is_floating_point():
        subject = "std and var" if name in ("std", "var") else name
        raise RuntimeError(
            f"{subject} only support floating point and complex dtypes: {name}() got "
            f"{x.dtype.title}"
        )
    _check_freedom(name, x, mask, value)
    return mask, keepdim, Spread(value, dim is None or not x.ndim)


def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The variance over `dim` (an int, a tuple, or None for all); floating-point tensors only.

    The squared deviations are divided by their count less `correction`, which is 1, or 0 if not
    `unbiased`; a warning where nothing is left.

    >>> ad.tensor([1.0, 2.0, 3.0]).var()
    tensor(1.)
    >>> ad.tensor([1.0, 2.0, 3.0]).var(correction=0)
    tensor(0.6667)
    """
    return _var.call(input, *_asked("var", input, dim, unbiased, keepdim, correction))


def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The standard deviation over `dim`: the square root of `var`.

    >>> ad.tensor([1.0, 2.0, 3.0]).std()
    tensor(1.)
    """
    return _std.call(input, *_asked("std", input, dim, unbiased, keepdim, correction))


def _pair(name: str, x: Tensor, *given: Any) -> tuple[Tensor, Tensor]:
    spread, mean = _PAIRS[name]
    mask, keepdim, asked = _asked(name, x, *given)
    return spread.call(x, mask, keepdim, asked), mean.call(x, mask, keepdim)


def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """The variance and the mean over `dim`; arguments as of `var`.

    >>> ad.var_mean(ad.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    return _pair("var_mean", input, dim, unbiased, keepdim, correction)


def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """The standard deviation and the mean over `dim`; arguments as of `var`.

    >>> ad.std_mean(ad.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    return _pair("std_mean", input, dim, unbiased, keepdim, correction)
