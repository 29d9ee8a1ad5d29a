"""Running sums, products, extremes and logarithms of sums of exponentials along a dimension.

A linear recurrence y[i] = b[i] + a[i] y[i - 1] is what the vjps of the others are made of, and its
own is another one, from the other end.
"""

from __future__ import annotations

from typing import Any

from autodiff import dtypes
from autodiff.dtypes import dtype
from autodiff.expr import build, inputs
from autodiff.native import error, ffi, hold, lib
from autodiff.ops.assign import replace_
from autodiff.ops.base import OUTPUT, Op, OpNode, is_untold
from autodiff.ops.cast import to_dtype
from autodiff.ops.clones import clone
from autodiff.ops.declare import exp, where
from autodiff.ops.elementwise import mul
from autodiff.ops.gather import choice, chosen
from autodiff.ops.halves import in_float32
from autodiff.ops.join import cat
from autodiff.ops.out import written_all
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.returned import Chosen, returned
from autodiff.ops.views import narrow
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor, wrap

# ---- recurrences ----


def _times_next(
    c: Tensor, y: Tensor, dim: int, reverse: bool, end: Tensor, in_front: bool
) -> Tensor:
    """c[i] y[i - 1], or c[i] y[i + 1] if `reverse`, of all that there are, and `end` at one end."""
    n = c.shape[dim] - 1
    parts = narrow(c, dim, int(not reverse), n), narrow(y, dim, int(reverse), n)
    pieces = [end, mul.call(*parts)]
    return cat(pieces if in_front else pieces[::-1], dim)


def _recurrence_rule(node: OpNode, g: Tensor, a: Tensor, y: Tensor) -> tuple[Tensor | None, Tensor]:
    """db is the recurrence from the other end, da that times the y it multiplied."""
    dim, reverse, lags = node.args
    db = _recurrence.on((a, g), dim, not reverse, not lags)
    if not node.needs(0):
        return None, db
    nothing = narrow(g.detach(), dim, 0, 1).new_zeros(narrow(g, dim, 0, 1).shape)
    return _times_next(db, y, dim, reverse, nothing, reverse == lags), db


_recurrence: Op = Op(
    "recurrence", lib.ad_recurrence, _recurrence_rule, saves=(0, OUTPUT), shaped=False
)

# ---- sums and products ----

_cumsum: Op = Op("cumsum", lib.ad_cumsum,
        lambda node, g: (_cumsum(g, node.args[0], not node.args[1]),), shaped=False)  # fmt: skip


def _cumprod_rule(node: OpNode, g: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor]:
    """The product before an element, times g[i] + x[i + 1] (g[i + 1] + x[i + 2] (...)): no
    division, so right where elements are 0.
    """
    (dim,) = node.args
    if not x.numel():
        return (g,)
    behind = _recurrence.on((x, g), dim, True, True)
    return (_times_next(behind, y, dim, False, narrow(behind, dim, 0, 1), True),)


_cumprod: Op = Op("cumprod", lib.ad_cumprod, _cumprod_rule, saves=(0, OUTPUT), shaped=False)


def _folded(op: Op, x: Tensor, at: int, d: dtype | None) -> Tensor:
    """Of integers in int64, whatever dtype the result has."""
    args = (at, False) if op is _cumsum or not x.ndim else (at,)
    op = op if x.ndim else _cumsum
    if d is dtypes.bool:
        raise NotImplementedError(f"\"{op.name}_out_cpu\" not implemented for 'Bool'")
    if d is None and x.is_floating_point():
        return op(x, *args)
    if d is not None and d.is_floating_point:
        return op(to_dtype(x, d), *args)
    y = op(to_dtype(to_dtype(x, dtypes.int64 if d is None else d), dtypes.int64), *args)
    return y if d is None else to_dtype(y, d)


