"""Elements by their rank along a dimension: the k-th smallest, medians and quantiles."""

from __future__ import annotations

import math
import operator
from typing import Any

from autodiff import dtypes
from autodiff.descriptor import fresh
from autodiff.native import error, ffi, hold, lib, refuse_any
from autodiff.node import mode
from autodiff.ops.arithmetic import lerp, where
from autodiff.ops.base import OUTPUT, Op, titled
from autodiff.ops.elementwise import mul
from autodiff.ops.extremes import extreme_rule
from autodiff.ops.gather import choice, chosen, gather
from autodiff.ops.guard import must_be
from autodiff.ops.out import written, written_all
from autodiff.ops.rearrange import movedim
from autodiff.ops.returned import Chosen, returned
from autodiff.ops.sorting import sort
from autodiff.ops.views import expand, reshape, select, unsqueeze
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor, live_node, wrap


@returned("kthvalue")
class kthvalue_result(Chosen):
    """What `kthvalue` returns."""


@returned("median")
class median_result(Chosen):
    """What `median` over a dimension returns."""


@returned("nanmedian")
class nanmedian_result(Chosen):
    """What `nanmedian` over a dimension returns."""


_CHOICES = {
    "kthvalue": (choice("kthvalue", "KthvalueBackward0"), lib.AD_PICK_KTH),
    "median": (choice("median_dim", "MedianBackward1"), lib.AD_PICK_MEDIAN),
    "mode": (choice("mode", "ModeBackward0"), lib.AD_PICK_MODE),
    "nanmedian": (choice("nanmedian_dim", "NanmedianBackward1"), lib.AD_PICK_NANMEDIAN),
}


_TWO = ffi.typeof("ad_tensor *[2]")


def _native(name: str, p: Any, dim: int, k: int, how: int, keepdim: bool) -> list[Any]:
    """The value that is picked of each line, and where it is."""
    out = ffi.new(_TWO)
    if lib.ad_pick(p, dim, k, how, keepdim, out):
        raise error(name, p)
    return [hold(out[0]), hold(out[1])]


def _check_numbers(name: str, x: Tensor) -> None:
    if x._p.dtype == dtypes.bool.code:
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for 'Bool'")


def picked(name: str, x: Tensor, dim: int, k: int, keepdim: Any) -> tuple[Tensor, Tensor]:
    """The element that is picked along a dimension, and where it is."""
    if not isinstance(keepdim, bool):
        raise must_be(name, "keepdim", "bool", keepdim)
    op, how = _CHOICES[name]
    kept = keepdim or not x._p.ndim
    values, index = _native(name, x._p, dim, k, how, kept)
    places = wrap(index)
    if not mode.grad or live_node(x) is None:
        return wrap(values), places
    return chosen(op, x, values, places, dim, kept), places


def kthvalue(
    input: Tensor, k: int, dim: int = -1, keepdim: bool = False, *, out: Any = None
) -> kthvalue_result:
    """The k-th smallest element along a dimension, and where it is; nans count as largest.

    >>> ad.kthvalue(ad.tensor([3.0, 1.0, 2.0]), 2).values.item()
    2.0
    """
    if isinstance(k, bool):
        raise TypeError("kthvalue(): argument 'k' must be int, not bool")
    _check_numbers("kthvalue", input)
    at = dim_index(dim, input.ndim)
    size = input.shape[at] if input.ndim else 1
    if not size:
        raise IndexError(f"kthvalue(): Expected reduction dim {at} to have non-zero size.")
    if not 1 <= operator.index(k) <= size:
        raise RuntimeError(
            f"kthvalue(): selected number k out of range for dimension {at}: {k} of {size}"
        )
    found = picked("kthvalue", input, at, operator.index(k), keepdim)
    return kthvalue_result(*written_all("kthvalue", out, found, input))


def _of_all(name: str) -> Op:
    """The median of all elements; equal ones share the cotangent."""

    def forward(p: Any, mask: int, keepdim: bool, how: int) -> Any:
        dense = p if p.contiguous else fresh(lib.ad_contiguous(p, p.dtype), name, p)
        row = dense if p.ndim == 1 else fresh(lib.ad_view(dense, 1, [p.numel]), name, p)
        out = ffi.new(_TWO)
        if not lib.ad_pick(row, 0, 1, how, False, out):
            lib.ad_free(out[1])
        return hold(out[0])

    return Op(name, forward, extreme_rule, saves=(0, OUTPUT))


_MEDIAN = {"median": _of_all("median"), "nanmedian": _of_all("nanmedian")}


def _median(name: str, x: Tensor, dim: int | None, keepdim: bool) -> Any:
    _check_numbers(name, x)
    if dim is None and keepdim:
        raise TypeError(f"{name}(): argument 'dim' must be int, not NoneType, with keepdim")
    if dim is None:
        if x._p.numel:
            return _MEDIAN[name](x, (1 << x._p.ndim) - 1, False, _CHOICES[name][1])
        least = 0 if x.dtype is dtypes.uint8 else -(2 ** (8 * x.itemsize - 1))
        return x.sum() + math.nan if x.is_floating_point() else x.new_full((), least)
    at = dim_index(dim, x.ndim)
    if x.ndim and not x.shape[at]:
        raise IndexError(f"{name}(): Expected reduction dim {at} to have non-zero size.")
    return picked(name, x, at, 1, keepdim)


