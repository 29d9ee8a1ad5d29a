"""`nn.functional.pad`."""

from __future__ import annotations

from typing import Any

from autodiff.ops.guard import guarded
from autodiff.ops.padding import PLACES, constant_pad, place_pad
from autodiff.shapes import sizes_of
from autodiff.tensor import Tensor

__all__ = ["pad"]


def _sides(input: Tensor, flat: list[int]) -> list[tuple[int, int]]:
    """The pads of each dimension; given are pairs from the last one on."""
    if len(flat) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2, got {flat}")
    if len(flat) > 2 * input.ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(flat)} and input of dimension {input.ndim}"
        )
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    sides = [(0, 0)] * (input.ndim - len(pairs)) + pairs[::-1]
    if min(flat, default=0) >= 0:
        return sides
    for d, (size, (low, high)) in enumerate(zip(input.shape, sides, strict=True)):
        if size + low + high < 0 or size + low < 0 or size + high < 0:
            narrowed = "narrow(): length must be non-negative. " if max(flat) <= 0 else ""
            raise RuntimeError(
                f"{narrowed}The input size {size}, plus negative padding {low} and {high}, "
                f"resulted in a negative output size at dimension {d}: pad {flat} of "
                f"{list(input.shape)}"
            )
    return sides


def _check_room(input: Tensor, sides: list[tuple[int, int]], mode: str) -> None:
    """RuntimeError where there is too little to take the elements around from."""
    for d, (size, pair) in enumerate(zip(input.shape, sides, strict=True)):
        if pair == (0, 0):
            continue
        if mode == "reflect" and max(pair) >= max(size, 1):
            raise RuntimeError(
                "Argument #4: Padding size should be less than the corresponding input dimension, "
                f"but got: padding {pair} at dimension {d} of input {list(input.shape)}"
            )
        if mode == "circular" and max(pair) > size:
            raise RuntimeError(
                "Padding value causes wrapping around more than once. It is "
                f"{pair} at dimension {d} of input {list(input.shape)}"
            )
        if size == 0:
            raise RuntimeError(
                f"Expected non-zero sizes for padding, but got input {list(input.shape)}"
            )


@guarded
def pad(input: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """The tensor with elements around it: `pad` is (before, after) of the last dimension first.

    Negative numbers take elements away. `mode` "constant" puts `value` (0) there; "reflect",
    "replicate" and "circular" (of 2 to 5 dimensions, for the last up to three) its own elements.

    >>> F.pad(ad.ones(2), (1, -1)).tolist()
    [0.0, 1.0]
    """
    flat = sizes_of((pad,), "pad")
    sides = _sides(input, flat)
    if mode == "constant":
        return constant_pad(input, sides, 0 if value is None else value)
    if mode not in PLACES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if value is not None and value != 0:
        raise ValueError(f"Padding mode {mode!r} doesn't take in value argument, got {value}")
    given = len(flat) // 2
    if input.ndim not in (given + 1, given + 2) or not 1 <= given <= 3:
        raise NotImplementedError(
            f"Padding size {2 * given} is not supported for {input.ndim}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    _check_room(input, sides, mode)
    return place_pad(input, sides, mode)