def cumsum(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """The running sums along a dimension. Integers are summed as int64 unless `dtype` is given.

    >>> ad.cumsum(ad.tensor([1, 2, 3]), 0).tolist()
    [1, 3, 6]
    """
    p = input._p
    at = dim_index(dim, p.ndim)
    if dtype is None and p.dtype >= _FLOAT:
        return _cumsum(input, at, False)
    return _folded(_cumsum, input, at, dtype)


def cumprod(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """The running products along a dimension, of integers as `cumsum`.

    >>> ad.cumprod(ad.tensor([1, 2, 3]), 0).tolist()
    [1, 2, 6]
    """
    p = input._p
    at = dim_index(dim, p.ndim)
    if dtype is None and p.dtype >= _FLOAT and p.ndim:
        return _cumprod(input, at)
    return _folded(_cumprod, input, at, dtype)


_FLOAT = dtypes.float32.code


def _over(name: str, function: Any) -> Any:
    """The function, written over its tensor, whose dtype `dtype` may only repeat."""

    def method(self: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
        if dtype not in (None, self.dtype):
            names = [d.title.lower() for d in (self.dtype, dtype)]
            raise RuntimeError(
                f"Bad in-place call: input tensor dtype {names[0]} and output tensor dtype "
                f"{names[1]} should match"
            )
        x = self if is_untold(self, self) else clone(self)  # which the rule may look at afterwards
        return replace_(self, function(x, dim, dtype=None if x._p.dtype >= _FLOAT else x.dtype))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`{function.__name__}`, written over the tensor."
    return method


cumsum_, cumprod_ = _over("cumsum_", cumsum), _over("cumprod_", cumprod)

# ---- logarithms of sums of exponentials ----

_a, _b = inputs(2)
_ratio = PointwiseOp("exp_difference", exp(where(build("eq", _a, _b), 0.0, _a - _b)), 2)


def _logcumsumexp_rule(node: OpNode, g: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor]:
    """The sum of exp(x[i] - y[j]) g[j] over j >= i, whose exponents are never positive."""
    (dim,) = node.args
    n = x.shape[dim]
    if n < 2:
        return (g,)
    falls = _ratio.call(narrow(y, dim, 0, n - 1), narrow(y, dim, 1, n - 1))
    falls = cat([falls, narrow(falls, dim, 0, 1)], dim)  # the last has nothing behind it
    return (mul.call(_ratio.call(x, y), _recurrence.on((falls, g), dim, True, False)),)


_logcumsumexp: Op = Op(
    "logcumsumexp", lib.ad_logcumsumexp, _logcumsumexp_rule, saves=(0, OUTPUT), shaped=False
)


@in_float32
def _logcumsumexp_of(x: Tensor, dim: int) -> Tensor:
    return _logcumsumexp(x, dim)


def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """The logarithm of the running sums of exp(input) along a dimension; of floats.

    >>> ad.logcumsumexp(ad.tensor([0.0, 0.0]), 0)
    tensor([0.0000, 0.6931])
    """
    if not input.is_floating_point():
        kind = input.dtype.title
        raise NotImplementedError(f'"logcumsumexp_out_cpu" not implemented for {kind!r}')
    at = dim_index(dim, input.ndim)
    one = not input.ndim or input.shape[at] == 1
    return clone(input) if one else _logcumsumexp_of(input, at)


# ---- extremes ----

_CHOICES = {
    "cummax": choice("cummax", "CummaxBackward0"),
    "cummin": choice("cummin", "CumminBackward0"),
}


@returned("cummax")
class cummax_result(Chosen):
    """What `cummax` returns."""


@returned("cummin")
class cummin_result(Chosen):
    """What `cummin` returns."""


def _extremes(name: str, x: Tensor, dim: int, into: Any) -> tuple[Tensor, ...]:
    at, out = dim_index(dim, x.ndim), ffi.new("ad_tensor *[2]")
    if lib.ad_running_extremes(x._p, at, name == "cummax", out):
        raise error(name, x._p)
    values, index = hold(out[0]), wrap(hold(out[1]))
    found = chosen(_CHOICES[name], x, values, index, at, True), index
    return tuple(written_all(name, into, found, x))


def cummax(input: Tensor, dim: int, *, out: Any = None) -> cummax_result:
    """The largest elements so far along a dimension, and where they are: of equal ones the last.

    >>> ad.cummax(ad.tensor([1.0, 3.0, 2.0]), 0).values.tolist()
    [1.0, 3.0, 3.0]
    """
    return cummax_result(*_extremes("cummax", input, dim, out))


def cummin(input: Tensor, dim: int, *, out: Any = None) -> cummin_result:
    """The smallest elements so far along a dimension, and where they are: of equal ones the last.

    >>> ad.cummin(ad.tensor([2.0, 3.0, 1.0]), 0).values.tolist()
    [2.0, 2.0, 1.0]
    """
    return cummin_result(*_extremes("cummin", input, dim, out))
