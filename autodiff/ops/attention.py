"""Scaled dot product attention, a block of queries at a time.

The scores of a block against all keys are made, turned into weights and used up before those of the
next block: so memory grows with the number of keys, not with its product with that of queries. The
backward pass makes the weights again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from autodiff.dtypes import float32, float64
from autodiff.expr import build, inputs
from autodiff.native import NULL, descriptors, error, lib
from autodiff.node import mode
from autodiff.ops.base import Op, OpNode
from autodiff.ops.contraction import _multiply
from autodiff.ops.create import arange, empty, zeros
from autodiff.ops.declare import where
from autodiff.ops.elementwise import mul
from autodiff.ops.halves import in_float32
from autodiff.ops.normalize import _softmax_vjp, softmax
from autodiff.ops.pointwise import PointwiseOp, number
from autodiff.ops.recompute import cotangents_of
from autodiff.ops.views import narrow, unsqueeze
from autodiff.tensor import Tensor, _free, _gc, wrap

__all__ = ["attend", "masked", "weights_of"]

BLOCK = 1 << 19  # scores that are made at once, as far as a few queries allow
_a, _b, _c = inputs(3)
_kept = PointwiseOp("masked_scores", where(_b, _a, -math.inf), 2)
_causal = PointwiseOp("causal_scores", where(build("le", _c, _b), _a, -math.inf), 3)
_alive = PointwiseOp("alive_scores", where(build("eq", _b, -math.inf), 0.0, _a), 2)


class Asked(NamedTuple):
    """Whether keys after a query are left out, and what scores are multiplied by."""

    causal: bool
    scale: float


def masked(scores: Tensor, mask: Tensor | None, causal: bool, first: int = 0) -> Tensor:
    """Scores of queries from `first` on: -inf where a mask of bools is False; plus other masks."""
    if causal:
        queries, keys = scores.shape[-2:]
        rows = arange(first, first + queries, dtype=scores.dtype)
        return _causal.call(scores, unsqueeze(rows, 1), arange(keys, dtype=scores.dtype))
    if mask is None:
        return scores
    return scores + mask if mask.is_floating_point() else _kept.call(scores, mask)


def weights_of(scores: Tensor, may_be_dead: bool) -> Tensor:
    """The softmax of rows; of rows of -inf alone, where there may be any, zeros."""
    weights = softmax(scores, -1)
    if not may_be_dead or not scores.shape[-1]:
        return weights
    return _alive.call(weights, scores.detach().amax(-1, keepdim=True))


def composed(asked: Asked, q: Tensor, k: Tensor, v: Tensor, *mask: Tensor) -> Tensor:
    """Attention of differentiable operations."""
    scores = _multiply(mul.call(q, number(asked.scale)), k, 2)
    scores = masked(scores, mask[0] if mask else None, asked.causal)
    return _multiply(weights_of(scores, bool(mask)), v, 0)


def _blocks(batch: Sequence[int], queries: int, keys: int) -> Iterator[tuple[int, int]]:
    """Where the blocks of queries begin, and how many there are in each."""
    rows = max(16, BLOCK // max(1, math.prod(batch) * keys))
    for first in range(0, queries, rows):
        yield first, min(rows, queries - first)


def _weights(
    q: Tensor, k: Tensor, mask: Sequence[Tensor], asked: Asked, first: int, rows: int
) -> Tensor:
    """The weights of a block; `q` is scaled, `k` has the keys it may see."""
    given = mask[0] if mask else None
    if given is not None and given.ndim > 1 and given.shape[-2] != 1:
        given = narrow(given, -2, first, rows)
    scores = _multiply(narrow(q, -2, first, rows), k, 2)
    return weights_of(masked(scores, given, asked.causal, first), bool(mask))


def _seen(asked: Asked, end: int, keys: int) -> int:
    """How many keys the queries before `end` see."""
    return min(end, keys) if asked.causal else keys


def _is_native(q: Tensor, k: Tensor, v: Tensor, *mask: Tensor) -> bool:
    """Whether one native call does: no mask, batches alike, products of more than vectors."""
    xs = (q, k, v)
    return (
        not mask
        and q.dtype in (float32, float64)
        and all(x.numel() and min(x.shape[-2:]) > 1 and x.shape[:-2] == q.shape[:-2] for x in xs)
    )


def _forward(*args: Any) -> Any:
    *ps, asked = args
    q, k, v, *mask = map(wrap, ps)
    if _is_native(q, k, v, *mask):
        return lib.ad_attend(*ps, asked.scale, asked.causal)
    q = mul.call(q, number(asked.scale))
    queries, keys = q.shape[-2], k.shape[-2]
    out: Tensor | None = None
    for first, rows in _blocks(max(q.shape[:-2], k.shape[:-2], key=math.prod), queries, keys):
        n = _seen(asked, first + rows, keys)
        p = _weights(q, narrow(k, -2, 0, n), mask, asked, first, rows)
        y = _multiply(p, narrow(v, -2, 0, n), 0)
        if rows == queries:
            return lib.ad_alias(y._p)
        if out is None:
            out = empty((*y.shape[:-2], queries, v.shape[-1]), dtype=v.dtype)
        narrow(out, -2, first, rows).copy_(y)
    return lib.ad_alias((v.new_empty((*q.shape[:-1], v.shape[-1])) if out is None else out)._p)


def _sweep(node: OpNode, g: Tensor) -> Sequence[Tensor | None]:
    asked: Asked = node.args[0]
    q, k, v, *mask = map(wrap, node.unpack())
    if _is_native(q, k, v, *mask):
        outs = descriptors([NULL] * 3)
        if lib.ad_attend_vjp(q._p, k._p, v._p, g._p, asked.scale, asked.causal, outs):
            raise error("attention", q._p, k._p, v._p)
        return [wrap(_gc(p, _free)) for p in outs]
    scale, batch = number(asked.scale), g.shape[:-2]
    scaled, queries, keys = mul.call(q, scale), q.shape[-2], k.shape[-2]
    sums = [zeros((*batch, *x.shape[-2:]), dtype=q.dtype) for x in (q, k, v)]
    for first, rows in _blocks(batch, queries, keys):
        n = _seen(asked, first + rows, keys)
        seen, values = narrow(k, -2, 0, n), narrow(v, -2, 0, n)
        p = _weights(scaled, seen, mask, asked, first, rows)
        gy = narrow(g, -2, first, rows)
        d = _softmax_vjp.on((p, _multiply(gy, values, 2)), 1 << (p.ndim - 1))
        parts = (
            mul.call(_multiply(d, seen, 0), scale),
            _multiply(d, narrow(scaled, -2, first, rows), 1),
            _multiply(p, gy, 1),
        )
        if rows == queries and n == keys:
            sums = list(parts)
            break
        narrow(sums[0], -2, first, rows).copy_(parts[0])
        for total, part in zip(sums[1:], parts[1:], strict=True):
            narrow(total, -2, 0, n).add_(part)
    cotangents: list[Tensor | None] = [None] * len(node.edges)
    for i, (total, x) in enumerate(zip(sums, (q, k, v), strict=True)):
        if node.needs(i):
            cotangents[i] = total.sum_to_size(x.shape)
    return cotangents


def _rule(node: OpNode, g: Tensor, *saved: Tensor) -> Sequence[Tensor | None]:
    if not mode.grad:  # a walk to chosen inputs, that records nothing
        return _sweep(node, g)
    return cotangents_of(lambda *xs: composed(node.args[0], *xs), node, g, saved)


_OPS = {
    n: Op(
        f"attention_{n}",
        _forward,
        _rule,
        saves=tuple(range(n)),
        grad_name="ScaledDotProductAttentionBackward0",
        sweep=_sweep,
    )
    for n in (3, 4)
}


@in_float32
def attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scale: float
) -> Tensor:
    """The values v weighted by the softmax of scale q k^T, masked; batches broadcast."""
    given = (q, k, v) if mask is None else (q, k, v, mask)
    if mask is not None and mask.requires_grad:
        return composed(Asked(causal, scale), *given)
    return _OPS[len(given)].on(given, Asked(causal, scale))
