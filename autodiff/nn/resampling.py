"""Interpolation, windows as columns, and channels as pixels, as modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff.nn._declared import calls
from autodiff.nn.functional import resampling, shuffling, windows
from autodiff.nn.functional.convolution import Ints
from autodiff.nn.module import Module
from autodiff.tensor import Tensor

__all__ = [
    "ChannelShuffle", "Fold", "PixelShuffle", "PixelUnshuffle", "Unfold", "Upsample",
    "UpsamplingBilinear2d", "UpsamplingNearest2d",
]  # fmt: skip


class Upsample(Module):
    """`functional.interpolate` with its arguments.

    >>> nn.Upsample(scale_factor=2)(ad.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 1., 2., 2.]]])
    """

    def __init__(
        self,
        size: Ints | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size, self.mode = size, mode
        self.scale_factor: Any = (
            tuple(map(float, scale_factor))
            if isinstance(scale_factor, (tuple, list))
            else float(scale_factor)  # type: ignore[arg-type]
            if scale_factor
            else None
        )
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        how = (self.mode, self.align_corners, self.recompute_scale_factor)
        return resampling.interpolate(input, self.size, self.scale_factor, *how)

    def extra_repr(self) -> str:
        name = "size" if self.scale_factor is None else "scale_factor"
        return f"{name}={getattr(self, name)}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` of images by nearest pixels.

    >>> nn.UpsamplingNearest2d(size=(6, 8))(ad.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 3, 6, 8])
    """

    def __init__(
        self, size: Ints | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` of images, bilinear, with corners aligned.

    >>> nn.UpsamplingBilinear2d(scale_factor=2)(ad.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 3, 8, 8])
    """

    def __init__(
        self, size: Ints | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


@calls(windows.unfold)
class Unfold(Module):
    """`functional.unfold` with its arguments.

    >>> nn.Unfold(kernel_size=2, stride=2)(ad.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 12, 4])
    """

    kernel_size: Ints
    dilation: Ints = 1
    padding: Ints = 0
    stride: Ints = 1


class Fold(Unfold):
    """`functional.fold` with its arguments.

    >>> nn.Fold(output_size=(4, 4), kernel_size=2, stride=2)(ad.zeros(1, 12, 4)).shape
    torch.Size([1, 3, 4, 4])
    """

    def __init__(
        self,
        output_size: Ints,
        kernel_size: Ints,
        dilation: Ints = 1,
        padding: Ints = 0,
        stride: Ints = 1,
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return windows.fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, {super().extra_repr()}"


@calls(shuffling.pixel_shuffle)
class PixelShuffle(Module):
    """`functional.pixel_shuffle` by a factor.

    >>> nn.PixelShuffle(2)(ad.zeros(1, 4, 3, 3)).shape
    torch.Size([1, 1, 6, 6])
    """

    upscale_factor: int


@calls(shuffling.pixel_unshuffle)
class PixelUnshuffle(Module):
    """`functional.pixel_unshuffle` by a factor.

    >>> nn.PixelUnshuffle(2)(ad.zeros(1, 1, 6, 6)).shape
    torch.Size([1, 4, 3, 3])
    """

    downscale_factor: int


@calls(shuffling.channel_shuffle)
class ChannelShuffle(Module):
    """`functional.channel_shuffle` of groups.

    >>> nn.ChannelShuffle(2)(ad.arange(4.0).view(1, 4, 1)).flatten()
    tensor([0., 2., 1., 3.])
    """

    groups: int
