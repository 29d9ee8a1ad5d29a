"""Scatter along a dimension: values written, or joined, where an index of x's dimensions says."""

from __future__ import annotations

from typing import Any

from autodiff import dtypes
from autodiff.descriptor import fresh
from autodiff.native import describe, error, lib, take_failure
from autodiff.node import mode
from autodiff.ops import arithmetic, elementwise
from autodiff.ops.assign import replace_
from autodiff.ops.base import Op, OpNode, called, has_history, is_untold
from autodiff.ops.cast import to_dtype
from autodiff.ops.clones import clone, copied, row_major
from autodiff.ops.create import ROUNDED_ONCE, exact, scalar
from autodiff.ops.gather import Indices, _along, as_places
from autodiff.ops.history import check_writable, rebase
from autodiff.ops.numbers import number_of
from autodiff.ops.views import _expand, _slice, zeros_p
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor, live_node, own, wrap

_shape_key = lib.ad_shape_key
_SET, _ADD = lib.AD_SCATTER_SET, lib.AD_SCATTER_ADD
_HOW = {
    "sum": _ADD,
    "prod": lib.AD_SCATTER_MUL,
    "mean": _ADD,
    "amax": lib.AD_SCATTER_MAX,
    "amin": lib.AD_SCATTER_MIN,
}
_FIRST = {"sum": 0, "prod": 1, "mean": 0}  # what a reduction of nothing is


# ---- writes ----


def _clear_forward(g: Any, indices: Indices) -> Any:
    y = fresh(lib.ad_clone(g), "scatter", g)
    (index,) = indices.checked()
    shape = list(wrap(index).shape)
    zeros = zeros_p(g.dtype, shape)
    if lib.ad_scatter(y, indices.first, index, zeros, _SET):
        raise error("scatter", y)
    return lib.ad_alias(y)


_clear_along: Op = Op("scatter_clear", _clear_forward,
        lambda node, g: (_clear_along(g, *node.args),), shaped=False)  # fmt: skip


