"""Values for a mask's true places, in their order, with no count of these: it can be recorded."""

from __future__ import annotations

from autodiff.native import lib, refuse_any
from autodiff.ops.base import Op, OpNode
from autodiff.ops.elementwise import where_
from autodiff.ops.gather import Indices, write_at
from autodiff.ops.join import cat
from autodiff.ops.scan import cumsum
from autodiff.ops.views import narrow, reshape
from autodiff.tensor import Tensor


def _rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
    """Each row's cotangent is that of its place; those where the mask is false go nowhere."""
    _, indices, n = node.args
    rows = g.new_zeros([n + 1, *g.shape[1:]])
    return (narrow(write_at(rows, indices, g, False), 0, 0, n),)


_spread: Op = Op("masked_rows", lambda _, p, at, n: lib.ad_index_get(p, 0, 1, at.checked()), _rule)


def write_masked(x: Tensor, mask: Tensor, values: Tensor, most: bool, text: str) -> None:
    """x[mask] = values, of a mask for x's first dimensions and a row of values for each true place.

    RuntimeError with this text where there are fewer rows; or where there are more, unless `most`.
    """
    n, flat = values.shape[0], reshape(mask, [-1])
    count = flat.sum()
    refuse_any((count > n if most else count != n)._p, RuntimeError, text)
    places = (cumsum(flat, 0) - 1).where(flat, n)
    padded = cat([values.detach(), values.new_zeros([1, *values.shape[1:]])])
    rows = _spread(values, padded._p, Indices([places]), n)
    after = len(values.shape) - 1
    whole = reshape(rows, [*mask.shape, *values.shape[1:]])
    where_.into(x, (reshape(mask, [*mask.shape, *[1] * after]), whole, x))
