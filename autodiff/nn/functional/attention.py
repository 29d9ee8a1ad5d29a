"""Attention: scaled dot products of queries and keys weight values; alone, and of several heads."""

from __future__ import annotations

import math
from typing import Any

from autodiff import dtypes
from autodiff.dtypes import SCALAR_NAMES
from autodiff.nn.functional.noise import check_probability, dropout
from autodiff.nn.functional.reduction import check_tensors
from autodiff.ops import attention
from autodiff.ops.contraction import linear, matmul
from autodiff.ops.create import zeros
from autodiff.ops.elementwise import mul
from autodiff.ops.join import cat
from autodiff.ops.normalize import softmax
from autodiff.ops.pointwise import number
from autodiff.ops.views import expand, reshape, transpose
from autodiff.tensor import Tensor

__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]


def _check(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool) -> None:
    check_tensors("scaled_dot_product_attention", query=query, key=key, value=value)
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{query.ndim} key.dim: {key.ndim} and value.dim: {value.ndim} instead."
        )
    names = [_type_name(x) for x in (query, key, value)]
    if len(set(names)) > 1:
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{names[0]} key.dtype: {names[1]} and value.dtype: {names[2]} instead."
        )
    if not query.is_floating_point():
        name = SCALAR_NAMES[query._p.dtype]
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
            f"attn_mask.dtype: {_type_name(mask)} and  query.dtype: {names[0]} instead."
        )


