"""Views as copies: of each function that makes one, another of its name and `_copy`."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from typing import Any

from autodiff.formats import contiguous_format
from autodiff.ops import diagonals, rearrange, regions, splitting, transposes, views
from autodiff.ops.base import titled
from autodiff.ops.clones import clone
from autodiff.ops.subscript import slice_dim
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor


def slice(
    input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """The positions from `start` to before `end` of one dimension, `step` apart.

    >>> ad.slice_copy(ad.arange(6), 0, 1, 6, 2)
    tensor([1, 3, 5])
    """
    return slice_dim(input, dim_index(dim, input.ndim), builtins.slice(start, end, step))


def _copied(name: str, view: Callable[..., Any], arguments: str) -> Callable[..., Any]:
    title = f"{name.title().replace('_', '')}Backward0_copy"

    def copy(y: Tensor) -> Tensor:
        return titled(clone(y, memory_format=contiguous_format), title)

    @functools.wraps(view)
    def call(*args: Any, **kwargs: Any) -> Any:
        made = view(*args, **kwargs)
        return copy(made) if isinstance(made, Tensor) else tuple(map(copy, made))

    call.__name__ = call.__qualname__ = f"{name}_copy"
    first = "y[0]" if name in SEVERAL else "y"
    call.__doc__ = (
        f"What `{name}` gives, as a copy: memory of its own, through which gradients pass.\n\n"
        f"    >>> x = ad.zeros(2, 3)\n"
        f"    >>> y = ad.{name}_copy(x{arguments})\n"
        f"    >>> x.fill_(1).all(), {first}.any()\n"
        f"    (tensor(True), tensor(False))\n"
    )
    return call


SEVERAL = ("split", "split_with_sizes", "unbind")  # which return tuples
_VIEWS: dict[str, tuple[Callable[..., Any], str]] = {  # and what the example gives them
    "alias": (views.alias, ""),
    "as_strided": (regions.as_strided, ", (2,), (1,)"),
    "detach": (Tensor.detach, ""),
    "diagonal": (diagonals.diagonal, ""),
    "expand": (views.expand, ", (2, 2, 3)"),
    "permute": (views.permute, ", (1, 0)"),
    "select": (views.select, ", 0, 1"),
    "slice": (slice, ", 1, 0, 3, 2"),
    "split": (splitting.split, ", 1"),
    "split_with_sizes": (splitting.split_with_sizes, ", (1, 1)"),
    "squeeze": (views.squeeze, ""),
    "t": (transposes.t, ""),
    "transpose": (views.transpose, ", 0, 1"),
    "unbind": (splitting.unbind, ""),
    "unfold": (rearrange.unfold, ", 1, 2, 1"),
    "unsqueeze": (views.unsqueeze, ", 0"),
    "view": (views.view, ", (3, 2)"),
}
COPIES = {f"{name}_copy": _copied(name, *view) for name, view in _VIEWS.items()}
