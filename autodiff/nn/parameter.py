"""Parameters: the tensors a module learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from autodiff.dtypes import dtype, get_default_dtype
from autodiff.native import lib
from autodiff.ops.create import empty
from autodiff.ops.guard import kind_of
from autodiff.tensor import Tensor, as_subclass, own
from autodiff.torch_function import disabled

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter"]


class Parameter(Tensor):
    """A leaf tensor that a Module registers when it is assigned as an attribute.

    It shares the memory of `data`, and requires grad unless told otherwise. Attributes may be set
    on it, as on any instance of a subclass of Tensor (but on no plain Tensor).

    >>> nn.Parameter(ad.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    __torch_function__ = staticmethod(disabled)  # results are plain tensors

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        """A parameter over the memory of `data`; without it, an empty one."""
        if data is None:
            data = own(lib.ad_empty(get_default_dtype().code, 1, [0]), "Parameter")
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter(): argument 'data' must be Tensor, not {kind_of(data)}")
        parameter = as_subclass(cls, data)
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
    __torch_function__ = staticmethod(disabled)

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        """A buffer over the memory of `data`; without it, an empty one."""
        if data is None:
            data = own(lib.ad_empty(get_default_dtype().code, 1, [0]), "Buffer")
        buffer = as_subclass(cls, data)
        buffer.requires_grad_(data.requires_grad)
        buffer.persistent = persistent
        return buffer

    def plain(self) -> Tensor:
        """What a module holds: the tensor alone, as whether it is persistent is the module's."""
        return self.detach().requires_grad_(self.requires_grad)


class _Uninitialized:
    """What a tensor is whose shape is yet to be known."""

    _becomes: type[Tensor]

    @property
    def shape(self) -> NoReturn:
        """Refused: there is none yet."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually "
            "happens in `load_state_dict` when trying to load an uninitialized parameter into an "
            "initialized one. Call `forward` to initialize the parameters before accessing their "
            "attributes."
        )

    def numel(self) -> NoReturn:
        """Refused, lest a model seem to have no parameters before its first call."""
        raise ValueError(
            f"Attempted to use an uninitialized {self._becomes.__name__.lower()} in 'numel': it "
            "has no shape before the first call. Call the lazy module once, with a batch, before "
            "its parameters are counted or passed on."
        )

    nelement = numel

    def materialize(
        self: Any, shape: Sequence[int], device: str | None = None, dtype: dtype | None = None
    ) -> None:
        """Become an ordinary one of a shape, its values unset."""
        self.data = empty(*shape, dtype=self.dtype if dtype is None else dtype)
        self.__class__ = self._becomes

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Another without a shape."""
        found: Any = memo.get(id(self))
        if found is None:
            make, given = self.__reduce_ex__(2)
            found = memo[id(self)] = make(*given)
        return found

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        """Pickled as one without a shape."""
        return type(self), (self.requires_grad, None, self.dtype)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter whose shape is yet to be known; `materialize` gives it one.

    >>> p = nn.UninitializedParameter()
    >>> p.materialize((2, 3))
    >>> p.shape
    torch.Size([2, 3])
    """

    _becomes = Parameter

    def __new__(
        cls, requires_grad: bool = True, device: str | None = None, dtype: dtype | None = None
    ) -> UninitializedParameter:
        """A parameter without a shape."""
        made: Any = Parameter.__new__(cls, empty(0, dtype=dtype), requires_grad)
        return made  # type: ignore[no-any-return]


class UninitializedBuffer(_Uninitialized, Buffer):
    """A buffer whose shape is yet to be known; `materialize` gives it one.

    >>> b = nn.UninitializedBuffer()
    >>> b.materialize((2,))
    >>> b.shape
    torch.Size([2])
    """

    _becomes = Buffer

    def __new__(
        cls,
        requires_grad: bool = False,
        device: str | None = None,
        dtype: dtype | None = None,
        persistent: bool = True,
    ) -> UninitializedBuffer:
        """A buffer without a shape."""
        data = empty(0, dtype=dtype, requires_grad=requires_grad)
        made: Any = Buffer.__new__(cls, data, persistent=persistent)
        return made  # type: ignore[no-any-return]

    def plain(self) -> Tensor:
        """Itself: a module holds what has no shape yet."""
        return self


def is_lazy(param: Any) -> bool:
    """Whether a parameter or buffer has no shape yet.

    >>> nn.parameter.is_lazy(nn.LazyLinear(2).weight)
    True
    """
    return isinstance(param, _Uninitialized)
