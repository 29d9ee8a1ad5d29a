"""What of a call decides which recordings may fit it."""

from __future__ import annotations

from typing import Any

from autodiff.compiled.recording import is_hooked, same_nodes
from autodiff.compiled.tree import flatten
from autodiff.dtypes import get_default_dtype
from autodiff.native import ffi
from autodiff.nn.parameter import Parameter
from autodiff.node import mode
from autodiff.tensor import Tensor, live_node

__all__ = ["is_fixed", "key_of"]


def key_of(call: Any, tensors: list[Tensor]) -> Any:
    """What decides which recordings may fit the arguments of a call; appends their tensors."""
    spec = flatten(call, tensors)
    modes = mode.grad, mode.inference, get_default_dtype()
    return spec, modes, tuple(map(signature, tensors)), same_nodes(tensors)


def is_fixed(x: Tensor) -> bool:
    """Whether an argument is taken as the very tensor it is: a leaf that gradients go to."""
    return isinstance(x, Parameter)


def signature(x: Tensor) -> Any:
    """What of an argument decides which recording fits; a fixed one by itself."""
    if is_fixed(x):
        return x
    p = x._p
    n = 8 * p.ndim
    sizes = bytes(ffi.buffer(p.shape, n)) + bytes(ffi.buffer(p.strides, n))
    return x.__class__, p.dtype, sizes, live_node(x) is None, is_hooked(x)
