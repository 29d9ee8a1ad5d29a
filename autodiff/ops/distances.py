"""Distances between rows of matrices."""

from __future__ import annotations

import math
from typing import Any

from autodiff.descriptor import fresh
from autodiff.dtypes import FIRST_FLOAT, SCALAR_NAMES
from autodiff.native import NULL, error, lib
from autodiff.ops.base import OUTPUT, Op, OpNode, called
from autodiff.ops.contraction import matmul
from autodiff.ops.diagonals import triu_indices
from autodiff.ops.elementwise import neg, sub
from autodiff.ops.halves import in_float32
from autodiff.ops.matrices import common_batch
from autodiff.ops.norms import _SHARE, _norm_forward, _order, norm_slope
from autodiff.ops.reductions import KINDS
from autodiff.ops.slices import index_add_, index_select
from autodiff.ops.transposes import mT
from autodiff.ops.views import select, unsqueeze, zeros_p
from autodiff.tensor import Tensor, own, wrap

_MODES = (
    "use_mm_for_euclid_dist_if_necessary",
    "use_mm_for_euclid_dist",
    "donot_use_mm_for_euclid_dist",
)
FEW = 25  # rows up to which PyTorch takes differences, which are exact
SMALL = 2**20  # differences, up to which they are as fast
_ORDERS = (1, 2, math.inf)  # those that one native call takes


def _euclidean_forward(a: Any, b: Any, directly: bool) -> Any:
    return lib.ad_distances(a, b, 2) if directly else lib.ad_distances_by_product(a, b)


def _euclidean_rule(
    node: OpNode, g: Tensor, x: Tensor, y: Tensor, d: Tensor
) -> tuple[Tensor, Tensor]:
    """dx = the sum of (x - y) g / d over the y, 0 where they are at no distance."""
    share = _SHARE.call(g, d)
    gx = x * share.sum(-1, keepdim=True) - matmul(share, y)
    return gx, y * unsqueeze(share.sum(-2), y.ndim - 1) - matmul(mT(share), x)


_euclidean: Op = Op(
    "euclidean_dist", _euclidean_forward, _euclidean_rule, saves=(0, 1, OUTPUT), shaped=False
)


def _check_cdist(x1: Tensor, x2: Tensor, p: float, mode: str) -> None:
    for name, x in (("X1", x1), ("X2", x2)):
        d = x._p.dtype
        if d < FIRST_FLOAT:
            raise RuntimeError(
                f"cdist only supports floating-point dtypes, {name} got: {SCALAR_NAMES[d]}"
            )
        if x._p.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    if x1._p.dtype != x2._p.dtype:
        names = [x.dtype.title for x in (x1, x2)]
        raise RuntimeError(f"expected scalar type {names[0]} but found {names[1]}")
    if not p >= 0:
        raise RuntimeError(f"cdist only supports non-negative p values, not {p}")
    if mode not in _MODES:
        raise ValueError(f"{mode} is not a valid value for compute_mode")


