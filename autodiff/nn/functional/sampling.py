"""Images read at any places: `grid_sample`, and `affine_grid`, which tells where."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from autodiff.dtypes import int64
from autodiff.expr import Expr, build, inputs
from autodiff.nn.functional.reduction import check_floating, check_tensors
from autodiff.nn.functional.resampling import _CUBIC, cubic_far, cubic_near
from autodiff.ops.base import called, titled
from autodiff.ops.contraction import matmul
from autodiff.ops.create import arange, linspace, ones, zeros
from autodiff.ops.declare import where
from autodiff.ops.elementwise import mul
from autodiff.ops.gather import gather
from autodiff.ops.join import stack
from autodiff.ops.numbers import number_of
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.views import expand, reshape, transpose
from autodiff.tensor import Tensor

__all__ = ["affine_grid", "grid_sample"]


@called("AffineGridGeneratorBackward0")
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Where the pixels of images of `size` (n, c, ...) lie after affine maps: (n, ..., 2 or 3).

    `theta` (n, 2, 3), or (n, 3, 4) for volumes, maps places from -1 to 1, which are the centres
    of the corner pixels with `align_corners` and the corners of the image without.

    >>> F.affine_grid(ad.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2))
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])
    """
    check_tensors("affine_grid", theta=theta)
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    sizes, nd = tuple(size), len(size) - 2
    if nd not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {sizes}."
        )
    if tuple(theta.shape[1:]) != (nd, nd + 1):
        raise ValueError(
            f"Expected a batch of {nd}D affine matrices of shape Nx{nd}x{nd + 1} for size {sizes}. "
            f"Got {theta.shape}."
        )
    if min(sizes) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {sizes}")
    if theta.shape[0] != sizes[0]:
        raise RuntimeError(f"Expected a matrix for each of {sizes[0]} images, got {theta.shape}")
    image = list(sizes[2:])
    axes = []
    for d, n in enumerate(image):
        line = linspace(-1, 1, n, dtype=theta.dtype) if n > 1 else zeros(1, dtype=theta.dtype)
        line = line if align_corners else line * ((n - 1) / n)
        axes.append(expand(reshape(line, [-1] + [1] * (nd - d - 1)), image))
    places = stack([*axes[::-1], ones(image, dtype=theta.dtype)], -1)
    grid = matmul(reshape(places, [-1, nd + 1]), transpose(theta, 1, 2))
    return reshape(grid, [sizes[0], *image, nd])


# ---- the pixels that make those at a place, in each dimension ----


def _limited(x: Expr, size: Expr) -> Expr:
    """Places moved into an image; where they were moved they have no gradient."""
    edge = where(x >= size - 1, size - 1, 0.0)
    return where((x > 0) & (x < size - 1), x, edge)


def _reflected(x: Expr, size: Expr, corners: bool) -> Expr:
    """Places mirrored at the edges, as often as it takes: at pixels' centres or at their sides."""
    low, span = (0.0, size - 1) if corners else (-0.5, size)
    safe = where(span == 0, 1.0, span)  # of one pixel, between whose centres nothing lies
    distance = build("abs", x - low)
    rest = build("fmod", distance, safe)
    turned = build("floor", distance / safe) % 2 == 1
    return where(span == 0, 0.0, _limited(where(turned, safe - rest, rest) + low, size))


@functools.cache
def _programs(mode: str, padding_mode: str, corners: bool) -> tuple[PointwiseOp, PointwiseOp]:
    """Of a dimension's places, its size, and which of the pixels around: the pixel, and its weight.

    Outside of the image, the pixel is 0 and its weight too.
    """
    x, size, k = inputs(3)
    one = build("ones_like", x)
    place = (x + 1) * ((size - 1) / 2) if corners else ((x + 1) * size - 1) / 2

    def moved(at: Expr) -> Expr:
        if padding_mode == "zeros":
            return at
        return _limited(at, size) if padding_mode == "border" else _reflected(at, size, corners)

    if mode == "nearest":
        at, weight = build("round", moved(place)), one
    else:
        place = moved(place) if mode == "bilinear" else place
        low = build("floor", place)
        t = place - low
        at = low + k
        if mode == "bilinear":
            weight = where(k == 0, 1 - t, t)
        else:
            far = where(k > 0, k - t, t - k)  # how far from the pixel
            beyond = cubic_far(far, _CUBIC)
            weight = where((k == 0) | (k == 1), cubic_near(far, _CUBIC), beyond)
            at = moved(at)
    inside = (at >= 0) & (at <= size - 1)
    return (
        PointwiseOp("grid_sample_pixel", where(inside, at, 0.0).to(int64), 3),
        PointwiseOp("grid_sample_weight", where(inside, one, 0.0) * weight, 3),
    )


