"""Norms by channel: batch, instance and group norm; and those by the size of what is around."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.native import lib
from autodiff.nn.functional.normalization import check_normalized
from autodiff.nn.functional.reduction import check_floating, check_tensors
from autodiff.node import mode
from autodiff.ops import layer_norm as rows
from autodiff.ops.base import called
from autodiff.ops.cast import to_dtype
from autodiff.ops.clones import contiguous
from autodiff.ops.create import zeros
from autodiff.ops.halves import mixed, through_float32
from autodiff.ops.join import cat
from autodiff.ops.normal import affine, blend_, fixed_norm
from autodiff.ops.regions import as_strided
from autodiff.tensor import TENSOR_TYPES, Tensor, own

__all__ = ["batch_norm", "group_norm", "instance_norm", "local_response_norm", "rms_norm"]


_CHANNELS = ("running_mean", "running_var", "weight", "bias")


def _check(input: Tensor, channels: int, *given: Tensor | None) -> bool:
    """RuntimeError where one of these has not a number for each channel, of the input's dtype.

    True where they are of float32, and the input of 16 bits.
    """
    wide = False
    for name, x in zip(_CHANNELS, given, strict=True):
        if x is None:
            continue
        check_tensors("batch_norm", **{name: x})
        if x.ndim != 1 or x.shape[0] != channels:
            more = "" if x.ndim == 1 else f": its shape is {list(x.shape)}"
            raise RuntimeError(f"{name} should contain {channels} elements not {x.numel()}{more}")
        if x.dtype is not input.dtype:
            wide = mixed(input, *given)
            if not wide:
                raise RuntimeError("mixed dtype (CPU): all inputs must share same datatype.")
    return wide


def _check_batch(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    eps: float,
) -> None:
    """Refuse what batch norm does not take."""
    check_tensors("batch_norm", input=input)
    channels = input.size(1)
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    if running_mean is None and not training:
        raise RuntimeError("running_mean must be defined in evaluation mode")
    if training and math.prod((input.shape[0], *input.shape[2:])) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {input.shape!r}"
        )
    if eps < 0 or (training and eps == 0):
        sign = "positive during training" if training else "non-negative"
        raise ValueError(f"batch_norm eps must be {sign}, but got {eps}")
    check_floating("batch_norm", input)
    if input._p.numel:  # of nothing, PyTorch looks at no other number than the first
        _check(input, channels, running_mean, running_var, weight, bias)


def _fit(input: Any, *given: Any) -> bool:
    """Whether each of those given has a number for each channel, of the input's dtype."""
    if type(input) not in TENSOR_TYPES:
        return False
    p = input._p
    d = p.dtype
    if p.ndim < 2 or d < dtypes.FIRST_FLOAT:
        return False
    channels = p.shape[1]
    for x in given:
        if type(x) in TENSOR_TYPES:
            q = x._p
            if q.ndim != 1 or q.numel != channels or q.dtype != d:
                return False
        elif x is not None:
            return False
    return True


