"""Dropout: an input times noise that is zero at random, and what else draws.

The noise is PyTorch's for the same state of the generator: one native draw for each call.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from autodiff.nn.functional.reduction import check_floating, check_tensors
from autodiff.ops.create import empty, empty_like, zeros
from autodiff.ops.draws import draw_into, exponential_
from autodiff.ops.views import squeeze, unsqueeze
from autodiff.tensor import Tensor

__all__ = [
    "alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout",
    "gumbel_softmax",
]  # fmt: skip


def check_probability(p: float) -> None:
    """ValueError where p is no probability of dropping."""
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _times(input: Tensor, noise: Tensor, inplace: bool) -> Tensor:
    found: Tensor = input.mul_(noise) if inplace else input * noise
    return found


def _keeps_all(name: str, input: Any, p: float, training: bool) -> bool:
    """Whether a call returns its input; refuses what no call can take."""
    if not training and type(input) is Tensor and 0 <= p <= 1:
        return True  # at once
    if not isinstance(input, Tensor):
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    check_probability(p)
    if not p >= 0:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")
    if p == 0 or not training or input.numel() == 0:
        return True
    if not input.is_floating_point():
        raise RuntimeError(
            f"{name}: result type Float can't be cast to the desired output type "
            f"{input.dtype.title}"
        )
    return False


def _unset_noise(input: Tensor, by_feature: bool) -> Tensor:
    """Memory for the noise: an element for each of the input, or for each of its channels."""
    if not by_feature:
        return empty_like(input)
    if input.ndim < 2:
        raise RuntimeError(
            "Feature dropout requires at least 2 dimensions in the input, got shape "
            f"{list(input.shape)}"
        )
    return empty([*input.shape[:2], *[1] * (input.ndim - 2)], dtype=input.dtype)


def drop(
    name: str, input: Tensor, p: float, training: bool, inplace: bool, by_feature: bool = False
) -> Tensor:
    """The input with elements, or channels, zeroed, and the others divided by 1 - p."""
    if _keeps_all(name, input, p, training):
        return input
    if p == 1:
        return _times(input, zeros((), dtype=input.dtype), inplace)
    return _times(input, draw_into(_unset_noise(input, by_feature), "dropout", None, p), inplace)


_SATURATION = 1.7580993408473766  # -SELU's limit at minus infinity: its scale times its alpha


def alpha_drop(
    name: str, input: Tensor, p: float, training: bool, inplace: bool, by_feature: bool = False
) -> Tensor:
    """Klambauer et al., Self-Normalizing Neural Networks (2017): a x + b, x saturated at random.

    The mean of 0 and the variance of 1 that the input of SELU layers has are kept.
    """
    if _keeps_all(name, input, p, training):
        return input
    if p == 1:
        return _times(input, zeros((), dtype=input.dtype), inplace)
    kept = draw_into(_unset_noise(input, by_feature), "bernoulli", None, 1 - p)
    a = 1 / math.sqrt((_SATURATION * _SATURATION * p + 1) * (1 - p))
    shift = (kept - 1).mul_(_SATURATION * a).add_(_SATURATION * a * p)
    found: Tensor = _times(input, kept.mul_(a), inplace).add_(shift)
    return found


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability p, and divide the others by 1 - p, in training.

    ValueError for a p outside [0, 1].

    >>> g = ad.manual_seed(0)
    >>> F.dropout(ad.ones(4))
    tensor([0., 0., 2., 0.])
    """
    return drop("dropout", input, p, training, inplace)


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Set each element to SELU's saturation with probability p, keeping mean 0 and variance 1.

    >>> F.alpha_dropout(ad.ones(2), training=False)
    tensor([1., 1.])
    """
    return alpha_drop("alpha_dropout", input, p, training, inplace)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """`alpha_dropout` of whole channels of an input (N, C, ...).

    >>> F.feature_alpha_dropout(ad.ones(2, 3), training=False).shape
    torch.Size([2, 3])
    """
    return alpha_drop("feature_alpha_dropout", input, p, training, inplace, by_feature=True)


# ---- whole channels ----


def _unbatched(name: str, input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """Channels of an input (C, ...): those of a batch of one."""
    batch = drop(name, unsqueeze(input, 0), p, training, inplace, by_feature=True)
    return input if inplace else squeeze(batch, 0)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Zero each channel of an input (N, C, L) or (C, L) with probability p; scale the others.

    >>> g = ad.manual_seed(0)
    >>> F.dropout1d(ad.ones(3, 2))
    tensor([[0., 0.],
            [0., 0.],
            [2., 2.]])
    """
    check_probability(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that "
            "dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, "
            "a channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs)."
        )
    if input.ndim == 2:
        return _unbatched("dropout1d", input, p, training, inplace)
    return drop("dropout1d", input, p, training, inplace, by_feature=True)


def _warn_of_dimensions(name: str, ndim: int, spatial: int) -> None:
    warnings.warn(
        f"{name}: Received a {ndim}-D input to {name}, which is deprecated and will result in an "
        "error in a future release. Use dropout instead. Channel-wise dropout is for inputs with "
        f"{spatial} spatial dimensions, a channel dimension, and an optional batch dimension.",
        stacklevel=3,
    )


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Zero each channel of an input (N, C, H, W) with probability p; scale the others.

    Three dimensions are taken as (N, C, L), with a warning.

    >>> F.dropout2d(ad.ones(8, 3, 5, 5)).shape
    torch.Size([8, 3, 5, 5])
    """
    check_probability(p)
    if input.ndim not in (3, 4):
        _warn_of_dimensions("dropout2d", input.ndim, 2)
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired - input is interpreted as shape (N, C, L), where C is the channel "
            "dim. Use dropout1d for it.",
            stacklevel=2,
        )
    return drop("dropout2d", input, p, training, inplace, by_feature=True)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Zero each channel of an input (N, C, D, H, W) or (C, D, H, W) with probability p.

    >>> F.dropout3d(ad.ones(8, 3, 5, 5, 5)).shape
    torch.Size([8, 3, 5, 5, 5])
    """
    check_probability(p)
    if input.ndim not in (4, 5):
        _warn_of_dimensions("dropout3d", input.ndim, 3)
    if input.ndim != 5:
        return _unbatched("dropout3d", input, p, training, inplace)
    return drop("dropout3d", input, p, training, inplace, by_feature=True)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """Softmax along dim of logits with Gumbel noise at temperature tau: nearly one-hot samples.

    With `hard` it is one, as ones and zeros, and has the gradient of the softmax. `eps` changes
    nothing.

    >>> F.gumbel_softmax(ad.zeros(2, 3), hard=True).sum(1)
    tensor([1., 1.])
    """
    check_tensors("gumbel_softmax", logits=logits)
    check_floating("gumbel_softmax", logits)
    noise = -exponential_(empty_like(logits)).log()
    y: Tensor = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return y
    ones = zeros(y.shape, dtype=y.dtype).scatter_(dim, y.detach().max(dim, True)[1], 1.0)
    sample: Tensor = ones - y.detach() + y
    return sample
