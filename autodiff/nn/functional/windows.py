"""Windows of images as columns, and columns added up to images: `unfold` and `fold`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from autodiff.descriptor import fresh
from autodiff.dtypes import int64
from autodiff.native import NULL, error, ffi, lib
from autodiff.nn.functional.convolution import Ints, ints
from autodiff.nn.functional.reduction import check_tensors
from autodiff.ops.base import Op
from autodiff.ops.create import made_once
from autodiff.ops.views import squeeze, unsqueeze, zeros_p
from autodiff.tensor import TENSOR_TYPES, Tensor

__all__ = ["fold", "unfold"]

Pair = tuple[int, ...]  # down and across
FEW = 2**12  # places that are remembered


class _Blocks:
    """Windows of an image (h, w), and where their elements lie in it."""

    def __init__(
        self, image: Pair, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair
    ) -> None:
        self.image, self.kernel, self.dilation = image, kernel, dilation
        self.padding, self.stride = padding, stride
        if min(*kernel, *dilation, *stride) < 1 or min(padding) < 0:
            self._refuse()
        (h, w), (high, wide), (down, across) = image, kernel, dilation
        self.taps = high * wide
        self.padded = h + 2 * padding[0], w + 2 * padding[1]
        self.count = (
            (self.padded[0] - down * (high - 1) - 1) // stride[0] + 1,
            (self.padded[1] - across * (wide - 1) - 1) // stride[1] + 1,
        )
        self.windows = self.count[0] * self.count[1]

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
        (a, b), (s, t) = self.dilation, self.stride
        shape = [*lead, *self.kernel, *self.count]
        strides = [*before, a * down, b * across, s * down, t * across]
        found = lib.ad_as_strided(p, len(shape), shape, strides, lib.ad_offset(p))
        return fresh(lib.ad_contiguous(fresh(found, "im2col", p), p.dtype), "im2col", p)

    def pads(self, sign: int) -> list[int]:
        """What is added to images, or cut off."""
        high, wide = self.padding
        return [sign * wide, sign * wide, sign * high, sign * high]


_known_blocks = lru_cache(_Blocks)


def _blocks(
    op: str, image: Pair, kernel: Ints, dilation: Ints, padding: Ints, stride: Ints
) -> _Blocks:
    return _known_blocks(
        image,
        ints(op, "kernel_size", kernel, 2),
        ints(op, "dilation", dilation, 2),
        ints(op, "padding", padding, 2),
        ints(op, "stride", stride, 2),
    )


def _padded(p: Any, b: _Blocks, sign: int) -> Any:
    if b.padded == b.image:
        return p
    return fresh(lib.ad_pad(p, 4, b.pads(sign), lib.AD_PAD_CONSTANT, NULL), "im2col", p)


def _shaped(p: Any, *shape: int) -> Any:
    return fresh(lib.ad_view(p, len(shape), shape), "im2col", p)


def _columns_forward(p: Any, b: _Blocks) -> Any:
    x = _padded(p, b, 1)
    lead = ffi.unpack(x.shape, x.ndim - 2)
    y = b.view(x, lead, ffi.unpack(x.strides, x.ndim))
    lead[-1] *= b.taps
    return lib.ad_view(y, len(lead) + 1, [*lead, b.windows])


def _places(b: _Blocks) -> Any:
    """Where in a padded image the elements of columns lie."""
    high, wide = b.padded
    positions = fresh(lib.ad_arange_i64(int64.code, high * wide, 0, 1), "col2im")
    return _shaped(b.view(positions, (), (wide, 1)), b.taps * b.windows)


_known_places = made_once(_places)


def _images_forward(p: Any, b: _Blocks) -> Any:
    lead, (high, wide) = ffi.unpack(p.shape, p.ndim - 1), b.padded
    lead[-1] //= b.taps
    places = (_known_places if b.taps * b.windows < FEW else _places)(b)
    x = p if p.contiguous else fresh(lib.ad_contiguous(p, p.dtype), "col2im", p)
    sums = zeros_p(p.dtype, [*lead, high * wide])
    if lib.ad_index_put(sums, len(lead), 1, [places], _shaped(x, *lead, places.numel), 1):
        raise error("col2im", p)
    return lib.ad_alias(_padded(_shaped(sums, *lead, high, wide), b, -1))


_columns: Op = Op(
    "im2col",
    _columns_forward,
    lambda node, g: (_images(g, *node.args),),
    shaped=False,
    grad_name="Im2ColBackward0",
)
_images: Op = Op(
    "col2im",
    _images_forward,
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
    if type(input) not in TENSOR_TYPES:
        check_tensors("unfold", input=input)
    shape = tuple(input.shape)
    if len(shape) not in (3, 4) or 0 in shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(shape)}"
        )
    single = len(shape) == 3
    b = _blocks("unfold", shape[-2:], kernel_size, dilation, padding, stride)
    if min(b.count) < 1:
        raise RuntimeError(
            f"Given input with spatial size {b.image}, kernel_size={b.kernel}, dilation="
            f"{b.dilation}, padding={b.padding}, calculated shape of the array of sliding blocks "
            f"as {b.count}, but its components must be at least one."
        )
    return squeeze(_columns(unsqueeze(input, 0), b), 0) if single else _columns(input, b)


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
    if type(input) not in TENSOR_TYPES:
        check_tensors("fold", input=input)
    shape = tuple(input.shape)
    if len(shape) not in (2, 3) or 0 in shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
            f"non-zero dimensions for input, but got: {list(shape)}"
        )
    rows, windows = shape[-2:]
    image = ints("fold", "output_size", output_size, 2)
    b = _blocks("fold", image, kernel_size, dilation, padding, stride)
    if rows % b.taps:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={rows} and kernel_size={b.kernel}."
        )
    if min(b.count) < 1 or windows != b.windows:
        raise RuntimeError(
            f"Given output_size={image}, kernel_size={b.kernel}, dilation={b.dilation}, padding="
            f"{b.padding}, stride={b.stride}, expected size of input's dimension 2 to match the "
            f"calculated number of sliding blocks {b.count[0]} * {b.count[1]} = "
            f"{b.windows}, but got input.size(2)={windows}."
        )
    single = len(shape) == 2
    return squeeze(_images(unsqueeze(input, 0), b), 0) if single else _images(input, b)
