"""Modules that leave values alone: what passes through, and changes of shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autodiff.nn._declared import options
from autodiff.nn.module import Module
from autodiff.ops.views import flatten, view
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor

__all__ = ["Flatten", "Identity", "Unflatten"]


class Identity(Module):
    """Its input, unchanged. Arguments are taken and ignored.

    >>> nn.Identity()(ad.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


@options
class Flatten(Module):
    """The dimensions from start_dim to end_dim merged into one; the batch's is kept by default.

    >>> nn.Flatten()(ad.zeros(5, 2, 3)).shape
    torch.Size([5, 6])
    """

    start_dim: int = 1
    end_dim: int = -1

    def forward(self, input: Tensor) -> Tensor:
        return flatten(input, self.start_dim, self.end_dim)


class Unflatten(Module):
    """One dimension as several, of sizes `unflattened_size`; one -1 stands for what is left.

    >>> nn.Unflatten(1, (2, 3))(ad.zeros(5, 6)).shape
    torch.Size([5, 2, 3])
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(
                "unflattened_size must be a tuple of ints, but found type "
                f"{type(unflattened_size).__name__}"
            )
        for i, size in enumerate(unflattened_size):
            if not isinstance(size, int):
                raise TypeError(
                    "unflattened_size must be tuple of ints, but found element of type "
                    f"{type(size).__name__} at pos {i}"
                )
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        return _unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


def _unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    d = dim_index(dim, input.ndim)
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    shape, rest = input.shape, list(sizes).count(-1)
    known = math.prod(size for size in sizes if size != -1)
    if rest > 1 or any(size < -1 for size in sizes) or (rest and not known):
        raise RuntimeError(
            f"unflatten: sizes {list(sizes)} do not tell how to part a dimension of {shape[d]}; "
            "at most one may be -1, and the others must be its divisors"
        )
    if shape[d] % known if rest else shape[d] != known:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {d} "
            f"({shape[d]}) in the input tensor"
        )
    parts = [shape[d] // known if size == -1 else size for size in sizes]
    return view(input, *shape[:d], *parts, *shape[d + 1 :])
