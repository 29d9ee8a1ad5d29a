"""Transformers."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from autodiff.changes import recorder_here
from autodiff.dtypes import dtype
from autodiff.nn import functional, init
from autodiff.nn.attention import MultiheadAttention
from autodiff.nn.containers import ModuleList
from autodiff.nn.dropout import Dropout
from autodiff.nn.linear import Linear
from autodiff.nn.module import Module
from autodiff.nn.normalization import LayerNorm
from autodiff.node import mode
from autodiff.ops.cast import to_dtype
from autodiff.ops.create import full
from autodiff.ops.diagonals import triu
from autodiff.tensor import Tensor

__all__ = [
    "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
    "TransformerEncoderLayer",
]  # fmt: skip

Activation = str | Callable[[Tensor], Tensor]


def _activation(given: Activation) -> Callable[[Tensor], Tensor]:
    if not isinstance(given, str):
        return given
    if given not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {given}")
    return getattr(functional, given)  # type: ignore[no-any-return]


class _Layer(Module):
    """What encoder and decoder layers share: attention, a feed-forward part, norms, dropout.

    The rest is added to what a part gives; the norm is before the part if `norm_first`, else after
    the sum.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = functional.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        made: dict[str, Any] = {"bias": bias, "device": device, "dtype": dtype}
        inner = Dropout(dropout)
        for name in self._attentions:
            attention = MultiheadAttention(
                d_model, nhead, dropout=dropout, batch_first=batch_first, **made
            )
            setattr(self, name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, **made)
        self.dropout = inner
        self.linear2 = Linear(dim_feedforward, d_model, **made)
        self.norm_first = norm_first
        parts = range(1, len(self._attentions) + 2)
        for i in parts:
            setattr(self, f"norm{i}", LayerNorm(d_model, eps=layer_norm_eps, **made))
        for i in parts:
            setattr(self, f"dropout{i}", Dropout(dropout))
        self.activation = _activation(activation)

    _attentions: tuple[str, ...] = ("self_attn",)

    def _through(self, x: Tensor, parts: list[Callable[[Tensor], Tensor]]) -> Tensor:
        """x through each part with its dropout and norm."""
        values = self.__dict__
        for i, part in enumerate(parts, start=1):
            norm, drop = values[f"norm{i}"], values[f"dropout{i}"]
            x = x + drop(part(norm(x))) if self.norm_first else norm(x + drop(part(x)))
        return x

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))  # type: ignore[no-any-return]

    def _attend(
        self, name: str, x: Tensor, memory: Tensor, mask: Any, padding: Any, causal: bool
    ) -> Tensor:
        attention = self.__dict__[name]
        how = {"attn_mask": mask, "key_padding_mask": padding, "is_causal": causal}
        y: Tensor = attention(x, memory, memory, need_weights=False, **how)[0]
        return y


