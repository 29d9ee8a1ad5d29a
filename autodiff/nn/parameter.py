"""Parameters: the tensors a module learns."""

from __future__ import annotations

from typing import Any

from autodiff.dtypes import get_default_dtype
from autodiff.native import lib
from autodiff.ops.guard import kind_of
from autodiff.tensor import Tensor, as_subclass, own

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A leaf tensor that a Module registers when it is assigned as an attribute.

    It shares the memory of `data`, and requires grad unless told otherwise. Attributes may be set
    on it, as on any instance of a subclass of Tensor (but on no plain Tensor).

    >>> nn.Parameter(ad.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        """A parameter over the memory of `data`; without it, an empty one."""
        if data is None:
            data = own(lib.ad_empty(get_default_dtype().code, 1, [0]), "Parameter")
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter(): argument 'data' must be Tensor, not {kind_of(data)}")
        parameter = as_subclass(cls, data.detach())
        parameter.requires_grad_(requires_grad)
        return parameter

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        """A parameter over a copy of the values; it has no gradient yet."""
        found = memo.get(id(self))
        if found is None:
            data = own(lib.ad_clone(self._p), "clone", self._p)
            found = memo[id(self)] = type(self)(data, self.requires_grad)
        return found

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that a Module registers as a buffer when it is assigned as an attribute.

    It shares the memory of `data`; where it is `persistent`, the state_dict holds it.

    >>> module = nn.Module()
    >>> module.steps = nn.Buffer(ad.zeros(2))
    >>> list(module.state_dict())
    ['steps']
    """

    persistent: bool

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        """A buffer over the memory of `data`; without it, an empty one."""
        if data is None:
            data = own(lib.ad_empty(get_default_dtype().code, 1, [0]), "Buffer")
        buffer = as_subclass(cls, data.detach())
        buffer.requires_grad_(data.requires_grad)
        buffer.persistent = persistent
        return buffer

    def plain(self) -> Tensor:
        """What a module holds: the tensor alone, as whether it is persistent is the module's."""
        return self.detach().requires_grad_(self.requires_grad)
