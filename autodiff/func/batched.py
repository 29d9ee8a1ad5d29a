"""A tensor with a hidden dimension: what a function sees inside vmap.

The hidden dimension is the first of `value`, which is an ordinary tensor, or is hidden from in its
turn by an outer vmap. Its gradients are those of `value`: a graph is recorded below, never here.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, TypeGuard

from autodiff.dtypes import dtype
from autodiff.node import Node
from autodiff.ops.views import expand, reshape
from autodiff.shapes import Size, dim_index
from autodiff.tensor import Tensor, live_node
from autodiff.torch_function import disabled


class BatchError(RuntimeError):
    """What cannot be done to a whole batch, nor to its samples one by one."""


class Level:
    """One running vmap."""

    __slots__ = ("depth", "randomness", "size")

    def __init__(self, size: int, randomness: str, depth: int) -> None:
        self.size = size
        self.randomness = randomness
        self.depth = depth


class _Levels(threading.local):
    """The running vmaps of a thread, the innermost last."""

    def __init__(self) -> None:
        self.stack: list[Level] = []


levels = _Levels()


class Descriptor:
    """What stands for a native descriptor: its geometry without memory, which natives refuse."""

    __slots__ = ("contiguous", "dtype", "ndim", "number", "numel", "shape")

    def __init__(self, value: Tensor) -> None:
        p = value._p
        self.dtype, self.contiguous, self.number = p.dtype, p.contiguous, False
        self.shape = list(value.shape[1:])
        self.ndim = len(self.shape)
        self.numel = Size(self.shape).numel()


def _refused(what: str, why: str) -> Any:
    def method(self: Batched, *args: Any, **kwargs: Any) -> Any:
        raise BatchError(f"vmap: It looks like you're {what}: {why}")

    return method


_ONE_VALUE = "there is a value for each sample. Return the tensor from the function instead."
_item = _refused("calling .item() on a Tensor, or making it a Python number", _ONE_VALUE)


class Batched(Tensor):
    """The tensor of one sample, standing for those of all."""

    __slots__ = ("level", "value")
    __torch_function__ = staticmethod(disabled)
    value: Tensor
    level: Level

    def __new__(cls, value: Tensor, level: Level) -> Batched:
        self: Batched = object.__new__(cls)
        self.value = value
        self.level = level
        return self

    @property
    def _p(self) -> Any:
        return Descriptor(self.value)

    @property
    def _node(self) -> Node | None:  # type: ignore[override]
        return live_node(self.value)

    @property
    def _acc(self) -> Any:  # type: ignore[override]
        return self.value._acc

    def _asked(self) -> Any:
        return self.value._asked()

    @property
    def _base(self) -> None:  # type: ignore[override]
        return None

    @property
    def shape(self) -> Size:
        """The sizes of a sample's dimensions."""
        return self.value.shape[1:]

    @property
    def ndim(self) -> int:
        """The number of a sample's dimensions."""
        return self.value.ndim - 1

    def dim(self) -> int:
        """The number of a sample's dimensions."""
        return self.value.ndim - 1

    def size(self, dim: int | None = None) -> Any:
        """A sample's shape, or the size of one of its dimensions."""
        return self.shape if dim is None else self.shape[dim_index(dim, self.ndim)]

    def stride(self, dim: int | None = None) -> Any:
        """A sample's strides in elements, or that of one dimension."""
        strides = self.value.stride()[1:]
        return strides if dim is None else strides[dim_index(dim, self.ndim)]

    def numel(self) -> int:
        """The number of a sample's elements."""
        return self.shape.numel()

    nelement = numel

    @property
    def dtype(self) -> dtype:
        """The type of the elements."""
        return self.value.dtype

    def is_floating_point(self) -> bool:
        """Whether the elements are floating-point numbers."""
        return self.value.is_floating_point()

    def is_inference(self) -> bool:
        """Whether the memory was made in inference mode."""
        return self.value.is_inference()

    @property
    def _version(self) -> int:
        return self.value._version

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set whether operations on this leaf are recorded; returns the tensor."""
        self.value.requires_grad_(requires_grad)
        return self

    def detach(self) -> Tensor:
        """The same memory outside the graph."""
        return Batched(self.value.detach(), self.level)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Batched(level={self.level.depth}, value={self.value!r})"

    __hash__ = Tensor.__hash__
    item = tolist = _single = __index__ = __format__ = _item
    numpy = __array__ = _refused("calling .numpy() on a Tensor", _ONE_VALUE)
    data_ptr = storage_offset = _refused("asking for an address", "a sample has none.")
    backward = _refused("calling backward()", "use autodiff.func.grad or vjp in the function.")
    register_hook = retain_grad = _refused(
        "registering a hook", "register it on the tensor outside."
    )
    __bool__ = _refused(
        "attempting to use a Tensor in some data-dependent control flow",
        "samples may take different branches. Use where(condition, a, b).",
    )


def shared_write(name: str) -> BatchError:
    """The error of a write of all samples to memory that they share."""
    return BatchError(
        f"vmap: {name} would write a value for each sample over a tensor that is one for all of "
        "them. Make the tensor inside the function from what it is given (x.new_zeros(...), "
        "x.clone()), or use the operation that returns a new tensor."
    )


def is_batch(x: Any, level: Level) -> TypeGuard[Batched]:
    """Whether x is a tensor of the level's samples."""
    return type(x) is Batched and x.level is level


def lifted(x: Tensor, level: Level) -> Tensor:
    """A tensor of the batch's samples: x's own, or x for each of them."""
    if type(x) is Batched and x.level is level:
        return x.value
    return expand(x, (level.size, *x.shape))


def padded(x: Tensor, level: Level, ndim: int) -> Tensor:
    """A tensor to broadcast with samples of `ndim` dimensions, the batch in front of them."""
    if type(x) is not Batched or x.level is not level:
        return x
    value, missing = x.value, ndim - x.ndim
    if missing <= 0:
        return value
    shape = value.shape
    return reshape(value, [shape[0], *[1] * missing, *shape[1:]])


def found(args: Any, deepest: Level | None = None) -> Level | None:
    """The innermost level of the batched tensors among arguments; None where there are none."""
    for x in args:
        kind = type(x)
        if kind is Batched:
            if deepest is None or x.level.depth > deepest.depth:
                deepest = x.level
        elif kind is tuple or kind is list:
            deepest = found(x, deepest)
        elif kind is dict:
            deepest = found(x.values(), deepest)
    return deepest


def mapped(x: Any, level: Level, change: Any) -> Any:
    """Arguments with the level's batched tensors changed."""
    kind = type(x)
    if kind is Batched:
        return change(x) if x.level is level else x
    if kind is tuple or kind is list:
        return kind([mapped(each, level, change) for each in x])
    if kind is dict:
        return {name: mapped(each, level, change) for name, each in x.items()}
    return x


def mapped_out(result: Any, level: Level) -> Any:
    """Results of a call on values, as tensors of the batch."""
    if isinstance(result, Tensor):
        return Batched(result, level)
    parts = [mapped_out(each, level) for each in result]
    return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)


def sizes(level: Level, shape: Sequence[int]) -> list[int]:
    """A sample's shape with the batch in front."""
    return [level.size, *shape]
