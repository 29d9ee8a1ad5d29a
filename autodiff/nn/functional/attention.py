"""Attention: scaled dot products of queries and keys weight values."""

from __future__ import annotations

import math

from autodiff import dtypes
from autodiff.nn.functional.noise import check_probability
from autodiff.nn.functional.reduction import check_tensors
from autodiff.ops import attention
from autodiff.ops.views import expand, reshape, select
from autodiff.tensor import Tensor

__all__ = ["scaled_dot_product_attention"]


def _check(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool) -> None:
    check_tensors("scaled_dot_product_attention", query=query, key=key, value=value)
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{query.ndim} key.dim: {key.ndim} and value.dim: {value.ndim} instead."
        )
    names = [dtypes.CPP_NAMES[x._p.dtype] for x in (query, key, value)]
    if len(set(names)) > 1:
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{names[0]} key.dtype: {names[1]} and value.dtype: {names[2]} instead."
        )
    if not query.is_floating_point():
        name = query.dtype.title
        raise RuntimeError(f"scaled_dot_product_attention: {name!r} is no floating-point type")
    for a, b, x, y in ((-1, -1, query, key), (-2, -2, key, value)):
        if x.shape[a] != y.shape[b]:
            raise RuntimeError(
                "scaled_dot_product_attention: mat1 and mat2 shapes cannot be multiplied: query is "
                f"{list(query.shape)}, key {list(key.shape)}, value {list(value.shape)}"
            )
    if mask is None:
        return
    expected = (query.shape[-2], key.shape[-2])
    for i, n in enumerate(mask.shape[-2:], start=2 - min(2, mask.ndim)):
        if n not in (1, expected[i]):
            raise RuntimeError(
                f"The size of tensor a ({expected[i]}) must match the size of tensor b ({n}) at "
                f"non-singleton dimension {i}: a mask {list(mask.shape)} of scores "
                f"[..., {expected[0]}, {expected[1]}]"
            )
    if causal:
        raise RuntimeError(
            "_scaled_dot_product_attention: Explicit attn_mask should not be set when "
            "is_causal=True"
        )
    if mask.dtype is not dtypes.bool and mask.dtype is not query.dtype:
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
            f"attn_mask.dtype: {dtypes.CPP_NAMES[mask._p.dtype]} and  query.dtype: {names[0]} "
            "instead."
        )


def _grouped(query: Tensor, x: Tensor) -> Tensor:
    """Keys or values, each head repeated for the heads of queries that share it."""
    heads, own = query.shape[-3], x.shape[-3]
    if heads == own:
        return x
    if own == 0 or heads % own:
        raise RuntimeError(
            "Number of heads in key and value must divide the number of heads in query"
        )
    lead, rest = x.shape[:-3], x.shape[-2:]
    wide = expand(x.unsqueeze(-3), (*lead, own, heads // own, *rest))
    return reshape(wide, (*lead, heads, *rest))


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(scale query key^T + mask) value, of (..., queries, features) and (..., keys, ...).

    A mask of bools tells which keys a query sees, another is added; `is_causal` leaves out keys
    after the query. scale is 1/sqrt(features) where it is None. `enable_gqa` repeats heads
    (dimension -3) of key and value. A query that sees no key gives zeros. Memory grows with the
    numbers of queries and keys, not with their product, but for a mask that wants a gradient.

    >>> query, key, value = ad.zeros(2, 4), ad.zeros(3, 4), ad.arange(3.0).view(3, 1)
    >>> F.scaled_dot_product_attention(query, key, value)
    tensor([[1.],
            [1.]])
    """
    _check(query, key, value, attn_mask, is_causal)
    if enable_gqa:
        key, value = _grouped(query, key), _grouped(query, value)
    width = query.shape[-1]
    if scale is None:
        scale = 1 / math.sqrt(width) if width else 1.0
    if not key.shape[-2]:
        return query @ key.mT @ value  # of no products
    _check_dropout(dropout_p)
    return attention.attend(query, key, value, attn_mask, is_causal, float(scale), float(dropout_p))


def attention_of_parts(parts: Tensor, mask: Tensor | None, p: float, causal: bool) -> Tensor:
    """The same of queries, keys and values in one tensor's first dimension."""
    one = select(parts, 0, 0)
    _check(one, one, one, mask, causal)
    _check_dropout(p)
    return attention.attend_parts(parts, mask, causal, 1 / math.sqrt(one.shape[-1]), float(p))


def _check_dropout(p: float) -> None:
    """RuntimeError where p is no probability of dropping."""
    try:
        check_probability(p)
    except ValueError as error:
        raise RuntimeError(str(error)) from None
