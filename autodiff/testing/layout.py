"""How tensors may lie in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autodiff.ops.assign import copy_
from autodiff.ops.create import full
from autodiff.ops.regions import as_strided
from autodiff.ops.views import expand
from autodiff.tensor import Tensor

Shape = tuple[int, ...]
SENTINEL = 77  # fills the memory between elements, for a wrong stride to find


@dataclass(frozen=True)
class Layout:
    """How a tensor lies in memory.

    `order` lists its dimensions from outer to inner; `steps` has the step of each, 0 where all its
    elements are one (as after `expand`); `offset` is the number of elements before the first.

    >>> from autodiff.testing import Layout
    >>> Layout(order=(1, 0), steps=(1, 2))
    Layout(order=(1, 0), steps=(1, 2), offset=0)
    """

    order: tuple[int, ...]
    steps: tuple[int, ...]
    offset: int = 0

    def strides(self, shape: Sequence[int]) -> list[int]:
        """The strides of a tensor of this shape."""
        strides, stride = [0] * len(shape), 1
        for d in reversed(self.order):
            strides[d] = self.steps[d] * stride
            stride *= max(1, shape[d] * self.steps[d])
        return strides

    def core(self, shape: Sequence[int]) -> Shape:
        """The shape of the elements there are in memory."""
        return tuple(
            size if step else min(size, 1) for size, step in zip(shape, self.steps, strict=True)
        )

    def place(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """A leaf with the elements of x, which has the core's shape, in this layout."""
        strides, core = self.strides(shape), self.core(shape)
        span = sum(max(n - 1, 0) * s for n, s in zip(core, strides, strict=True)) + 1
        room = full((self.offset + span,), SENTINEL, dtype=x.dtype)
        memory = as_strided(room, core, strides, self.offset)
        return expand(copy_(memory, x), shape).detach()
