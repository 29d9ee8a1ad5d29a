"""Attention of several heads."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from typing import Any

from autodiff.dtypes import dtype
from autodiff.nn import functional, init
from autodiff.nn.linear import Linear
from autodiff.nn.module import Module
from autodiff.nn.parameter import Parameter
from autodiff.ops.create import empty
from autodiff.tensor import Tensor

__all__ = ["MultiheadAttention"]  # and of nn.attention alone: SDPBackend, sdpa_kernel


class SDPBackend(enum.Enum):
    """PyTorch's ways to compute attention; there is one here.

    >>> nn.attention.SDPBackend.MATH.value
    0
    """

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextlib.contextmanager
def sdpa_kernel(backends: Any, set_priority: bool = False) -> Iterator[None]:
    """A block in which PyTorch chooses among ways to compute attention: that changes nothing.

    AssertionError for what is neither an `SDPBackend` nor a list of them.

    >>> with nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
    ...     nn.functional.scaled_dot_product_attention(*[ad.ones(1, 1, 2)] * 3).shape
    torch.Size([1, 1, 2])
    """
    every = backends if isinstance(backends, (list, tuple)) else [backends]
    if not all(isinstance(backend, SDPBackend) for backend in every):
        raise AssertionError(
            "Backend must be an instance of SDPBackend or a list of SDPBackend instances, got "
            f"{type(backends).__name__}"
        )
    yield


class NonDynamicallyQuantizableLinear(Linear):
    """A Linear under the name PyTorch gives the last projection."""


class MultiheadAttention(Module):
    """Attention of num_heads heads of embed_dim / num_heads features each.

    query is (length, batch, embed_dim), key and value (keys, batch, kdim or vdim); batch first if
    `batch_first`; or without a batch. Where a mask of bools is True, a key is not seen; others are
    added to the scores. Returns the output and, if needed, the weights (batch, length, keys).

    >>> output, weights = nn.MultiheadAttention(8, num_heads=2)(*[ad.zeros(5, 1, 8)] * 3)
    >>> output.shape, weights.shape
    (torch.Size([5, 1, 8]), torch.Size([1, 5, 5]))
    """

    in_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "embed_dim and num_heads must be greater than 0, got "
                f"embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim == self.vdim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")
        widths = {"q": embed_dim, "k": self.kdim, "v": self.vdim}
        for name, width in widths.items():
            made = None if self._qkv_same_embed_dim else empty(embed_dim, width, dtype=dtype)
            self._hold(f"{name}_proj_weight", made)
        whole = empty(3 * embed_dim, embed_dim, dtype=dtype) if self._qkv_same_embed_dim else None
        self._hold("in_proj_weight", whole)
        self._hold("in_proj_bias", empty(3 * embed_dim, dtype=dtype) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(
            embed_dim, embed_dim, bias=bias, device=device, dtype=dtype
        )
        for name in ("bias_k", "bias_v"):
            self._hold(name, empty(1, 1, embed_dim, dtype=dtype) if add_bias_kv else None)
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _hold(self, name: str, x: Tensor | None) -> None:
        if name.startswith("bias_"):
            setattr(self, name, None if x is None else Parameter(x))
        else:
            self.register_parameter(name, None if x is None else Parameter(x))

    def _reset_parameters(self) -> None:
        weights = (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        for weight in weights:
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            init.constant_(self.out_proj.bias, 0.0)  # type: ignore[arg-type]
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        first = self.batch_first and query.dim() == 3
        if first:
            turned = {id(x): x.transpose(0, 1) for x in (query, key, value)}
            query, key, value = (turned[id(x)] for x in (query, key, value))
        sizes, masks = (self.embed_dim, self.num_heads), (key_padding_mask, need_weights, attn_mask)
        before = (self.in_proj_weight, self.in_proj_bias, self.bias_k, self.bias_v)
        after = (self.dropout, self.out_proj.weight, self.out_proj.bias, self.training)
        apart = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        given = (*sizes, *before, self.add_zero_attn, *after, *masks, not self._qkv_same_embed_dim)
        how: Any = {"average_attn_weights": average_attn_weights, "is_causal": is_causal}
        y, weights = functional.multi_head_attention_forward(
            query, key, value, *given, *apart, **how
        )
        return (y.transpose(0, 1) if first else y), weights