class TransformerEncoderLayer(_Layer):
    """Self-attention and a feed-forward network of (length, batch, d_model), each with a norm.

    >>> nn.TransformerEncoderLayer(8, 2, dim_feedforward=16)(ad.zeros(5, 1, 8)).shape
    torch.Size([5, 1, 8])
    """

    self_attn: MultiheadAttention

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        how = (src_mask, src_key_padding_mask, is_causal)
        kinds = []

        def feed_forward(x: Tensor) -> Tensor:
            y = self._feed_forward(x)
            kinds.append(y.dtype)
            return y

        y = self._through(src, [lambda x: self._attend("self_attn", x, x, *how), feed_forward])
        if kinds[0] is not y.dtype and self._is_one_kernel(src):
            y = to_dtype(y, kinds[0])
        return y

    def _is_one_kernel(self, src: Tensor) -> bool:
        """Whether PyTorch has one kernel for all of it, which autocast has give its own dtype."""
        attention = self.self_attn
        return (
            src.ndim == 3
            and not self.training
            and attention.batch_first
            and attention.in_proj_bias is not None
            and attention.num_heads % 2 == 0
            and self.activation in (functional.relu, functional.gelu)
            and not (mode.grad and any(x.requires_grad for x in (src, *self.parameters())))
        )


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to an encoder's memory, and a feed-forward network.

    >>> layer = nn.TransformerDecoderLayer(8, 2, dim_feedforward=16)
    >>> layer(ad.zeros(3, 1, 8), ad.zeros(5, 1, 8)).shape
    torch.Size([3, 1, 8])
    """

    _attentions = ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = (memory_mask, memory_key_padding_mask, memory_is_causal)
        return self._through(
            tgt,
            [
                lambda x: self._attend("self_attn", x, x, *own),
                lambda x: self._attend("multihead_attn", x, memory, *other),
                self._feed_forward,
            ],
        )


def _copies(layer: Module, count: int) -> ModuleList:
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


def _is_causal(mask: Tensor | None, given: bool | None) -> bool:
    """Whether a mask hides what comes later, and nothing else."""
    if given is not None or mask is None:
        return given is True
    recorder = recorder_here()
    return _looks_causal(mask) if recorder is None else recorder.look_at(mask, _looks_causal)


def _looks_causal(mask: Tensor) -> bool:
    causal = Transformer.generate_square_subsequent_mask(mask.shape[-2], dtype=mask.dtype)
    return mask.shape == causal.shape and bool((mask == causal).all())


class TransformerEncoder(Module):
    """A stack of copies of an encoder layer, and a norm after it.

    >>> layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    >>> nn.TransformerEncoder(layer, num_layers=2)(ad.zeros(1, 5, 8)).shape
    torch.Size([1, 5, 8])
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = _copies(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor  # of PyTorch's inference; nothing here
        self.mask_check = mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        causal = _is_causal(mask, is_causal)
        for layer in self.layers:
            src = layer(
                src, src_mask=mask, is_causal=causal, src_key_padding_mask=src_key_padding_mask
            )
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """A stack of copies of a decoder layer, and a norm after it.

    >>> layer = nn.TransformerDecoderLayer(8, 2, dim_feedforward=16)
    >>> nn.TransformerDecoder(layer, num_layers=2)(ad.zeros(3, 1, 8), ad.zeros(5, 1, 8)).shape
    torch.Size([3, 1, 8])
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = _copies(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        causal = _is_causal(tgt_mask, tgt_is_causal)
        for layer in self.layers:
            tgt = layer(
                tgt,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=causal,
                memory_is_causal=memory_is_causal,
            )
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder of a source and a decoder of a target that attends to it.

    Vaswani et al., Attention is all you need, 2017.

    src is (length, batch, d_model), tgt the same with its own length; batch first if so wanted.

    >>> model = nn.Transformer(8, 2, 1, 1, dim_feedforward=16)
    >>> model(ad.zeros(5, 1, 8), ad.zeros(3, 1, 8)).shape
    torch.Size([3, 1, 8])
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = functional.relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        made: dict[str, Any] = {"bias": bias, "device": device, "dtype": dtype}
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps)
        rest = (batch_first, norm_first)
        if custom_encoder is not None:
            self.encoder = custom_encoder
        else:
            layer: Module = TransformerEncoderLayer(*sizes, *rest, **made)
            norm = LayerNorm(d_model, eps=layer_norm_eps, **made)
            self.encoder = TransformerEncoder(layer, num_encoder_layers, norm)
        if custom_decoder is not None:
            self.decoder = custom_decoder
        else:
            layer = TransformerDecoderLayer(*sizes, *rest, **made)
            norm = LayerNorm(d_model, eps=layer_norm_eps, **made)
            self.decoder = TransformerDecoder(layer, num_decoder_layers, norm)
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self) -> None:
        for p in self.parameters():
            if p.dim() > 1:
                init.xavier_uniform_(p)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        if src.dim() == 3 and src.size(1 - self.batch_first) != tgt.size(1 - self.batch_first):
            raise RuntimeError(
                "the batch number of src and tgt must be equal: their shapes are "
                f"{list(src.shape)} and {list(tgt.shape)}"
            )
        if src.size(-1) != self.d_model or tgt.size(-1) != self.d_model:
            raise RuntimeError(
                "the feature number of src and tgt must be equal to d_model: their shapes are "
                f"{list(src.shape)} and {list(tgt.shape)}, d_model is {self.d_model}"
            )
        memory = self.encoder(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )
        y: Tensor = self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )
        return y

    @staticmethod
    def generate_square_subsequent_mask(
        sz: int, device: str | None = None, dtype: dtype | None = None
    ) -> Tensor:
        """A mask (sz, sz) of -inf above the diagonal and zeros elsewhere."""
        return triu(full((sz, sz), -math.inf, dtype=dtype), 1)
