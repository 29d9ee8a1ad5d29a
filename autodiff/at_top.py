"""What PyTorch has at the top, too, of `nn.functional`: imported when it is first asked for.

Most are the functions themselves: those of the names that the package keeps, but for the ones
below, which take other arguments at the top, as PyTorch's do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff import _AT_TOP
from autodiff.nn import functional as F
from autodiff.nn.functional import noise
from autodiff.ops.cells import CELLS
from autodiff.ops.guard import guarded, strict
from autodiff.recurrences import cell_of, layer_of, or_packed
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


def _dropping(name: str, drop: Any, by_feature: bool, inplace: bool) -> Any:
    def function(input: Tensor, p: float, train: bool) -> Tensor:
        y: Tensor = drop(name, input, _probability(p), train, inplace, by_feature)
        return y

    function.__name__ = function.__qualname__ = name
    what = "channels, in place of elements" if by_feature else "elements"
    function.__doc__ = (
        f"{'Writes over' if inplace else 'Gives'} the input with {what}, dropped with probability "
        f"p where `train`; see `nn.functional.{name.rstrip('_').replace('feature_d', 'd')}`.\n\n"
        f">>> ad.{name}(ad.ones(2), 0.5, False)\ntensor([1., 1.])"
    )
    return _strict(function)


_DROPS = {"dropout": (noise.drop, False), "feature_dropout": (noise.drop, True),
          "alpha_dropout": (noise.alpha_drop, False),
          "feature_alpha_dropout": (noise.alpha_drop, True)}  # fmt: skip
for _name, _how in _DROPS.items():
    globals()[_name] = _dropping(_name, *_how, False)
    globals()[f"{_name}_"] = _dropping(f"{_name}_", *_how, True)


# ---- norms ----


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
    """`nn.functional.batch_norm`, with every argument; `cudnn_enabled` changes nothing.

    >>> ad.batch_norm(ad.tensor([[1.0], [3.0]]), None, None, None, None, True, 0.1, 1e-5, False)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    return F.batch_norm(
        input, running_mean, running_var, weight, bias, training, momentum=momentum, eps=eps
    )


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
    """`nn.functional.instance_norm`, with every argument; `cudnn_enabled` changes nothing.

    >>> ad.instance_norm(ad.tensor([[[1.0, 3.0]]]), None, None, None, None, True, 0.1, 1e-5, False)
    tensor([[[-1.0000,  1.0000]]])
    """
    return F.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


# ---- losses, whose reduction is a number: 0 none (their default at the top), 1 mean, 2 sum ----


def _named(reduction: int) -> str:
    return {1: "mean", 2: "sum"}.get(reduction, "none")


@_strict
def kl_div(
    input: Tensor, target: Tensor, reduction: int = 0, *, log_target: bool = False
) -> Tensor:
    """`nn.functional.kl_div`, the reduction by number: 0 none, 1 mean, 2 sum.

    >>> ad.kl_div(ad.zeros(2), ad.ones(2), 2)
    tensor(0.)
    """
    return F.kl_div(input, target, reduction=_named(reduction), log_target=log_target)


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
    """`nn.functional.ctc_loss`, the reduction by number: 0 none, 1 mean, 2 sum.

    >>> ad.ctc_loss(ad.full((2, 1, 2), 0.5).log(), ad.tensor([[1]]), [2], [1], 0, 2)
    tensor(0.2877)
    """
    lengths = (input_lengths, target_lengths)
    how = _named(reduction)
    return F.ctc_loss(log_probs, targets, *lengths, blank, how, zero_infinity)


@_strict
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: int = 0,
) -> Tensor:
    """`nn.functional.binary_cross_entropy_with_logits`, the reduction by number: 0 none, 1 mean,
    2 sum.

    >>> ad.binary_cross_entropy_with_logits(ad.zeros(2), ad.ones(2), None, None, 1)
    tensor(0.6931)
    """
    return F.binary_cross_entropy_with_logits(
        input, target, weight, reduction=_named(reduction), pos_weight=pos_weight
    )


@_strict
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """`nn.functional.cosine_embedding_loss`, the reduction by number: 0 none, 1 mean, 2 sum.

    >>> ad.cosine_embedding_loss(ad.ones(1, 2), ad.ones(1, 2), ad.tensor([-1]), 0.5)
    tensor([0.5000])
    """
    return F.cosine_embedding_loss(input1, input2, target, margin, reduction=_named(reduction))


