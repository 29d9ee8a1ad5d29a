"""Images read at any places: `grid_sample`, and `affine_grid`, which tells where."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

from autodiff.dtypes import int64
from autodiff.nn.functional.reduction import check_floating, check_tensors
from autodiff.nn.functional.resampling import _CUBIC, cubic_far, cubic_near
from autodiff.ops.base import called, titled
from autodiff.ops.contraction import matmul
from autodiff.ops.create import linspace, ones, zeros, zeros_like
from autodiff.ops.gather import gather
from autodiff.ops.join import stack
from autodiff.ops.views import expand, reshape, transpose
from autodiff.tensor import Tensor

__all__ = ["affine_grid", "grid_sample"]

Taps = list[tuple[Tensor, Tensor | None]]  # of a dimension: places, and their weights


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


def _limited(x: Tensor, size: int) -> Tensor:
    """Places moved into an image; where they were moved they have no gradient."""
    edge = x.detach().clamp(0, size - 1).nan_to_num(0.0)
    return x.where((x > 0) & (x < size - 1), edge)


def _reflected(x: Tensor, size: int, corners: bool) -> Tensor:
    """Places mirrored at the edges, as often as it takes: at pixels' centres or at their sides."""
    low, span = (0.0, size - 1) if corners else (-0.5, size)
    if not span:
        return zeros_like(x)
    distance = (x - low).abs()
    rest = distance.fmod(span)
    turned = (distance.detach() / span).floor() % 2 == 1
    return _limited((span - rest).where(turned, rest) + low, size)


def _taps(x: Tensor, mode: str, moved: Callable[[Tensor], Tensor]) -> Taps:
    """The pixels along a dimension that make those at the places x."""
    if mode == "nearest":
        return [(moved(x).detach().round(), None)]
    x = moved(x) if mode == "bilinear" else x
    low = x.detach().floor()
    t = x - low
    if mode == "bilinear":
        return [(low, 1 - t), (low + 1, t)]
    weights = (
        cubic_far(t + 1, _CUBIC),
        cubic_near(t, _CUBIC),
        cubic_near(1 - t, _CUBIC),
        cubic_far(2 - t, _CUBIC),
    )
    return [(moved(low + k), w) for k, w in enumerate(weights, -1)]


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
    each: list[Taps] = []
    for d, size in enumerate(image):
        x = reshape(grid.select(-1, nd - 1 - d), [n, 1, count])
        x = (x + 1) * ((size - 1) / 2) if corners else ((x + 1) * size - 1) / 2
        moves: dict[str, Callable[[Tensor], Tensor]] = {
            "zeros": lambda x: x,
            "border": lambda x, size=size: _limited(x, size),  # type: ignore[misc]
            "reflection": lambda x, size=size: _reflected(x, size, corners),  # type: ignore[misc]
        }
        each.append(_taps(x, mode, moves[padding_mode]))
    flat = reshape(input, [n, c, math.prod(image)])
    total = None
    for taps in product(*each):
        index, weight = zeros([n, 1, count], dtype=int64), None
        for size, (at, w) in zip(image, taps, strict=True):
            inside = (at >= 0) & (at <= size - 1)
            index = index * size + at.where(inside, 0.0).to(int64)
            kept = inside.to(input.dtype)
            kept = kept if w is None else kept * w
            weight = kept if weight is None else weight * kept
        term = gather(flat, 2, expand(index, [n, c, count])) * weight
        total = term if total is None else total + term
    assert total is not None
    return titled(reshape(total, [n, c, *places]), f"GridSampler{nd}DBackward0")