def _affine(input: Tensor, weight: Tensor | None, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weight and bias of the channels; ones and zeros where there are none."""
    if weight is not None and bias is not None:
        return weight, bias
    p = input._p
    w, b = (
        own(lib.ad_full_i64(p.dtype, 1, [p.shape[1]], fill), "full") if x is None else x
        for x, fill in ((weight, 1), (bias, 0))
    )
    return w, b


def _check_running(name: str, mean: Tensor | None, var: Tensor | None) -> None:
    """Refuse running moments that a gradient is wanted for: there is none."""
    for title, x in (("running_mean", mean), ("running_var", var)):
        if x is not None and x.requires_grad and mode.grad:
            raise RuntimeError(
                f"{name}() is not differentiable with respect to argument '{title}'. This input "
                "cannot have requires_grad True: detach() it"
            )


def _unbiased(var: Tensor, count: int) -> Tensor:
    return var * (count / (count - 1)) if count > 1 else var * math.nan


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel (dimension 1) less its mean, divided by sqrt(variance + eps).

    In training, mean and variance are the batch's, and move the running ones by `momentum`; else
    they are the running ones. Weight and bias have a number for each channel.

    >>> F.batch_norm(ad.tensor([[1.0], [3.0]]), None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    given = (running_mean, running_var, weight, bias)
    held = (running_mean is not None) + (running_var is not None)
    if (
        held == 1
        or not (held or training)
        or not _fit(input, *given)
        or (training and input._p.numel == input._p.shape[1])
        or eps <= 0
    ):
        if mixed(input, *given):
            return through_float32(batch_norm, input, *given, training, momentum, eps)
        _check_batch(input, *given, training, eps)
    _check_running("batch_norm", running_mean, running_var)
    count = input._p.numel
    if not count:
        y = input if weight is None else input * weight[0]
        return y.clone() if bias is None else y + bias[0]
    if not training and running_mean is not None and running_var is not None:
        mean, var = running_mean, running_var
        return fixed_norm(input, mean, var, weight, bias, eps)
    y, normal = rows.batch_norm(input, *_affine(input, weight, bias), eps)
    if running_mean is not None and running_var is not None:
        mean, var = rows.moments(input, normal)
        blend_(running_mean, mean, momentum)
        blend_(running_var, _unbiased(var, count // input._p.shape[1]), momentum)
    return y


@called("ViewBackward0")
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each element of the batch normalized by itself, as `batch_norm` a channel.

    The running moments move towards the batch's average; they are used in place of the input's
    unless `use_input_stats`.

    >>> F.instance_norm(ad.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """
    check_tensors("instance_norm", input=input)
    if use_input_stats:
        if math.prod(input.shape[2:]) == 1:
            raise ValueError(
                "Expected more than 1 spatial element when training, got input size "
                f"{input.shape!r}"
            )
    elif running_mean is None or running_var is None:
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when use_input_stats is false"
        )
    if not input.numel():
        ones = [1] * (input.ndim - 2)
        y = input * (1 if weight is None else weight.view(-1, *ones))
        return y if bias is None else y + bias.view(-1, *ones)
    channels, given = input.size(1), (running_mean, running_var, weight, bias)
    if not use_input_stats:
        return batch_norm(input, *given, False, momentum, eps)
    if _check(input, channels, *given):
        return through_float32(instance_norm, input, *given, True, momentum, eps)
    check_floating("batch_norm", input)
    _check_running("instance_norm", running_mean, running_var)
    y, normal = rows.group_norm(contiguous(input), channels, *_affine(input, weight, bias), eps)
    if running_mean is None and running_var is None:
        return y
    count = math.prod(input.shape[2:])
    mean, var = (one.reshape(-1, channels) for one in rows.moments(input, normal))
    if running_mean is not None:
        blend_(running_mean, mean.mean(0), momentum)
    if running_var is not None:
        blend_(running_var, _unbiased(var, count).mean(0), momentum)
    return y


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Groups of channels of each element, less their mean, divided by sqrt(variance + eps).

    Weight and bias have a number for each channel (dimension 1), a multiple of num_groups.

    >>> F.group_norm(ad.tensor([[1.0, 3.0, 5.0, 9.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    if (
        not _fit(input, weight, bias)
        or type(num_groups) is not int
        or not 0 < 2 * num_groups <= input._p.numel
        or input._p.shape[1] % num_groups
    ) and _check_groups(input, num_groups, weight, bias):
        return through_float32(group_norm, input, num_groups, weight, bias, eps)
    if not input._p.numel:
        return affine(input, *_affine(input, weight, bias))
    return rows.group_norm(input, num_groups, *_affine(input, weight, bias), eps)[0]


def _check_groups(
    input: Tensor, num_groups: int, weight: Tensor | None, bias: Tensor | None
) -> bool:
    """Refuse what group norm does not take; whether parameters are wider than what it does."""
    check_tensors("group_norm", input=input)
    if input.ndim < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {input.ndim}"
        )
    n, channels, *rest = input.shape
    if math.prod((n * channels // num_groups, *rest)) == 1:
        raise ValueError(
            "Expected more than 1 value per channel when training, got input size "
            f"{list(input.shape)}"
        )
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if channels % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(input.shape)} and num_groups={num_groups}"
        )
    for name, x in (("weight", weight), ("bias", bias)):
        if x is not None:
            check_tensors("group_norm", **{name: x})
        if x is not None and (x.ndim != 1 or x.shape[0] != channels):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, "
                f"but got {name} of shape {list(x.shape)} and input of shape {list(input.shape)}"
            )
    check_floating("GroupNormKernelImpl", input)
    return _check(input, channels, None, None, weight, bias)


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """input divided by sqrt(mean of squares + eps), times weight.

    The mean is over the last dimensions, of normalized_shape, which weight has too; eps is the
    dtype's machine epsilon where it is None.

    >>> F.rms_norm(ad.tensor([1.0, 7.0]), (2,))
    tensor([0.2000, 1.4000])
    """
    shape = check_normalized("rms_norm", "rms_norm", input, normalized_shape, weight, None)
    if eps is None:
        eps = 2.0**-52 if input.dtype is dtypes.float64 else 2.0**-23  # of what is computed in
    if weight is not None and weight.dtype is not input.dtype:
        wide = dtypes.promote_types(dtypes.promote_types(input.dtype, weight.dtype), dtypes.float32)
        y = rows.rms_norm(to_dtype(input, wide), shape, to_dtype(weight, wide), eps)
        return to_dtype(y, input.dtype)
    return rows.rms_norm(input, shape, weight, eps)


@called("DivBackward0")
def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """input / (k + alpha * mean of the squares of `size` channels around it) ** beta.

    Channels (dimension 1) beyond the ends count as zeros; of an even size, one more is before.

    >>> F.local_response_norm(ad.ones(1, 2, 1), 2, alpha=1.0)
    tensor([[[0.7378],
             [0.5946]]])
    """
    if input.ndim < 3:
        raise ValueError(
            "Expected 3D or higher dimensionality                          input (got "
            f"{input.ndim} dimensions)"
        )
    if not input.numel():
        return input
    if size < 1:
        raise RuntimeError(f"kernel size should be greater than zero, but got kH: {size} kW: 1")
    n, channels, *rest = input.shape
    inner = math.prod(rest)
    squares = (input * input).reshape(n, channels * inner)
    before, after = (
        zeros((n, length * inner), dtype=input.dtype) for length in (size // 2, (size - 1) // 2)
    )
    padded = cat([before, squares, after], 1)
    windows = as_strided(padded, (n, channels, inner, size), (padded.shape[1], inner, 1, inner))
    scale: Tensor = (windows.mean(-1) * alpha + k) ** -beta
    return input.mul(scale.reshape(input.shape))
