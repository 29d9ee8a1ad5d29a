"""Attention of several heads between projections, as `nn.MultiheadAttention` has it."""

from __future__ import annotations

import math
from typing import Any, cast

from autodiff import dtypes
from autodiff.nn.functional.attention import attention_of_parts, scaled_dot_product_attention
from autodiff.nn.functional.noise import dropout
from autodiff.ops import attention
from autodiff.ops.contraction import linear
from autodiff.ops.create import zeros
from autodiff.ops.join import cat
from autodiff.ops.normalize import softmax
from autodiff.ops.views import reshape, select, transpose
from autodiff.tensor import Tensor

__all__ = ["multi_head_attention_forward"]


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

    >>> x, w, u = ad.ones(3, 1, 4), ad.zeros(12, 4), ad.eye(4)
    >>> options = (4, 2, w, None, None, None, False, 0.0, u, None)
    >>> output, weights = F.multi_head_attention_forward(x, x, x, *options)
    >>> output.shape, weights.shape
    (torch.Size([3, 1, 4]), torch.Size([1, 3, 3]))
    """
    batched = _check_heads(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = (x.unsqueeze(1) for x in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    causal = is_causal and key_padding_mask is None and not need_weights
    mask, padding = _masks(attn_mask, key_padding_mask, is_causal, causal, query.dtype)
    _check_widths(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    p = dropout_p if training else 0.0
    others = (bias_k, bias_v, static_k, static_v)
    plain = not (need_weights or add_zero_attn or any(x is not None for x in others))
    same = query is key is value and query.shape[0] > 0 and not use_separate_proj_weight
    if plain and same:
        all_three = linear(query.contiguous(), cast(Tensor, in_proj_weight), in_proj_bias)
        y, shares = _self_attended(all_three, num_heads, mask, padding, causal, p), None
    else:
        separate = (q_proj_weight, k_proj_weight, v_proj_weight)
        weights = separate if use_separate_proj_weight else in_proj_weight
        q, *kv = _projected(query, key, value, weights, in_proj_bias)
        _check_mask(mask, q, kv[0], num_heads)
        q = _by_head(q, num_heads)
        k, v, more = _keys_and_values(q, kv, (bias_k, bias_v), (static_k, static_v), add_zero_attn)
        mask, padding = (_wider(x, more) for x in (mask, padding))
        y, shares = _attended(q, k, v, _joined(mask, padding, q, k), need_weights, causal, p)
    y = linear(_side_by_side(y), out_proj_weight, out_proj_bias)
    if shares is not None:
        shares = shares.mean(1) if average_attn_weights else shares
        shares = shares if batched else shares.squeeze(0)
    return y if batched else y.squeeze(1), shares


def _masks(
    attn_mask: Tensor | None, key_padding: Tensor | None, hint: bool, causal: bool, d: Any
) -> tuple[Tensor | None, Tensor | None]:
    """What is added to scores by either mask; a `causal` attention needs the first no more."""
    padding = _as_scores(key_padding, "key_padding_mask", d)
    if hint and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    return None if causal else _as_scores(attn_mask, "attn_mask", d), padding


def _keys_and_values(
    q: Tensor, kv: list[Tensor], biases: Any, static: Any, add_zero: bool
) -> tuple[Tensor, Tensor, int]:
    """Both by head, and how many keys there are more than were given: learned ones, and zeros."""
    more = 0
    if all(b is not None for b in biases):
        kv = [cat([x, b.expand(1, x.shape[1], -1)]) for x, b in zip(kv, biases, strict=True)]
        more += 1
    found = [
        _by_head(x, q.shape[1]) if given is None else _static(given, q, name)
        for x, given, name in zip(kv, static, ("static_k", "static_v"), strict=True)
    ]
    if add_zero:
        found = [cat([x, x.new_zeros((*x.shape[:2], 1, x.shape[3]))], 2) for x in found]
        more += 1
    return found[0], found[1], more


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


def _check_widths(
    query: Tensor, key: Tensor, value: Tensor, width: int, num_heads: int, separate: bool
) -> None:
    """AssertionError where features cannot be projected and dealt to heads."""
    if query.shape[2] != width:
        raise AssertionError(
            f"was expecting embedding dimension of {width}, but got {query.shape[2]}"
        )
    if width // num_heads * num_heads != width:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {num_heads}")
    if separate and key.shape[:2] != value.shape[:2]:
        raise AssertionError(
            f"key's sequence and batch dims {key.shape[:2]!r} do not match value's "
            f"{value.shape[:2]!r}"
        )
    if not separate and key.shape != value.shape:
        raise AssertionError(f"key shape {key.shape!r} does not match value shape {value.shape!r}")


def _wider(mask: Tensor | None, more: int) -> Tensor | None:
    """A mask with so many keys more, that are seen."""
    if mask is None or not more:
        return mask
    return cat([mask, mask.new_zeros((*mask.shape[:-1], more))], -1)


def _check_mask(mask: Tensor | None, q: Tensor, k: Tensor, heads: int) -> None:
    """RuntimeError where a mask is not of the scores of (length, batch, features)."""
    if mask is None:
        return
    scores = (q.shape[0], k.shape[0])
    expected = scores if mask.ndim == 2 else (q.shape[1] * heads, *scores)
    if mask.shape != expected:
        raise RuntimeError(
            f"The shape of the {mask.ndim}D attn_mask is {mask.shape!r}, but should be {expected}."
        )


def _joined(mask: Tensor | None, padding: Tensor | None, q: Tensor, k: Tensor) -> Tensor | None:
    """What is added to scores (batch, heads, length, keys) by a mask and by one of keys."""
    batch, keys = q.shape[0], k.shape[2]
    if mask is not None and mask.ndim == 3 and mask.shape[0] > 1:
        mask = reshape(mask, (*q.shape[:3], keys))
    if padding is None:
        return mask
    for d, size in enumerate((batch, keys)):
        if padding.shape[d] != size:
            raise AssertionError(
                f"Expected key_padded_mask.shape[{d}] to be {size}, but got {padding.shape[d]}"
            )
    padding = reshape(padding, (batch, 1, 1, keys))
    return padding if mask is None else mask + padding


def _self_attended(
    projected: Tensor,
    num_heads: int,
    mask: Tensor | None,
    padding: Tensor | None,
    causal: bool,
    p: float,
) -> Tensor:
    """Attention of queries, keys and values that are parts of one projection's features."""
    _check_mask(mask, projected, projected, num_heads)
    parts = _parts(projected, num_heads)
    one = select(parts, 0, 0)
    return attention_of_parts(parts, _joined(mask, padding, one, one), p, causal)


