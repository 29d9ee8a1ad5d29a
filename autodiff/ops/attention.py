"""Scaled dot product attention: one native call, that makes a block of scores at a time.

So memory grows with the number of queries and keys, not with their product. The backward pass
makes the weights again, and draws again which of them were dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autodiff.descriptor import fresh
from autodiff.expr import build, inputs
from autodiff.native import NULL, descriptors, error, hold, lib
from autodiff.node import mode
from autodiff.ops.base import Op, OpNode
from autodiff.ops.contraction import _multiply
from autodiff.ops.create import arange, empty, zeros
from autodiff.ops.declare import where
from autodiff.ops.draws import draw_into
from autodiff.ops.elementwise import mul
from autodiff.ops.generator import native_generator
from autodiff.ops.halves import in_float32
from autodiff.ops.normalize import softmax
from autodiff.ops.numbers import number
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.recompute import cotangents_of
from autodiff.ops.views import unsqueeze
from autodiff.shapes import inverse
from autodiff.tensor import Tensor, wrap

_a, _b, _c = inputs(3)
_kept = PointwiseOp("masked_scores", where(_b, _a, -math.inf), 2)
_causal = PointwiseOp("causal_scores", where(build("le", _c, _b), _a, -math.inf), 3)
_alive = PointwiseOp("alive_scores", where(build("eq", _b, -math.inf), 0.0, _a), 2)


PARTS = (
    2  # operands at most where the first one is of queries, keys and values; else there are more
)


class Asked:
    """What is asked for beside the tensors, and what backward needs of it."""

    __slots__ = ("causal", "p", "places", "scale")
    causal: bool  # whether keys after a query are left out
    scale: float  # what scores are multiplied by
    p: float  # the share of weights that is dropped
    places: Any  # where the generator was at each head of scores; None where nothing was drawn

    def __init__(self, causal: bool, scale: float, p: float = 0.0) -> None:
        self.causal, self.scale, self.p, self.places = causal, scale, p, None


def masked(scores: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """Scores with -inf where a mask of bools is False; plus other masks."""
    if causal:
        queries, keys = (arange(n, dtype=scores.dtype) for n in scores.shape[-2:])
        return _causal.call(scores, unsqueeze(queries, 1), keys)
    if mask is None:
        return scores
    return scores + mask if mask.is_floating_point() else _kept.call(scores, mask)


def _weights_of(scores: Tensor, may_be_dead: bool) -> Tensor:
    """The softmax of rows; of rows of -inf alone, where there may be any, zeros."""
    if not may_be_dead or not scores.shape[-1]:
        return softmax(scores, -1)
    top = scores.detach().amax(-1, keepdim=True)
    return _alive.call(softmax(_alive.call(scores, top), -1), top)


def _noise(asked: Asked, like: Tensor) -> Tensor:
    """What weights are multiplied by to drop some: as it was, or if there was none, new."""
    if asked.p == 1:
        return zeros((), dtype=like.dtype)
    noise = empty(like.shape, dtype=like.dtype)
    if asked.places is None:
        return draw_into(noise, "dropout", None, asked.p)
    if lib.ad_dropout_again(asked.places, noise._p, asked.p):
        raise error("dropout", noise._p)
    return noise


def composed(asked: Asked, *given: Tensor) -> Tensor:
    """Attention of differentiable operations."""
    q, k, v, *mask = given if len(given) > PARTS else (*given[0], *given[1:])
    scores = _multiply(mul.call(q, number(asked.scale)), k, 2)
    weights = _weights_of(masked(scores, mask[0] if mask else None, asked.causal), bool(mask))
    return _multiply(weights * _noise(asked, weights) if asked.p else weights, v, 0)


def _parts(p: Any) -> list[Any]:
    return [fresh(lib.ad_select(p, 0, i), "attention", p) for i in range(3)]


def _forward(*args: Any) -> Any:
    *given, asked = args
    if len(given) <= PARTS:
        given[:1] = _parts(given[0])
    q, k, v, mask = given if len(given) > 3 else (*given, NULL)
    if not asked.p:
        return lib.ad_attend(q, k, v, mask, asked.scale, asked.causal, 0.0, NULL, NULL)
    places, rng = descriptors([NULL]), native_generator(None, "dropout")
    y = lib.ad_attend(q, k, v, mask, asked.scale, asked.causal, asked.p, rng, places)
    if places[0]:
        asked.places = hold(places[0])
    return y


def _dense_like(x: Tensor) -> Tensor:
    """Memory of its shape, without gaps, its dimensions in their order there; rows stay rows."""
    last = x.ndim - 1
    order = [*sorted(range(last), key=x.stride, reverse=True), last]
    if x.shape[last] == 1:
        order = [*range(x.ndim)]
    made = empty([x.shape[d] for d in order], dtype=x.dtype)
    return made.permute(inverse(order))


def _sweep(node: OpNode, g: Tensor) -> Sequence[Tensor | None]:
    asked: Asked = node.args[0]
    given = list(node.unpack())
    together = None
    if len(given) <= PARTS:
        together = _dense_like(wrap(given[0]))
        given[:1] = _parts(given[0])
    places = NULL if asked.places is None else asked.places
    g = g if g.stride(-1) == 1 else g.contiguous()
    ins = given if len(given) > 3 else [*given, NULL]
    held = [NULL] * 3 if together is None else _parts(together._p)
    outs = descriptors(held)
    native = descriptors([*ins, places, g._p])
    if lib.ad_attend_vjp(native, asked.scale, asked.causal, asked.p, outs):
        raise error("attention", *given)
    if together is not None:
        return [together, None]
    found = [
        wrap(hold(p)).sum_to_size(wrap(x).shape) if node.needs(i) else None
        for i, (p, x) in enumerate(zip([*outs], given, strict=False))
    ]
    return [*found, None]


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
        grad_name="ScaledDotProductFlashAttentionForCpuBackward0",
        sweep=_sweep,
        public="scaled_dot_product_attention",
    )
    for n in (1, 2, 3, 4)
}
_MASKED = (2, 4)


@in_float32
def attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scale: float, p: float
) -> Tensor:
    """The values v weighted by the softmax of scale q k^T, masked; batches broadcast.

    A share p of the weights is dropped.
    """
    given = (q, k, v) if mask is None else (q, k, v, mask)
    return (attend_dropping if p else _attend)(given, Asked(causal, scale, p))


@in_float32
def attend_parts(
    parts: Tensor, mask: Tensor | None, causal: bool, scale: float, p: float
) -> Tensor:
    """The same of q, k and v in one tensor's first dimension."""
    given = (parts,) if mask is None else (parts, mask)
    return (attend_dropping if p else _attend)(given, Asked(causal, scale, p))


def _attend(given: Sequence[Tensor], asked: Asked) -> Tensor:
    if len(given) in _MASKED and given[-1].requires_grad:
        return composed(asked, *given)
    return _OPS[len(given)].on(given, asked)


def attend_dropping(given: Sequence[Tensor], asked: Asked) -> Tensor:
    """The same, which draws random numbers: each call has places of its own."""
    return _attend(given, Asked(asked.causal, asked.scale, asked.p))
