"""`nn.functional.pad`."""

from __future__ import annotations

from typing import Any

from autodiff.ops.guard import guarded
from autodiff.ops.padding import padded
from autodiff.shapes import sizes_of
from autodiff.tensor import Tensor

__all__ = ["pad"]


@guarded
def pad(input: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """The tensor with elements around it: `pad` is (before, after) of the last dimension first.

    Negative numbers take elements away. `mode` "constant" puts `value` (0) there; "reflect",
    "replicate" and "circular" (of 2 to 5 dimensions, for the last up to three) its own elements.

    >>> F.pad(ad.ones(2), (1, -1)).tolist()
    [0.0, 1.0]
    """
    if type(pad) is not tuple:
        pad = tuple(sizes_of((pad,), "pad"))
    for n in pad:
        if type(n) is not int:
            pad = tuple(sizes_of((pad,), "pad"))
            break
    return padded(input, pad, mode, value)
