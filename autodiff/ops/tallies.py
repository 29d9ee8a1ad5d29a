"""How often values are: the most frequent ones, and histograms."""

from __future__ import annotations

from typing import Any, NamedTuple

from autodiff.native import NULL, lib
from autodiff.ops.convert import tensor
from autodiff.ops.create import linspace
from autodiff.ops.guard import strict
from autodiff.ops.ranks import picked
from autodiff.ops.returned import Chosen, returned
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor, own


@returned("mode")
class mode_result(Chosen):  # noqa: N801 - as max_result
    """What `mode` returns."""


@returned("histogram")
class histogram_result(NamedTuple):  # noqa: N801 - as max_result
    """What `histogram` returns."""

    hist: Tensor
    bin_edges: Tensor


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


def _counts(x: Tensor, edges: Tensor, weight: Any = NULL) -> Tensor:
    """The weights of the elements from each edge to the next, the last edge included."""
    return own(lib.ad_histogram(x._p, edges._p, weight), "histogram", x._p, edges._p)


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
    return _counts(x, linspace(low, high, bins + 1, dtype=x.dtype))


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
    if isinstance(bins, Tensor):
        if bins.dtype is not x.dtype:
            raise RuntimeError(
                "torch.histogramdd: input tensor and bins tensors should have the same dtype, but "
                f"got input with dtype {x.dtype!r} and bins with dtype {bins.dtype!r}"
            )
        edges = bins.detach().clone().contiguous()
    else:
        if bins <= 0:
            raise RuntimeError(f"torch.histogram: bins must be > 0, but got {bins}")
        low, high = range or _reach(x, (0, 1))
        low, high = _bounds("torch.histogram", low, high, 0.5)
        edges = linspace(low, high, bins + 1, dtype=x.dtype)
    if weight is not None and weight.shape != input.shape:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the "
            f"input tensor, but got {list(weight.shape)}"
        )
    hist = _counts(x, edges, NULL if weight is None else _dense(weight)._p)
    if density:
        hist = hist / hist.sum() / edges.diff()
    return histogram_result(hist, edges)
