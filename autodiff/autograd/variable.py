"""`Variable`, which was once what `requires_grad` is now."""

from __future__ import annotations

from typing import Any

from autodiff.ops.create import empty
from autodiff.tensor import Tensor

__all__ = ["Variable"]


class _VariableType(type):
    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, Tensor)


class Variable(metaclass=_VariableType):
    """A leaf of a tensor's memory: tensors are variables themselves.

    >>> ad.autograd.Variable(ad.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(  # type: ignore[misc]
        cls, data: Tensor | None = None, requires_grad: bool = False, volatile: Any = None
    ) -> Tensor:
        if data is not None and not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        found: Tensor = empty(0) if data is None else data.detach()
        return found.requires_grad_(requires_grad)