def median(input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """The median, of an even number the lower of two; nan if there is one. With `dim`, (values,
    indices) along it; without, equal ones share the gradient.

    >>> ad.median(ad.tensor([1.0, 3.0, 2.0])).item()
    2.0
    """
    found = _median("median", input, dim, keepdim)
    if dim is None:
        return written("median", out, found, input)
    return median_result(*(found if out is None else written_all("median", out, found, input)))


def nanmedian(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Any = None
) -> Any:
    """The `median` of the elements that are not nan.

    >>> ad.nanmedian(ad.tensor([1.0, float("nan"), 2.0])).item()
    1.0
    """
    found = _median("nanmedian", input, dim, keepdim)
    if dim is None:
        return written("nanmedian", out, found, input)
    return nanmedian_result(*written_all("nanmedian", out, found, input))


# ---- quantiles ----

_WAYS = ("linear", "lower", "higher", "midpoint", "nearest")


def _shares(name: str, x: Tensor, q: Any) -> Tensor:
    """q as a tensor: a number, or a vector, of x's dtype."""
    if isinstance(q, Tensor):
        if q.ndim > 1:
            raise RuntimeError(f"{name}() q must be a scalar or 1D tensor, not {q.ndim}-D")
        if q.dtype is not x.dtype:
            raise RuntimeError(
                f"{name}() q tensor must be same dtype as the input tensor, not {q.dtype.title}"
            )
        inside = (q.detach() >= 0) & (q.detach() <= 1)
        refuse_any((~inside)._p, RuntimeError, f"{name}() q values must be in the range [0, 1]")
        return q
    q = dtypes.plain(q)
    if not isinstance(q, (int, float)):
        raise must_be(name, "q", "float or Tensor", q)
    if not 0 <= q <= 1:
        raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q}")
    return x.new_full((), q)


def _ranks(rows: Tensor, q: Tensor, ignores_nan: bool) -> Tensor:
    """Which elements of sorted rows are meant, between two where the rank is no whole number."""
    n = rows.shape[-1]
    nan = rows.detach().isnan()
    if ignores_nan:
        there = nan.logical_not().sum(-1, keepdim=True)
        return mul.call(q, there.sub(1).clamp(min=0))
    return where(nan.narrow(-1, n - 1, 1), n - 1, q * (n - 1))  # type: ignore[no-any-return]


def _check_text(name: str, interpolation: Any) -> None:
    if not isinstance(interpolation, str):
        raise must_be(name, "interpolation", "str", interpolation)


def _quantile(
    name: str, x: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, out: Any
) -> Tensor:
    if x.dtype not in (dtypes.float32, dtypes.float64):
        kind = NotImplementedError if x.is_floating_point() else RuntimeError
        raise kind(
            f"{name}() input tensor must be either float or double dtype, not {x.dtype.title}"
        )
    if not isinstance(keepdim, bool):
        raise must_be(name, "keepdim", "bool", keepdim)
    if interpolation not in _WAYS:
        _check_text(name, interpolation)
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {interpolation}"
        )
    share = _shares(name, x, q)
    if not x.numel():
        raise RuntimeError(f"{name}() input tensor must be non-empty, not {list(x.shape)}")
    whole = dim is None or not x.ndim
    at = 0 if dim is None else dim_index(dim, x.ndim)
    rows = sort(reshape(x, -1) if whole else movedim(x, at, -1)).values
    y = _interpolated(rows, _ranks(rows, reshape(share, -1), name == "nanquantile"), interpolation)
    y = movedim(y, -1, 0) if share.ndim else select(y, -1, 0)
    if keepdim:
        lead = share.ndim
        y = reshape(y, [*y.shape[:lead], *[1] * x.ndim]) if whole else unsqueeze(y, at + lead)
    return written(name, out, titled(y, "SqueezeBackward4"), x)


def _interpolated(rows: Tensor, ranks: Tensor, way: str) -> Tensor:
    """The elements at the ranks, or what is between two of them."""
    ranks = expand(ranks, [*rows.shape[:-1], ranks.shape[-1]])
    floor, ceil = ranks.detach().floor(), ranks.detach().ceil()
    if way in ("lower", "higher", "nearest"):
        place = {"lower": floor, "higher": ceil, "nearest": ranks.detach().round()}[way]
        return gather(rows, -1, place.to(dtypes.int64))
    below, above = (gather(rows, -1, place.to(dtypes.int64)) for place in (floor, ceil))
    return lerp(below, above, 0.5 if way == "midpoint" else ranks - floor)


def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor:
    """The q-quantiles of all elements, or along `dim`; nan if there is one.

    q is a number from 0 to 1, or a vector of them, which is the result's first dimension. Between
    two elements `interpolation` decides: linear, lower, higher, midpoint or nearest.

    >>> ad.quantile(ad.tensor([1.0, 2.0, 4.0]), 0.75).item()
    3.0
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, out)


def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    out: Tensor | None = None,
) -> Tensor:
    """The `quantile` of the elements that are not nan.

    >>> ad.nanquantile(ad.tensor([1.0, float("nan"), 2.0]), 0.5).item()
    1.5
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, out)
