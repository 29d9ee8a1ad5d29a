"""What PyTorch has at the top, too, of `nn.functional`: imported when it is first asked for.

Most are the functions themselves. Those below take other arguments at the top than there, as do
PyTorch's: a reduction is a number (0 none, the default; 1 the mean, 2 the sum), weights come first.
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

_REDUCTIONS = ("none", "mean", "sum")
_POINTS = ("bilinear", "nearest", "bicubic")
_OUTSIDE = ("zeros", "border", "reflection")


def _strict(function: Any) -> Any:
    return guarded(strict(function))


def _kind(reduction: int) -> str:
    """The name of a reduction's number; as PyTorch has it, numbers of none are 0."""
    return _REDUCTIONS[reduction] if reduction in (1, 2) else "none"


def _probability(p: float) -> float:
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")
    return p


# ---- layers ----


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
def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """`nn.functional.batch_norm`, weights first; `cudnn_enabled` changes nothing.

    >>> x = ad.tensor([[1.0], [3.0]])
    >>> ad.batch_norm(x, None, None, None, None, True, 0.1, 1e-5, False)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


@_strict
def instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """`nn.functional.instance_norm`, weights first; `cudnn_enabled` changes nothing.

    >>> x = ad.tensor([[[1.0, 3.0]]])
    >>> ad.instance_norm(x, None, None, None, None, True, 0.1, 1e-5, False)
    tensor([[[-1.0000,  1.0000]]])
    """
    return F.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


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
def adaptive_max_pool1d(input: Tensor, output_size: Any) -> Any:
    """The greatest elements of `output_size` windows, and their indices.

    >>> ad.adaptive_max_pool1d(ad.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    (tensor([[3., 2.]]), tensor([[1, 2]]))
    """
    return F.adaptive_max_pool1d(input, output_size, return_indices=True)


@_strict
def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`nn.functional.dropout`, with every argument.

    >>> ad.dropout(ad.ones(2), 0.5, False)
    tensor([1., 1.])
    """
    return F.dropout(input, _probability(p), train)


@_strict
def alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`nn.functional.alpha_dropout`, with every argument.

    >>> ad.alpha_dropout(ad.ones(2), 0.5, False)
    tensor([1., 1.])
    """
    return F.alpha_dropout(input, _probability(p), train)


@_strict
def feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`nn.functional.feature_alpha_dropout`, with every argument.

    >>> ad.feature_alpha_dropout(ad.ones(1, 2), 0.5, False)
    tensor([[1., 1.]])
    """
    return F.feature_alpha_dropout(input, _probability(p), train)


@_strict
def constant_pad_nd(input: Tensor, pad: Any, value: float = 0) -> Tensor:
    """`nn.functional.pad` with a constant: pairs of numbers of `value`, the last dimension first.

    >>> ad.constant_pad_nd(ad.ones(2), [1, 0], 5.0)
    tensor([5., 1., 1.])
    """
    return F.pad(input, pad, "constant", value)


@_strict
def affine_grid_generator(theta: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """`nn.functional.affine_grid`, with every argument.

    >>> ad.affine_grid_generator(ad.eye(2, 3)[None], (1, 1, 1, 2), True)
    tensor([[[[-1.,  0.],
              [ 1.,  0.]]]])
    """
    return F.affine_grid(theta, size, align_corners)


@_strict
def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`nn.functional.grid_sample`, modes by number: 0 bilinear, 1 nearest, 2 bicubic; of what is
    outside 0 zeros, 1 border, 2 reflection.

    >>> ad.grid_sampler(ad.ones(1, 1, 2, 2), ad.zeros(1, 1, 1, 2), 0, 0, False)
    tensor([[[[1.]]]])
    """
    if not (0 <= interpolation_mode < 3 and 0 <= padding_mode < 3):
        given = f"{interpolation_mode} and {padding_mode}"
        raise ValueError(f"grid_sampler(): modes are 0, 1 or 2, not {given}")
    mode, outside = _POINTS[interpolation_mode], _OUTSIDE[padding_mode]
    return F.grid_sample(input, grid, mode, outside, align_corners)


# ---- losses ----


@_strict
def kl_div(
    input: Tensor, target: Tensor, reduction: int = 0, *, log_target: bool = False
) -> Tensor:
    """`nn.functional.kl_div`, the reduction by number.

    >>> ad.kl_div(ad.tensor([0.0]), ad.tensor([1.0]), 2)
    tensor(0.)
    """
    return F.kl_div(input, target, reduction=_kind(reduction), log_target=log_target)


@_strict
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: int = 0,
) -> Tensor:
    """`nn.functional.binary_cross_entropy_with_logits`, the reduction by number.

    >>> ad.binary_cross_entropy_with_logits(ad.tensor([0.0]), ad.tensor([1.0]))
    tensor([0.6931])
    """
    kind = _kind(reduction)
    return F.binary_cross_entropy_with_logits(
        input, target, weight, reduction=kind, pos_weight=pos_weight
    )


@_strict
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int
) -> Tensor:
    """`nn.functional.poisson_nll_loss`, with every argument, the reduction by number.

    >>> ad.poisson_nll_loss(ad.tensor([0.0]), ad.tensor([1.0]), True, False, 1e-8, 1)
    tensor(1.)
    """
    kind = _kind(reduction)
    return F.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=kind)


@_strict
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """`nn.functional.cosine_embedding_loss`, the reduction by number.

    >>> ad.cosine_embedding_loss(ad.eye(2), ad.eye(2), ad.tensor([1.0, 1.0]))
    tensor([0., 0.])
    """
    kind = _kind(reduction)
    return F.cosine_embedding_loss(input1, input2, target, margin, reduction=kind)


@_strict
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 0
) -> Tensor:
    """`nn.functional.hinge_embedding_loss`, the reduction by number.

    >>> ad.hinge_embedding_loss(ad.tensor([0.25]), ad.tensor([-1.0]))
    tensor([0.7500])
    """
    kind = _kind(reduction)
    return F.hinge_embedding_loss(input, target, margin, reduction=kind)


@_strict
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """`nn.functional.margin_ranking_loss`, the reduction by number.

    >>> ad.margin_ranking_loss(ad.tensor([1.0]), ad.tensor([3.0]), ad.tensor([1.0]))
    tensor([2.])
    """
    kind = _kind(reduction)
    return F.margin_ranking_loss(input1, input2, target, margin, reduction=kind)


@_strict
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: int = 0,
) -> Tensor:
    """`nn.functional.triplet_margin_loss`, the reduction by number.

    >>> x = ad.zeros(1, 2)
    >>> ad.triplet_margin_loss(x, x, x)
    tensor([1.])
    """
    kind = _kind(reduction)
    return F.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction=kind)


@_strict
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: int = 0,
    zero_infinity: bool = False,
) -> Tensor:
    """`nn.functional.ctc_loss`, the reduction by number.

    >>> ad.ctc_loss(ad.zeros(1, 1, 2), ad.tensor([[1]]), [1], [1])
    tensor([-0.])
    """
    kind = _kind(reduction)
    given = (log_probs, targets, input_lengths, target_lengths, blank)
    return F.ctc_loss(*given, reduction=kind, zero_infinity=zero_infinity)