_i, _n, _j = inputs(3)
_row_major = PointwiseOp("grid_sample_row_major", _i * _n + _j, 3)
_TAPS = {"nearest": (0, 1), "bilinear": (0, 2), "bicubic": (-1, 3)}
# Which pixels around, counted from the one at or before a place: for each dimension a dimension.
_AROUND = {
    (mode, nd): [reshape(arange(*ends), [-1] + [1] * (nd - d)) for d in range(nd)]
    for mode, ends in _TAPS.items()
    for nd in (2, 3)
}


def _check(x: Tensor, grid: Tensor, mode: str, padding_mode: str) -> None:
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'"
        )
    if x.ndim not in (4, 5) or x.ndim != grid.ndim:
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but "
            f"got input with sizes {list(x.shape)} and grid with sizes {list(grid.shape)}"
        )
    if x.shape[0] != grid.shape[0]:
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with "
            f"sizes {list(x.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.shape[-1] != x.ndim - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {x.ndim - 2} in last dimension, but got "
            f"grid with sizes {list(grid.shape)}"
        )
    if 0 in x.shape[2:]:
        raise RuntimeError(
            "grid_sampler(): expected input to have non-empty spatial dimensions, but input has "
            f"sizes {list(x.shape)}"
        )
    if mode == "bicubic" and x.ndim != 4:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    check_floating("grid_sample", x)
    if x.dtype is not grid.dtype:
        raise RuntimeError(f"grid_sample: expected a grid of {x.dtype} but found {grid.dtype}")


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Images (n, c, h, w) read at the places `grid` (n, ..., 2), x first, from -1 to 1.

    Volumes (n, c, d, h, w) have grids (n, ..., 3). The mode is bilinear, nearest, or for images
    bicubic; outside lie zeros, what is at the border, or the image mirrored ("reflection"). What
    -1 and 1 are, `affine_grid` tells. RuntimeError for sizes and dtypes that do not fit.

    >>> image = ad.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> F.grid_sample(image, ad.zeros(1, 1, 1, 2))
    tensor([[[[2.5000]]]])
    """
    check_tensors("grid_sample", input=input, grid=grid)
    _check(input, grid, mode, padding_mode)
    corners = bool(align_corners)
    (n, c, *image), places = input.shape, grid.shape[1:-1]
    nd, count = len(image), math.prod(places)
    pixel, weigh = _programs(mode, padding_mode, corners)
    index, weight = None, None
    for d, (size, k) in enumerate(zip(image, _AROUND[mode, nd], strict=True)):
        x = reshape(grid.select(-1, nd - 1 - d), [n] + [1] * (nd + 1) + [count])
        given = (x, number_of(size), k)
        at, share = pixel.call(*given), weigh.call(*given)
        index = at if index is None else _row_major.call(index, given[1], at)
        weight = share if weight is None else mul.call(weight, share)
    assert index is not None
    assert weight is not None
    taps = index._p.numel // max(n * count, 1)
    found = gather(
        reshape(input, [n, c, math.prod(image)]),
        2,
        expand(reshape(index, [n, 1, taps * count]), [n, c, taps * count]),
    )
    total = reshape(found, [n, c, taps, count]) * reshape(weight, [n, 1, taps, count])
    total = total.sum(2) if taps > 1 else total
    return titled(reshape(total, [n, c, *places]), f"GridSampler{nd}DBackward0")