@_strict
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 0
) -> Tensor:
    """`nn.functional.hinge_embedding_loss`, the reduction by number: 0 none, 1 mean, 2 sum.

    >>> ad.hinge_embedding_loss(ad.tensor([0.5, 0.25]), ad.tensor([1.0, -1.0]), 1.0, 0)
    tensor([0.5000, 0.7500])
    """
    return F.hinge_embedding_loss(input, target, margin, reduction=_named(reduction))


@_strict
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """`nn.functional.margin_ranking_loss`, the reduction by number: 0 none, 1 mean, 2 sum.

    >>> ad.margin_ranking_loss(ad.ones(2), ad.zeros(2), ad.tensor([1.0, -1.0]), 0.5, 2)
    tensor(1.5000)
    """
    return F.margin_ranking_loss(input1, input2, target, margin, reduction=_named(reduction))


@_strict
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int
) -> Tensor:
    """`nn.functional.poisson_nll_loss`, with every argument; the reduction by number: 0 none, 1
    mean, 2 sum.

    >>> ad.poisson_nll_loss(ad.zeros(2), ad.ones(2), True, False, 1e-8, 1)
    tensor(1.)
    """
    how = _named(reduction)
    return F.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=how)


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
    """`nn.functional.triplet_margin_loss`, the reduction by number: 0 none, 1 mean, 2 sum.

    >>> ad.triplet_margin_loss(ad.zeros(1, 1), ad.zeros(1, 1), ad.ones(1, 1), 2.0)
    tensor([1.0000])
    """
    how = _named(reduction)
    return F.triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction=how)


# ---- images ----


@_strict
def adaptive_max_pool1d(input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """`nn.functional.adaptive_max_pool1d_with_indices`.

    >>> ad.adaptive_max_pool1d(ad.arange(4.0).view(1, 4), 2)
    (tensor([[1., 3.]]), tensor([[1, 3]]))
    """
    return F.adaptive_max_pool1d_with_indices(input, output_size)


@_strict
def constant_pad_nd(input: Tensor, pad: Sequence[int], value: float = 0) -> Tensor:
    """`nn.functional.pad` with a constant.

    >>> ad.constant_pad_nd(ad.ones(2), [1, 0], 5)
    tensor([5., 1., 1.])
    """
    return F.pad(input, pad, "constant", value)


@_strict
def affine_grid_generator(theta: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """`nn.functional.affine_grid`.

    >>> ad.affine_grid_generator(ad.eye(3)[None, :2], [1, 1, 1, 2], True)
    tensor([[[[-1.,  0.],
              [ 1.,  0.]]]])
    """
    return F.affine_grid(theta, size, align_corners)


@_strict
def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`nn.functional.grid_sample`, modes by number: 0 bilinear, 1 nearest, 2 bicubic; 0 zeros, 1
    border, 2 reflection.

    >>> ad.grid_sampler(ad.eye(2)[None, None], ad.zeros(1, 1, 1, 2), 0, 0, True)
    tensor([[[[0.5000]]]])
    """
    modes, paddings = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
    for value in (interpolation_mode, padding_mode):
        if not 0 <= value < 3:
            raise RuntimeError(f"grid_sampler(): a mode is 0, 1 or 2, not {value}")
    how = (modes[interpolation_mode], paddings[padding_mode])
    return F.grid_sample(input, grid, *how, align_corners)


grid_sampler_2d = grid_sampler_3d = grid_sampler


@_strict
def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> Tensor:
    """`nn.functional.conv1d`, `conv2d` or `conv3d`, or where `transposed` `conv_transpose1d`,
    `conv_transpose2d` or `conv_transpose3d`, by the dimensions of the weight.

    >>> ad.convolution(ad.ones(1, 1, 3), ad.ones(1, 1, 2), None, [1], [0], [1], False, [0], 1)
    tensor([[[2., 2.]]])
    """
    nd = weight.ndim - 2
    if nd not in (1, 2, 3):
        raise RuntimeError(f"convolution(): weight must have 3 to 5 dimensions, not {weight.ndim}")
    if transposed:
        call = getattr(F, f"conv_transpose{nd}d")
        return call(input, weight, bias, stride, padding, output_padding, groups, dilation)  # type: ignore[no-any-return]
    return getattr(F, f"conv{nd}d")(input, weight, bias, stride, padding, dilation, groups)  # type: ignore[no-any-return]


# ---- recurrent layers ----

for _kind in CELLS:
    _name = _kind.lower()
    globals()[f"{_name}_cell"] = _strict(cell_of(f"{_name}_cell", _kind))
    _layer = layer_of(_name, _kind)
    globals()[_name] = or_packed(_layer, _strict(_layer))


for _name in _AT_TOP.split():
    if _name not in globals():
        globals()[_name] = getattr(F, _name)