def _written_rule(node: OpNode, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Where x was written over nothing is left of its cotangent; what was added leaves it be."""
    indices, how = node.args
    gx = gv = None
    if node.needs(0):
        gx = g if how == _ADD else _clear_along(g, indices)
    if node.needs(1):
        gv = _along(g, indices)
    return gx, gv


_scattered: Op = Op("scatter", lambda *_: None, _written_rule, shaped=False)
_scatter_added: Op = Op(
    "scatter_add_to", lambda *_: None, _written_rule, shaped=False, grad_name="ScatterAddBackward0"
)


def _alike(x: Tensor, index: Tensor, src: Tensor) -> bool:
    """Whether all have as many dimensions."""
    return len({max(1, t.ndim) for t in (x, index, src)}) == 1


def _fits(x: Tensor, dim: int, index: Tensor, src: Tensor) -> bool:
    """Whether index is no larger than x, apart from one dimension, and no larger than src."""
    given = zip(index.shape or (1,), x.shape or (1,), src.shape or (1,), strict=True)
    return all((d == dim or n <= m) and n <= k for d, (n, m, k) in enumerate(given))


def _is_idle(x: Tensor, dim: int, index: Tensor, src: Tensor) -> bool:
    """Whether an index, which may have any shape then, is empty, and no part of a graph."""
    if index._p.numel:
        return False
    return not (has_history((src,)) and _alike(x, index, src) and _fits(x, dim, index, src))


def _check(name: str, x: Tensor, dim: int, index: Tensor, src: Tensor) -> None:
    """RuntimeError for an index or values that do not fit x."""
    if index.dtype is not dtypes.int64:
        raise RuntimeError(f"{name}(): Expected dtype int64 for index, got {index.dtype!r}")
    if src.dtype is not x.dtype:
        raise RuntimeError(
            f"{name}(): Expected self.dtype to be equal to src.dtype, got {x.dtype!r} and "
            f"{src.dtype!r}"
        )
    if index._p.numel == 0:
        return
    if not _alike(x, index, src):
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as self and src tensor: got "
            f"{index.ndim}, {x.ndim} and {src.ndim}"
        )
    if not _fits(x, dim, index, src):
        raise RuntimeError(
            f"Expected index {list(index.shape)} to be no larger than self {list(x.shape)} "
            f"apart from dimension {dim} and to be no larger size than src {list(src.shape)}"
        )


def _aligned(x: Tensor, index: Tensor, src: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The three with a dimension at least, and of src the part that the index speaks of."""
    target, places, values = (t if t.ndim else t.reshape(1) for t in (x, index, src))
    return target, places, _spoken_of(values, places._p)


def _spoken_of(src: Tensor, index: Any) -> Tensor:
    """Of values the part that an index of their dimensions speaks of."""
    if 0 != _shape_key(index) == _shape_key(src._p):
        return src
    for axis in range(index.ndim):
        size = index.shape[axis]
        if src._p.shape[axis] > size:
            src = _slice(src, axis, 0, size, 1)
    return src


def _apart(y: Tensor, input: Tensor) -> Tensor:
    """What was written on a copy; where nothing was that has a history, a copy in the graph."""
    return clone(input) if y._node is not None and y._node is live_node(input) else y


def _write(x: Tensor, dim: int, index: Tensor, src: Tensor, how: int, op: Op, name: str) -> Tensor:
    p, q = x._p, index._p
    d = dim_index(dim, p.ndim)
    if mode.grad and (x._node is not None or x._base is not None):
        check_writable(x, f"{name}_")
    filling = op is _filled  # with a number
    fits = filling or (src._p.dtype == p.dtype and src._p.ndim == q.ndim)
    if fits and q.ndim == p.ndim > 0:
        values = src if filling else _spoken_of(src, q)
        if not lib.ad_scatter(p, d, q, values._p, how):  # which checks the rest
            _remember(x, d, index, values, how, op)
            return x
        take_failure()  # to be met again
    if filling:
        src = _expand(to_dtype(src, x.dtype), index.shape)
    index = as_places(index)
    _check(name, x, d, index, src)
    if _is_idle(x, d, index, src):
        return x
    target, places, values = _aligned(x, index, src)
    if lib.ad_scatter(target._p, d, places._p, values._p, how):
        failure = take_failure()
        wrong = describe(failure, name, target._p)
        raise RuntimeError(f"{name}(): {wrong}") if failure[0] == lib.AD_BAD_INDEX else wrong
    _remember(target, d, places, values, how, op)
    return x


def _remember(x: Tensor, dim: int, index: Tensor, values: Tensor, how: int, op: Op) -> None:
    """Have x's history know of a write."""
    if mode.grad and not is_untold(x, values) and has_history((x, values)):
        edges = [live_node(x), live_node(values)]
        rebase(x, op.record((x, values), edges, (Indices([index], dim), how), x._p))


_filled = _scattered.named("ScatterBackward1")


def _filling(value: Any, d: dtypes.dtype) -> Tensor:
    """A number for places; of few dtypes there is one at hand."""
    return number_of(exact(value, d)) if d in ROUNDED_ONCE else scalar(value, d)


_REDUCE = {"add": "sum", "multiply": "prod"}


def scatter_(
    x: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: Any = None
) -> Tensor:
    """`scatter`, written over the tensor."""
    given = src if value is None else value
    source, op = given, _scattered
    if not isinstance(given, Tensor):
        source, op = _filling(given, x.dtype), _filled
    if reduce is None:
        return _write(x, dim, index, source, _SET, op, "scatter")
    if op is _filled:
        source = _expand(to_dtype(source, x.dtype), index.shape)
    if reduce not in _REDUCE:
        raise RuntimeError(f"reduce argument must be either add or multiply, got {reduce!r}")
    return scatter_reduce_(x, dim, index, source, _REDUCE[reduce])


def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: Any = None,
) -> Tensor:
    """A copy where out[index[i][j]][j] = src[i][j] for dim 0, and so on; src may be a number.

    `reduce` "add" or "multiply" joins instead of overwriting.

    >>> zeros = ad.zeros(1, 3)
    >>> zeros.scatter(1, ad.tensor([[2, 0]]), ad.tensor([[5.0, 6.0]])).tolist()
    [[6.0, 0.0, 5.0]]
    """
    return _apart(scatter_(copied(input), dim, index, src, value=value, reduce=reduce), input)


