"""Windows of images as columns, and columns added up to images: `unfold` and `fold`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff.native import NULL, ffi, lib
from autodiff.nn.functional.convolution import Ints, ints
from autodiff.nn.functional.reduction import check_tensors
from autodiff.ops.base import Op, fresh, made
from autodiff.ops.create import arange, zeros
from autodiff.ops.indexing import index_add_
from autodiff.ops.views import narrow, reshape, squeeze, unsqueeze
from autodiff.tensor import Tensor, wrap

__all__ = ["fold", "unfold"]


class _Blocks:
    """Windows of an image (h, w), and where their elements lie in it."""

    def __init__(
        self, op: str, image: Sequence[int], kernel: Any, dilation: Any, padding: Any, stride: Any
    ) -> None:
        self.image = tuple(image)
        self.kernel = ints(op, "kernel_size", kernel, 2)
        self.dilation = ints(op, "dilation", dilation, 2)
        self.padding = ints(op, "padding", padding, 2)
        self.stride = ints(op, "stride", stride, 2)
        if min(*self.kernel, *self.dilation, *self.stride) < 1 or min(self.padding) < 0:
            self._refuse()
        (h, w), (high, wide), (down, across) = self.image, self.kernel, self.dilation
        self.taps = high * wide
        self.padded = h + 2 * self.padding[0], w + 2 * self.padding[1]
        self.count = (
            (self.padded[0] - down * (high - 1) - 1) // self.stride[0] + 1,
            (self.padded[1] - across * (wide - 1) - 1) // self.stride[1] + 1,
        )

    def _refuse(self) -> None:
        for name in ("kernel", "dilation", "stride"):
            values = getattr(self, name)
            if min(values) < 1:
                raise RuntimeError(
                    f"{name} size should be greater than zero, but got {name}_height: {values[0]} "
                    f"{name}_width: {values[1]}"
                )
        raise RuntimeError(
            f"padding should be non-negative, but got padding_height: {self.padding[0]} "
            f"padding_width: {self.padding[1]}"
        )

    def view(self, p: Any, lead: Sequence[int], steps: Sequence[int]) -> Any:
        """Of padded images (lead, h, w) with these strides: (lead, taps, windows), each in two."""
        *before, down, across = steps
        by = [n * step for each in (self.dilation, self.stride)
              for n, step in zip(each, (down, across), strict=True)]  # fmt: skip
        shape, strides = [*lead, *self.kernel, *self.count], [*before, *by]
        found = lib.ad_as_strided(p, len(shape), shape, strides, lib.ad_offset(p))
        return fresh(lib.ad_contiguous(fresh(found, "im2col", p), p.dtype), "im2col", p)


def _columns_forward(p: Any, b: _Blocks) -> Any:
    high, wide = b.padding
    pads = [wide, wide, high, high]
    x = fresh(lib.ad_pad(p, 4, pads, lib.AD_PAD_CONSTANT, NULL), "im2col", p) if high or wide else p
    *lead, _, _ = ffi.unpack(x.shape, x.ndim)
    y = b.view(x, lead, ffi.unpack(x.strides, x.ndim))
    lead[-1] *= b.taps
    return lib.ad_view(y, len(lead) + 1, [*lead, b.count[0] * b.count[1]])


def _added_up(x: Tensor, b: _Blocks) -> Tensor:
    """The elements of columns at their places in images."""
    *lead, rows, windows = x.shape
    lead.append(rows // b.taps)
    d, (h, w), (high, wide) = len(lead), b.image, b.padded
    places = wrap(b.view(arange(high * wide)._p, (), (wide, 1)))
    sums = zeros(*lead, high * wide, dtype=x.dtype)
    index_add_(sums, d, reshape(places, -1), reshape(x, [*lead, b.taps * windows]))
    y = reshape(sums, [*lead, high, wide])
    return narrow(narrow(y, d, b.padding[0], h), d + 1, b.padding[1], w).contiguous()


_columns: Op = Op(
    "im2col",
    _columns_forward,
    lambda node, g: (_images(g, *node.args),),
    shaped=False,
    grad_name="Im2ColBackward0",
)
_images: Op = Op(
    "col2im",
    made(_added_up),
    lambda node, g: (_columns(g, *node.args),),
    shaped=False,
    grad_name="Col2ImBackward0",
)


def unfold(
    input: Tensor, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1
) -> Tensor:
    """The windows of images (n, c, h, w) as columns (n, c kh kw, windows).

    Padding is zeros; the batch may be left out. The gradient is `fold`.

    >>> F.unfold(ad.zeros(1, 3, 4, 4), kernel_size=2, stride=2).shape
    torch.Size([1, 12, 4])
    """
    check_tensors("unfold", input=input)
    if input.ndim not in (3, 4) or 0 in input.shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(input.shape)}"
        )
    x = input if input.ndim == 4 else unsqueeze(input, 0)
    b = _Blocks("unfold", x.shape[2:], kernel_size, dilation, padding, stride)
    if min(b.count) < 1:
        raise RuntimeError(
            f"Given input with spatial size {b.image}, kernel_size={b.kernel}, dilation="
            f"{b.dilation}, padding={b.padding}, calculated shape of the array of sliding blocks "
            f"as {b.count}, but its components must be at least one."
        )
    y = _columns(x, b)
    return y if input.ndim == 4 else squeeze(y, 0)


def fold(
    input: Tensor,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Tensor:
    """Columns (n, c kh kw, windows) added up where the windows of images of output_size lie.

    The gradient is `unfold`. The batch may be left out.

    >>> F.fold(ad.zeros(1, 12, 4), output_size=(4, 4), kernel_size=2, stride=2).shape
    torch.Size([1, 3, 4, 4])
    """
    check_tensors("fold", input=input)
    if input.ndim not in (2, 3) or 0 in input.shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
            f"non-zero dimensions for input, but got: {list(input.shape)}"
        )
    x = input if input.ndim == 3 else unsqueeze(input, 0)
    image = ints("fold", "output_size", output_size, 2)
    b = _Blocks("fold", image, kernel_size, dilation, padding, stride)
    if x.shape[1] % b.taps:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={x.shape[1]} and kernel_size={b.kernel}."
        )
    if min(b.count) < 1 or x.shape[2] != b.count[0] * b.count[1]:
        raise RuntimeError(
            f"Given output_size={image}, kernel_size={b.kernel}, dilation={b.dilation}, padding="
            f"{b.padding}, stride={b.stride}, expected size of input's dimension 2 to match the "
            f"calculated number of sliding blocks {b.count[0]} * {b.count[1]} = "
            f"{b.count[0] * b.count[1]}, but got input.size(2)={x.shape[2]}."
        )
    y = _images(x, b)
    return y if input.ndim == 3 else squeeze(y, 0)
