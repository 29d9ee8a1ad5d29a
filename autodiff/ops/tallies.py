"""How often values are: the most frequent ones, and histograms."""

from __future__ import annotations

import math
from typing import Any

from autodiff.dtypes import int64
from autodiff.named import NamedTuple
from autodiff.native import NULL, lib
from autodiff.ops.convert import tensor
from autodiff.ops.create import linspace
from autodiff.ops.guard import strict
from autodiff.ops.ranks import picked
from autodiff.ops.returned import Chosen, returned
from autodiff.ops.searching import searchsorted
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor, own


@returned("mode")
class mode_result(Chosen):
    """What `mode` returns."""


@returned("histogram")
class histogram_result(NamedTuple):
    """What `histogram` returns."""

    hist: Tensor
    bin_edges: Tensor


@returned("histogramdd")
class histogramdd_result(NamedTuple):
    """What `histogramdd` returns."""

    hist: Tensor
    bin_edges: tuple[Tensor, ...]


@strict
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> mode_result:
    """The most frequent value along a dimension, the least of several, and the last place of it.

    >>> ad.mode(ad.tensor([1, 2, 2, 1, 3]))
    torch.return_types.mode(
    values=tensor(1),
    indices=tensor(3))
    """
    d = dim_index(dim, input.ndim)
    if not input.ndim:
        return mode_result(input.clone(), tensor(0))
    if not input._p.shape[d]:
        raise IndexError(f"mode(): Expected reduction dim {d} to have non-zero size.")
    return mode_result(*picked("mode", input, d, 1, keepdim))


def _check(name: str, x: Tensor) -> None:
    if not x.is_floating_point():
        raise NotImplementedError(f'"{name}" not implemented for {x.dtype.title!r}')


def _dense(x: Tensor) -> Tensor:
    dense: Tensor = x.detach().contiguous()
    return dense


def _reach(x: Tensor, empty: tuple[float, float]) -> tuple[float, float]:
    return (x.min().item(), x.max().item()) if x._p.numel else empty


def _bounds(name: str, low: float, high: float, by: float) -> tuple[float, float]:
    """The range; where it is none, it is widened by `by` to both sides."""
    if not (abs(low) < float("inf") and abs(high) < float("inf")):
        raise RuntimeError(f"{name}: range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(f"{name}: max must be larger than min")
    return (low - by, high + by) if low == high else (low, high)


def _counts(x: Tensor, edges: Tensor, even: bool, weight: Any = NULL) -> Tensor:
    """The weights of the elements from each edge to the next, the last edge included; even parts
    by the share of a range that is below an element.
    """
    return own(lib.ad_histogram(x._p, edges._p, even, weight), "histogram", x._p, edges._p)


def _edges(name: str, x: Tensor, bins: Any, range: Any) -> Tensor:
    """Those given, or those of as many equal parts of a range."""
    if not isinstance(bins, Tensor):
        if bins <= 0:
            raise RuntimeError(f"{name}: bins must be > 0, but got {bins}")
        low, high = range or _reach(x, (0, 1))
        low, high = _bounds(name, low, high, 0.5)
        return linspace(low, high, bins + 1, dtype=x.dtype)
    if bins.dtype is not x.dtype:
        raise RuntimeError(
            f"{name}: input tensor and bins tensors should have the same dtype, but got input with "
            f"dtype {x.dtype!r} and bins with dtype {bins.dtype!r}"
        )
    edges: Tensor = bins.detach().clone().contiguous()
    return edges


@strict
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements are in each of `bins` equal parts of [min, max], or of their own range.

    >>> ad.histc(ad.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    _check("histogram_cpu", input)
    if bins >= 2**63:
        raise ValueError(f"histc(): argument 'bins' does not fit 64 bits: {bins}")
    if bins <= 0:
        raise RuntimeError(f"bins must be > 0, but got {bins}")
    x = _dense(input)
    low, high = _reach(x, (min, max)) if min == max else (min, max)
    low, high = _bounds("histc", low, high, 1)
    return _counts(x, linspace(low, high, bins + 1, dtype=x.dtype), True)


def histogram(
    input: Tensor,
    bins: Any = 100,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> histogram_result:
    """The weights of the elements in each bin, and the edges: `bins` equal parts of a range, or
    the parts between the numbers of a tensor. A density sums, times the widths, to 1.

    >>> ad.histogram(ad.tensor([1.0, 2.0, 1.0]), bins=2, range=(0.0, 4.0)).hist
    tensor([2., 1.])
    """
    _check("histogramdd", input)
    x = _dense(input)
    edges = _edges("torch.histogram", x, bins, range)
    if weight is not None and weight.shape != input.shape:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the "
            f"input tensor, but got {list(weight.shape)}"
        )
    hist = _counts(x, edges, False, NULL if weight is None else _dense(weight)._p)
    if density:
        hist = hist / hist.sum() / edges.diff()
    return histogram_result(hist, edges)


def histogramdd(
    input: Tensor,
    bins: Any,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> histogramdd_result:
    """The weights of the points (the rows of input) in each cell of a grid, and its edges.

    `bins` are equal parts of each dimension's range, as many for all or a list of them, or a list
    of the edges. `range` has two bounds for each dimension. A density sums, times volumes, to 1.

    >>> points = ad.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> ad.histogramdd(points, bins=2).hist
    tensor([[0., 1.],
            [1., 1.]])
    """
    name = "histogramdd"
    _check(name, input)
    if input.ndim < 2:
        raise RuntimeError(f"{name}(): input must be (..., coordinates), not {list(input.shape)}")
    n = input.shape[-1]
    points = input.detach().reshape(-1, n)
    parts = list(bins) if isinstance(bins, (list, tuple)) else [bins] * n
    if len(parts) != n or (range is not None and len(range) != 2 * n):
        raise RuntimeError(
            f"{name}(): points of {n} coordinates need as many bins and twice as many bounds, not "
            f"{len(parts)} and {range}"
        )
    if weight is not None and weight.shape != input.shape[:-1]:
        raise RuntimeError(
            f"{name}(): weight must be {list(input.shape[:-1])}, not {list(weight.shape)}"
        )
    edges: list[Tensor] = []
    cell = points.new_zeros(points.shape[0], dtype=int64)
    inside = cell == 0
    for d, part in enumerate(parts):
        x = points[:, d].contiguous()
        found = _edges(name, x, part, range and range[2 * d : 2 * d + 2])
        inside = inside & (x >= found[0]) & (x <= found[-1])
        last = found.numel() - 1
        cell = cell * last + (searchsorted(found, x, right=True) - 1).clamp(0, last - 1)
        edges.append(found)
    shape = [e.numel() - 1 for e in edges]
    weights = points.new_ones(cell.shape) if weight is None else weight.detach().reshape(-1)
    hist = points.new_zeros(math.prod(shape)).index_add(0, cell[inside], weights[inside])
    hist = hist.reshape(shape)
    if density:
        hist = hist / hist.sum()
        for d, e in enumerate(edges):
            hist = hist / e.diff().reshape(-1, *[1] * (n - d - 1))
    return histogramdd_result(hist, tuple(edges))