def scatter_add_(x: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`scatter_add`, added to the tensor itself."""
    return _write(x, dim, index, src, _ADD, _scatter_added, "scatter_add")


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy with out[index[i][j]][j] += src[i][j] for dim 0, and so on.

    Where places are equal, values are added in their order.

    >>> ones = ad.ones(1, 2)
    >>> ones.scatter_add(1, ad.tensor([[1, 1]]), ad.tensor([[5.0, 6.0]])).tolist()
    [[1.0, 12.0]]
    """
    return _apart(scatter_add_(copied(input), dim, index, src), input)


# ---- reductions ----


def _extreme_of(reduce: str, d: dtypes.dtype) -> Any:
    """What any number replaces."""
    if d.is_floating_point:
        return float("-inf" if reduce == "amax" else "inf")
    bits = 8 * d.itemsize - 1
    low, high = (0, 255) if d is dtypes.uint8 else (-(2**bits), 2**bits - 1)
    if d is dtypes.bool:
        low, high = 0, 1
    return low if reduce == "amax" else high


def _counts(p: Any, indices: Indices, include_self: bool) -> Tensor:
    """How many values went to each place of a descriptor; 1 where none did."""
    found = own(lib.ad_full_i64(p.dtype, p.ndim, p.shape, include_self), "scatter_add", p)
    one = fresh(lib.ad_full_i64(p.dtype, 0, [], 1), "scatter_add", p)
    if lib.ad_scatter(found._p, indices.first, indices.ps[0], one, _ADD):
        raise error("scatter_add", p)
    return found if include_self else found.masked_fill(found == 0, 1)


def _reduced(x: Tensor, src: Tensor, indices: Indices, reduce: str, include_self: bool) -> Tensor:
    (index,), dim = indices.checked(), indices.first
    p = x._p
    y = own(lib.ad_contiguous(p, p.dtype), "scatter_reduce", p)
    if not include_self:
        first = _FIRST[reduce] if reduce in _FIRST else _extreme_of(reduce, x.dtype)
        filler = _filling(first, x.dtype)._p
    if (not include_self and lib.ad_scatter(y._p, dim, index, filler, _SET)) or lib.ad_scatter(
        y._p, dim, index, src._p, _HOW[reduce]
    ):
        failure = take_failure()
        _check("scatter", x, dim, wrap(index), src)
        wrong = describe(failure, "scatter_reduce", x._p)
        bad = failure[0] == lib.AD_BAD_INDEX
        raise RuntimeError(f"scatter_reduce(): {wrong}") if bad else wrong
    if reduce == "mean":
        n = _counts(p, indices, include_self)
        op = elementwise.div if x.is_floating_point() else arithmetic.division("floor")
        y = op.call(y, n)
    return y


def _mean_vjp(
    g: Tensor, x: Tensor, src: Tensor, y: Tensor, indices: Indices, include_self: bool
) -> tuple[Tensor, Tensor]:
    share = g / _counts(x._p, indices, include_self)
    return share, _along(share, indices)


def _prod_vjp(
    g: Tensor, x: Tensor, src: Tensor, y: Tensor, indices: Indices, include_self: bool
) -> tuple[Tensor, Tensor]:
    """The product of the others: the quotient, or, of a single zero, the product without it."""
    index, dim = wrap(indices.ps[0]), indices.first

    def reduced(a: Tensor, b: Tensor) -> Tensor:
        return scatter_reduce(a, dim, index, b, "prod", include_self=include_self)

    whole = x.masked_fill(x == 0, 1)
    gx = g * reduced(whole, src) / whole
    zero = src == 0
    zeros = scatter_add(src.new_zeros(x.shape), dim, index, zero.to(src.dtype))
    single = zero & (zeros.gather(dim, index) == 1)
    others = reduced(x, src.masked_fill(single, 1)).gather(dim, index)
    rest = y.gather(dim, index) / src.masked_fill(zero, 1)
    return gx, g.gather(dim, index) * arithmetic.where(single, others, rest)


def _extreme_vjp(
    g: Tensor, x: Tensor, src: Tensor, y: Tensor, indices: Indices, include_self: bool
) -> tuple[Tensor, Tensor]:
    """Equal extremes share the cotangent."""
    own = to_dtype((x == y).detach(), x.dtype)
    if not include_self:
        own = _clear_along(own, indices)
    theirs = to_dtype((src == _along(y, indices)).detach(), x.dtype)
    share = g / scatter_add(own, indices.first, wrap(indices.ps[0]), theirs)
    return own * share, theirs * _along(share, indices)


_VJPS = {"mean": _mean_vjp, "prod": _prod_vjp, "amax": _extreme_vjp, "amin": _extreme_vjp}


def _reduce_rule(
    node: OpNode, g: Tensor, x: Tensor, src: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    indices, reduce, include_self = node.args
    gx, gs = _VJPS[reduce](g, x, src, y, indices, include_self)
    return gx if include_self else _clear_along(gx, indices), gs


_scatter_reduce: Op = Op("scatter_reduce",
        lambda p, q, *args: lib.ad_alias(_reduced(wrap(p), wrap(q), *args)._p), _reduce_rule,
        saves=(0, 1, -1), shaped=False)  # fmt: skip


@called("ScatterReduceBackward0")
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy whose elements are reduced with the values of src that index sends to them.

    `reduce` is "sum", "prod", "mean", "amax" or "amin". Without `include_self` the element itself
    is left out where any value comes.

    >>> x, places = ad.zeros(2), ad.tensor([0, 0, 1])
    >>> x.scatter_reduce(0, places, ad.tensor([1.0, 3.0, 2.0]), "mean").tolist()
    [1.3333333730697632, 1.0]
    """
    if reduce not in _HOW:
        raise RuntimeError(
            "reduce argument must be either sum, prod, mean, amax or amin, got " + repr(reduce)
        )
    if reduce == "sum" and include_self:
        return scatter_add(input, dim, index, src)
    d = dim_index(dim, input._p.ndim)
    return reduced_at(input, d, as_places(index), src, reduce, include_self)


def reduced_at(
    input: Tensor, d: int, index: Tensor, src: Tensor, reduce: str, include_self: bool
) -> Tensor:
    """The same by an int64 index, but for sums that include what is there."""
    p, q, s = input._p, index._p, src._p
    x, places = input, index
    if p.ndim == q.ndim == s.ndim > 0 < q.numel and p.dtype == s.dtype:
        values = _spoken_of(src, q)
        if include_self and reduce != "mean" and is_untold(x, src):
            written = copied(x)
            if not lib.ad_scatter(written._p, d, q, values._p, _HOW[reduce]):
                return written
            take_failure()  # to be met again
    else:
        _check("scatter", input, d, index, src)
        if _is_idle(input, d, index, src):
            return clone(input)
        x, places, values = _aligned(input, index, src)
    if reduce == "sum":
        y = scatter_add_(scatter_(row_major(x), d, places, 0), d, places, values)
    else:
        args = (Indices([places], d), reduce, include_self)
        if is_untold(x, values):
            y = _reduced(x, values, *args)
        else:
            y = _scatter_reduce.on([x, values], *args)
    return y if input.ndim else y.reshape(())


def scatter_reduce_(
    x: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`scatter_reduce`, written over the tensor."""
    if reduce == "sum" and include_self:
        return scatter_add_(x, dim, index, src)
    before = clone(x)  # which the rule may look at when x is written
    return replace_(x, scatter_reduce(before, dim, index, src, reduce, include_self=include_self))