def _type_name(x: Tensor) -> str:
    name = SCALAR_NAMES[x._p.dtype].lower()
    return {"long": "long int", "byte": "unsigned char"}.get(name, name)


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
    (dimension -3) of key and value. A query that sees no key gives zeros. Without dropout, memory
    grows with the number of keys alone.
    """
    _check(query, key, value, attn_mask, is_causal)
    if enable_gqa:
        key, value = _grouped(query, key), _grouped(query, value)
    width = query.shape[-1]
    if scale is None:
        scale = 1 / math.sqrt(width) if width else 1.0
    if not key.shape[-2]:
        return query.new_zeros((*query.shape[:-1], value.shape[-1]))
    _check_dropout(dropout_p)
    if not dropout_p:
        return attention.attend(query, key, value, attn_mask, is_causal, float(scale))
    scores = mul.call(query, number(float(scale))) @ transpose(key, -2, -1)
    scores = attention.masked(scores, attn_mask, is_causal)
    weights = attention.weights_of(scores, attn_mask is not None)
    return matmul(dropout(weights, dropout_p), value)


def _check_dropout(p: float) -> None:
    """RuntimeError where p is no probability of dropping."""
    try:
        check_probability(p)
    except ValueError as error:
        raise RuntimeError(str(error)) from None


# ---- several heads ----


def _check_heads(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None,
    attn_mask: Tensor | None,
    num_heads: int,
) -> bool:
    """AssertionError where dimensions do not fit; whether there is a batch."""
    for name, mask in (("key_padding_mask", key_padding_mask), ("attn_mask", attn_mask)):
        if mask is not None and not isinstance(mask, Tensor):
            raise TypeError(f"multi_head_attention_forward(): {name} must be Tensor or None")
    ndim = query.dim()
    if ndim not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {ndim}-D query tensor"
        )
    what = "batched (3-D)" if ndim == 3 else "unbatched (2-D)"
    if key.dim() != ndim or value.dim() != ndim:
        raise AssertionError(
            f"For {what} `query`, expected `key` and `value` to be {ndim}-D but found "
            f"{key.dim()}-D and {value.dim()}-D tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask.dim() != ndim - 1:
        raise AssertionError(
            f"For {what} `query`, expected `key_padding_mask` to be `None` or {ndim - 1}-D but "
            f"found {key_padding_mask.dim()}-D tensor instead"
        )
    if attn_mask is not None and attn_mask.dim() not in (2, 3):
        raise AssertionError(
            f"For {what} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
            f"{attn_mask.dim()}-D tensor instead"
        )
    if ndim == 2 and attn_mask is not None and attn_mask.dim() == 3:
        expected = (num_heads, query.shape[0], key.shape[0])
        if attn_mask.shape != expected:
            raise AssertionError(
                f"Expected `attn_mask` shape to be {expected} but got {attn_mask.shape!r}"
            )
    return ndim == 3


def _as_scores(mask: Tensor | None, name: str, d: Any) -> Tensor | None:
    """A mask that is added to scores: -inf where one of bools is True."""
    if mask is None:
        return None
    if mask.dtype is dtypes.bool:
        return zeros(mask.shape, dtype=d).masked_fill(mask, -math.inf)
    if not mask.is_floating_point():
        raise AssertionError(f"only bool and floating types of {name} are supported")
    return mask


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention of num_heads heads between projections: the output, and its weights if needed.

    See `nn.MultiheadAttention`; the tensors are (length, batch, features), or without a batch.
    """
    batched = _check_heads(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = (x.unsqueeze(1) for x in (query, key, value))
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    length, batch, width = query.shape
    keys = key.shape[0]
    padding = _as_scores(key_padding_mask, "key_padding_mask", query.dtype)
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    causal = is_causal and key_padding_mask is None and not need_weights
    mask = None if causal else _as_scores(attn_mask, "attn_mask", query.dtype)
    if width != embed_dim_to_check:
        raise AssertionError(
            f"was expecting embedding dimension of {embed_dim_to_check}, but got {width}"
        )
    head = width // num_heads
    if head * num_heads != width:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {num_heads}")
    same = key.shape == value.shape
    if use_separate_proj_weight:
        if key.shape[:2] != value.shape[:2]:
            raise AssertionError(
                f"key's sequence and batch dims {key.shape[:2]!r} do not match value's "
                f"{value.shape[:2]!r}"
            )
    elif not same:
        raise AssertionError(f"key shape {key.shape!r} does not match value shape {value.shape!r}")
    weights = (
        (q_proj_weight, k_proj_weight, v_proj_weight)
        if use_separate_proj_weight
        else in_proj_weight
    )
    q, k, v = _projected(query, key, value, weights, in_proj_bias)
    mask = _checked_mask(mask, length, keys, batch * num_heads)
    if bias_k is not None and bias_v is not None:
        k, v = (cat([x, b.expand(1, batch, -1)]) for x, b in ((k, bias_k), (v, bias_v)))
        mask, padding = _wider(mask), _wider(padding)
    q = _by_head(q, batch, num_heads, head)
    k = (
        _by_head(k, batch, num_heads, head)
        if static_k is None
        else _static(static_k, batch, num_heads, head, "static_k")
    )
    v = (
        _by_head(v, batch, num_heads, head)
        if static_v is None
        else _static(static_v, batch, num_heads, head, "static_v")
    )
    if add_zero_attn:
        k, v = (cat([x, x.new_zeros((batch, num_heads, 1, head))], 2) for x in (k, v))
        mask, padding = _wider(mask), _wider(padding)
    keys = k.shape[2]
    if mask is not None and mask.ndim == 3 and mask.shape[0] > 1:
        mask = reshape(mask, (batch, num_heads, length, keys))
    if padding is not None:
        if padding.shape != (batch, keys):
            kept = key_padding_mask.shape if key_padding_mask is not None else ()
            if kept and kept[0] != batch:
                raise AssertionError(
                    f"Expected key_padded_mask.shape[0] to be {batch}, but got {kept[0]}"
                )
            raise AssertionError(
                f"Expected key_padded_mask.shape[1] to be {keys}, but got {padding.shape[1]}"
            )
        spread = reshape(padding, (batch, 1, 1, keys))
        mask = spread if mask is None else mask + spread
    p = dropout_p if training else 0.0
    if need_weights:
        scores = (q * (1.0 / math.sqrt(head))) @ transpose(k, -2, -1)
        shares = softmax(attention.masked(scores, mask, False), -1)
        shares = dropout(shares, p) if p > 0 else shares
        y = shares @ v
    else:
        y = scaled_dot_product_attention(q, k, v, mask, p, causal)
    y = reshape(y.permute(2, 0, 1, 3), (length * batch, width))
    y = reshape(
        linear(y, out_proj_weight, out_proj_bias), (length, batch, out_proj_weight.shape[0])
    )
    y = y if batched else y.squeeze(1)
    if not need_weights:
        return y, None
    shares = shares.mean(1) if average_attn_weights else shares
    return y, shares if batched else shares.squeeze(0)


def _wider(mask: Tensor | None) -> Tensor | None:
    """A mask with one more key, that is seen."""
    return None if mask is None else cat([mask, mask.new_zeros((*mask.shape[:-1], 1))], -1)


def _checked_mask(mask: Tensor | None, length: int, keys: int, rows: int) -> Tensor | None:
    if mask is None:
        return None
    expected = (length, keys) if mask.ndim == 2 else (rows, length, keys)
    if mask.shape != expected:
        raise RuntimeError(
            f"The shape of the {mask.ndim}D attn_mask is {mask.shape!r}, but should be {expected}."
        )
    return mask


def _by_head(x: Tensor, batch: int, heads: int, head: int) -> Tensor:
    """(length, batch, features) as (batch, heads, length, features of a head)."""
    return reshape(x, (x.shape[0], batch, heads, head)).permute(1, 2, 0, 3)


def _static(x: Tensor, batch: int, heads: int, head: int, name: str) -> Tensor:
    if x.shape[0] != batch * heads:
        raise AssertionError(f"expecting {name}.size(0) of {batch * heads}, but got {x.shape[0]}")
    if x.shape[2] != head:
        raise AssertionError(f"expecting {name}.size(2) of {head}, but got {x.shape[2]}")
    return reshape(x, (batch, heads, x.shape[1], head))


def _projected(
    query: Tensor, key: Tensor, value: Tensor, weights: Any, bias: Tensor | None
) -> tuple[Tensor, ...]:
    """Queries, keys and values; by one product where they are of one tensor, with one weight."""
    if isinstance(weights, tuple):
        biases = (None,) * 3 if bias is None else bias.chunk(3)
        each = zip((query, key, value), weights, biases, strict=True)
        return tuple(linear(x, w, b) for x, w, b in each)
    width = query.shape[-1]
    if key is value or (key is query):
        if query is key and key is value:
            return linear(query, weights, bias).chunk(3, -1)
        if key is value:
            w, w2 = weights.split([width, 2 * width])
            b, b2 = (None, None) if bias is None else bias.split([width, 2 * width])
            return (linear(query, w, b), *linear(key, w2, b2).chunk(2, -1))
    return _projected(query, key, value, weights.chunk(3), bias)
