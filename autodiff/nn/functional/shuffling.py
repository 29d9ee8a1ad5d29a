"""Channels as pixels, and channels in another order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from autodiff.nn.functional.reduction import check_tensors
from autodiff.ops.rearrange import regroup, regrouping
from autodiff.tensor import Tensor

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


def _check_factor(op: str, name: str, x: Tensor, factor: Any) -> None:
    if type(x) is Tensor and type(factor) is int and factor > 0 and x._p.ndim > 2:
        return
    check_tensors(op, input=x)
    if type(factor) is not int:
        raise TypeError(f"{op}(): argument '{name}' must be int, not {type(factor).__name__}")
    if x.ndim < 3:
        raise RuntimeError(
            f"{op} expects input to have at least 3 dimensions, but got input with {x.ndim} "
            "dimension(s)"
        )
    if factor <= 0:
        raise RuntimeError(f"{op} expects a positive {name}, but got {factor}")


_shuffled, _unshuffled, _interleaved = (
    regroup.named(f"{name}Backward0")
    for name in ("PixelShuffle", "PixelUnshuffle", "ChannelShuffle")
)


@lru_cache
def _shuffling(shape: Sequence[int], r: int) -> tuple[Any, ...]:
    *lead, c, h, w = shape
    if c % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={c} is not divisible by {r * r}"
        )
    n = len(lead)
    c //= r * r
    order = (*range(n + 1), n + 3, n + 1, n + 4, n + 2)
    return regrouping((*lead, c, r, r, h, w), order, (*lead, c, h * r, w * r))


@lru_cache
def _unshuffling(shape: Sequence[int], r: int) -> tuple[Any, ...]:
    *lead, c, h, w = shape
    for name, d, size in (("height", -2, h), ("width", -1, w)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but "
                f"input.size({d})={size} is not divisible by {r}"
            )
    n = len(lead)
    h, w, order = h // r, w // r, (*range(n + 1), n + 2, n + 4, n + 1, n + 3)
    return regrouping((*lead, c, h, r, w, r), order, (*lead, c * r * r, h, w))


@lru_cache
def _interleaving(shape: Sequence[int], groups: int) -> tuple[Any, ...]:
    n, c, *space = shape
    if c % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups."
        )
    order = (0, 2, 1, *range(3, 3 + len(space)))
    return regrouping((n, groups, c // groups, *space), order, shape)


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., c r^2, h, w) as (..., c, h r, w r): groups of r^2 channels become squares of pixels.

    >>> F.pixel_shuffle(ad.zeros(1, 4, 3, 3), 2).shape
    torch.Size([1, 1, 6, 6])
    """
    _check_factor("pixel_shuffle", "upscale_factor", input, upscale_factor)
    return _shuffled.call(input, *_shuffling(input.shape, upscale_factor))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., c, h r, w r) as (..., c r^2, h, w): undoes `pixel_shuffle`.

    >>> F.pixel_unshuffle(ad.zeros(1, 1, 6, 6), 2).shape
    torch.Size([1, 4, 3, 3])
    """
    _check_factor("pixel_unshuffle", "downscale_factor", input, downscale_factor)
    return _unshuffled.call(input, *_unshuffling(input.shape, downscale_factor))


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels (n, g c, ...) interleaved: the first of each group, then the second of each.

    >>> F.channel_shuffle(ad.arange(4.0).view(1, 4, 1), 2).flatten()
    tensor([0., 2., 1., 3.])
    """
    _check_factor("channel_shuffle", "groups", input, groups)
    return _interleaved.call(input, *_interleaving(input.shape, groups))
