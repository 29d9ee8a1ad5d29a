"""What PyTorch has at the top, too, of `nn.functional`: imported when it is first asked for.

Most are the functions themselves. Those below take other arguments at the top, as
PyTorch's do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff.nn import functional as F
from autodiff.nn.functional import adaptive_avg_pool1d as adaptive_avg_pool1d
from autodiff.nn.functional import avg_pool1d as avg_pool1d
from autodiff.nn.functional import bilinear as bilinear
from autodiff.nn.functional import celu as celu
from autodiff.nn.functional import celu_ as celu_
from autodiff.nn.functional import channel_shuffle as channel_shuffle
from autodiff.nn.functional import conv1d as conv1d
from autodiff.nn.functional import conv2d as conv2d
from autodiff.nn.functional import conv3d as conv3d
from autodiff.nn.functional import conv_transpose1d as conv_transpose1d
from autodiff.nn.functional import conv_transpose2d as conv_transpose2d
from autodiff.nn.functional import conv_transpose3d as conv_transpose3d
from autodiff.nn.functional import cosine_similarity as cosine_similarity
from autodiff.nn.functional import hardshrink as hardshrink
from autodiff.nn.functional import max_pool1d as max_pool1d
from autodiff.nn.functional import max_pool2d as max_pool2d
from autodiff.nn.functional import max_pool3d as max_pool3d
from autodiff.nn.functional import pairwise_distance as pairwise_distance
from autodiff.nn.functional import pixel_shuffle as pixel_shuffle
from autodiff.nn.functional import pixel_unshuffle as pixel_unshuffle
from autodiff.nn.functional import prelu as prelu
from autodiff.nn.functional import rms_norm as rms_norm
from autodiff.nn.functional import rrelu as rrelu
from autodiff.nn.functional import rrelu_ as rrelu_
from autodiff.nn.functional import selu as selu
from autodiff.nn.functional import selu_ as selu_
from autodiff.nn.functional import threshold as threshold
from autodiff.nn.functional import threshold_ as threshold_
from autodiff.ops.guard import guarded, strict
from autodiff.tensor import Tensor


def _strict(function: Any) -> Any:
    return guarded(strict(function))


def _probability(p: float) -> float:
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")
    return p


@_strict
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """`nn.functional.layer_norm`; `cudnn_enable` changes nothing.

    >>> ad.layer_norm(ad.tensor([[1.0, 3.0]]), (2,))
    tensor([[-1.0000,  1.0000]])
    """
    return F.layer_norm(input, normalized_shape, weight, bias, eps)


@_strict
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """`nn.functional.group_norm`; `cudnn_enabled` changes nothing.

    >>> ad.group_norm(ad.tensor([[1.0, 3.0]]), 1)
    tensor([[-1.0000,  1.0000]])
    """
    return F.group_norm(input, num_groups, weight, bias, eps)


@_strict
def embedding(
    weight: Tensor,
    indices: Tensor,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """`nn.functional.embedding`, the table first; a `padding_idx` below 0 is none.

    >>> ad.embedding(ad.eye(2), ad.tensor([1]))
    tensor([[0., 1.]])
    """
    pad = padding_idx if padding_idx >= 0 else None
    return F.embedding(indices, weight, pad, scale_grad_by_freq=scale_grad_by_freq)


@_strict
def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`nn.functional.dropout`, with every argument.

    >>> ad.dropout(ad.ones(2), 0.5, False)
    tensor([1., 1.])
    """
    return F.dropout(input, _probability(p), train)
