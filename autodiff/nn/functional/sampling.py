"""Images read at any places: `grid_sample`, and `affine_grid`, which tells where."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

from autodiff.dtypes import dtype
from autodiff.nn.functional.reduction import check_floating, check_tensors
from autodiff.ops.base import called
from autodiff.ops.contraction import matmul
from autodiff.ops.create import linspace, made_once, ones, zeros
from autodiff.ops.join import stack
from autodiff.ops.sampled import GRIDS, MODES, PADDINGS, sampled
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
    image = tuple(map(operator.index, sizes[2:]))
    make = _places_once if math.prod(image) <= _FEW else _places
    grid = matmul(make(image, theta.dtype, bool(align_corners)), transpose(theta, 1, 2))
    return reshape(grid, [sizes[0], *image, nd])


def _places(image: tuple[int, ...], d: dtype, align_corners: bool) -> Tensor:
    """Where the pixels of an image lie, a row each: the last dimension's place first, then 1."""
    axes = []
    for at, n in enumerate(image):
        line = linspace(-1, 1, n, dtype=d) if n > 1 else zeros(1, dtype=d)
        line = line if align_corners else line * ((n - 1) / n)
        axes.append(expand(reshape(line, [-1] + [1] * (len(image) - at - 1)), image))
    return reshape(stack([*axes[::-1], ones(image, dtype=d)], -1), [-1, len(image) + 1])


_FEW = 2**12  # places, which are remembered
_places_once = made_once(_places)


def _check(x: Tensor, grid: Tensor, mode: str, padding_mode: str) -> None:
    if mode not in MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in PADDINGS:
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
    try:  # what is wrong is looked for where the call has failed
        return sampled(input, grid, GRIDS[mode, padding_mode, bool(align_corners)])
    except (AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError):
        check_tensors("grid_sample", input=input, grid=grid)
        _check(input, grid, mode, padding_mode)
        raise