@called("CdistBackward0")
def cdist(
    x1: Tensor,
    x2: Tensor,
    p: float = 2.0,
    compute_mode: str = "use_mm_for_euclid_dist_if_necessary",
) -> Tensor:
    """The p-norms of the differences of each row of x1 (..., m, k) and each of x2 (..., n, k).

    For p = 2 and more than 25 rows by a product of matrices, unless `compute_mode` says otherwise:
    near zero, that loses half the digits. The gradient at no distance is 0.

    >>> ad.cdist(ad.tensor([[0.0, 0.0]]), ad.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    order = _order("cdist", p)
    _check_cdist(x1, x2, order, compute_mode)
    rows = max(x1.shape[-2], x2.shape[-2])
    by_default = compute_mode == _MODES[0]
    many = rows > FEW if by_default else compute_mode == _MODES[1]
    return _distances(x1, x2, order, many, by_default)


def _apart(p: Any, dim: int) -> Tensor:
    """With a dimension more."""
    return own(lib.ad_unsqueeze(p, dim), "cdist", p)


def _between(a: Any, b: Any) -> Tensor:
    """The differences of all rows, (..., m, n, k)."""
    return sub.call(_apart(a, a.ndim - 1), _apart(b, b.ndim - 2))


def _lengths(difference: Tensor, order: float) -> Any:
    """The definition: norms of differences; 0 of no columns."""
    p = difference._p
    last = p.ndim - 1
    return _norm_forward(p, 1 << last, False, order if p.shape[last] else 2)


def _cdist_forward(a: Any, b: Any, order: float) -> Any:
    if order in _ORDERS:
        return lib.ad_distances(a, b, order)
    return _lengths(_between(a, b), order)


def _cdist_rule(
    node: OpNode, g: Tensor, x: Tensor, y: Tensor, d: Tensor
) -> tuple[Tensor | None, ...]:
    n = d.ndim
    difference = unsqueeze(x, n - 1) - unsqueeze(y, n - 2)
    slope = norm_slope(node.args[0], unsqueeze(g, n), difference, unsqueeze(d, n), (n,))
    return slope.sum(n - 1), -slope.sum(n - 2) if node.needs(1) else None


def _cdist_sweep(node: OpNode, g: Tensor) -> tuple[Tensor | None, ...]:
    x, y, d = node.unpack()
    n = d.ndim
    slope = norm_slope(node.args[0], _apart(g._p, n), _between(x, y), _apart(d, n), (n,))._p
    dx, dy = (
        own(lib.ad_reduce(KINDS["sum"], slope, 1 << k, False, slope.dtype), "cdist", slope)
        if node.needs(i)
        else None
        for i, k in enumerate((n - 1, n - 2))
    )
    return dx, None if dy is None else neg.call(dy)


_cdist: Op = Op("cdist", _cdist_forward, _cdist_rule, saves=(0, 1, OUTPUT), shaped=False,
        sweep=_cdist_sweep)  # fmt: skip


@in_float32
def _distances(x1: Tensor, x2: Tensor, order: float, many: bool, either: bool) -> Tensor:
    pair = common_batch(x1, x2)
    if order == 2 and many and x1.shape[-1]:
        return _euclidean.on(pair, either and pair[0]._p.numel * pair[1].shape[-2] <= SMALL)
    return _cdist.on(pair, order)


def _pdist_forward(p: Any, order: float) -> Any:
    if order in _ORDERS:
        return lib.ad_distances(p, NULL, order)
    return _lengths(_of_pairs(p)[0], order)


def _of_pairs(p: Any) -> tuple[Tensor, list[Any]]:
    """The differences of each two rows, and which rows they are: the first, the others."""
    n = p.shape[0]
    pairs = fresh(lib.ad_triangle_indices(n, n, 1, False), "pdist", p)
    places = [fresh(lib.ad_select(pairs, 0, k), "pdist", p) for k in (0, 1)]
    rows = [own(lib.ad_index_get(p, 0, 1, [each]), "pdist", p) for each in places]
    return sub.call(*rows), places


def _pdist_rule(node: OpNode, g: Tensor, x: Tensor, d: Tensor) -> tuple[Tensor]:
    pairs, zero = triu_indices(x.shape[0], x.shape[0], 1), x.new_zeros(x.shape)
    i, j = select(pairs, 0, 0), select(pairs, 0, 1)
    difference = index_select(x, 0, i) - index_select(x, 0, j)
    slope = norm_slope(node.args[0], unsqueeze(g, 1), difference, unsqueeze(d, 1), (1,))
    return (index_add_(index_add_(zero, 0, i, slope), 0, j, -slope),)


def _pdist_sweep(node: OpNode, g: Tensor) -> tuple[Tensor]:
    x, d = node.unpack()
    difference, places = _of_pairs(x)
    slope = norm_slope(node.args[0], _apart(g._p, 1), difference, _apart(d, 1), (1,))
    found = zeros_p(x.dtype, x.shape[0:2])
    for each, part in zip(places, (slope, neg.call(slope)), strict=True):
        if lib.ad_index_put(found, 0, 1, [each], part._p, True):
            raise error("pdist", x)
    return (wrap(found),)


_pdist: Op = Op("pdist", _pdist_forward, _pdist_rule, saves=(0, OUTPUT), shaped=False,
        sweep=_pdist_sweep)  # fmt: skip


@called("PdistBackward0")
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm distances of each two rows of a matrix, the first with the others, and so on.

    >>> ad.pdist(ad.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    tensor([5.0000, 1.0000, 4.2426])
    """
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if not input.is_floating_point():
        raise RuntimeError("pdist only supports floating-point dtypes")
    if not p >= 0:
        raise RuntimeError(f"pdist only supports non-negative p values, not {p}")
    return _pdist(input, p)