def _attended(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, need_weights: bool, causal: bool, p: float
) -> tuple[Tensor, Tensor | None]:
    """Values by head, weighted, and the weights if needed; p is the share of them dropped."""
    if not need_weights:
        return scaled_dot_product_attention(q, k, v, mask, p, causal), None
    scores = (q * (1.0 / math.sqrt(q.shape[3]))) @ transpose(k, -2, -1)
    shares = softmax(attention.masked(scores, mask, False), -1)
    shares = dropout(shares, p) if p > 0 else shares
    return shares @ v, shares


def _by_head(x: Tensor, heads: int) -> Tensor:
    """(length, batch, features) as (batch, heads, length, features of a head)."""
    length, batch, width = x.shape
    return reshape(x, (length, batch, heads, width // heads)).permute(1, 2, 0, 3)


def _parts(x: Tensor, heads: int) -> Tensor:
    """The same of queries, keys and values beside each other, which become a dimension in front."""
    length, batch, width = x.shape
    return reshape(x, (length, batch, 3, heads, width // heads // 3)).permute(2, 1, 3, 0, 4)


def _side_by_side(x: Tensor) -> Tensor:
    """The inverse of `_by_head`."""
    batch, heads, length, head = x.shape
    return reshape(x.permute(2, 0, 1, 3), (length, batch, heads * head))


def _static(x: Tensor, q: Tensor, name: str) -> Tensor:
    """Keys or values (batch * heads, length, features of a head) that are given as they are."""
    batch, heads, _, head = q.shape
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
    if key is not value:
        return _projected(query, key, value, weights.chunk(3), bias)
    if query is key:
        return linear(query.contiguous(), weights, bias).chunk(3, -1)
    parts = [query.shape[-1], 2 * query.shape[-1]]
    w, w2 = weights.split(parts)
    b, b2 = (None, None) if bias is None else bias.split(parts)
    return (linear(query, w, b), *linear(key, w2, b2).chunk(2, -1))
