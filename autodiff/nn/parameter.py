"""Parameters: the tensors a module learns."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

from autodiff.dtypes import dtype, get_default_dtype
from autodiff.native import lib
from autodiff.ops.create import empty
from autodiff.ops.guard import kind_of
from autodiff.tensor import Tensor, as_subclass, blank, own
from autodiff.torch_function import disabled

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter"]


class _Kind(type):
    """The class of Parameter, which tensors of other subclasses may be instances of, too."""

    def __instancecheck__(cls, x: Any) -> bool:
        own = type.__instancecheck__(cls, x)
        return own or (cls is Parameter and isinstance(x, Tensor) and hasattr(x, "_is_param"))


class Parameter(Tensor, metaclass=_Kind):
    """A leaf tensor that a Module registers when it is assigned as an attribute.

    It shares the memory of `data`, and requires grad unless told otherwise. Attributes may be set
    on it, as on any instance of a subclass of Tensor (but on no plain Tensor). The parameter of
    a tensor of a subclass whose `detach()` keeps the class is of that subclass.

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
        kind = type(data)
        if cls is Parameter and kind is not Tensor and kind is not Parameter:
            other = data.detach()
            if type(other) is kind:
                vars(other)["_is_param"] = True
                return other.requires_grad_(requires_grad)  # type: ignore[return-value]
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


_descriptor: Any = Tensor._p  # the slot


class _Uninitialized:
    """What a tensor is whose shape is yet to be known: no operation finds its memory."""

    _becomes: type[Tensor]
    _node: Any
    _acc: Any

    @property
    def _p(self) -> NoReturn:
        raise ValueError(
            f"Attempted to use an uninitialized {self._becomes.__name__.lower()} in "
            f"'{_called(sys._getframe(1))}': it has no shape before the first call. Call the lazy "
            "module once, with a batch, before its parameters are counted, computed with or passed "
            "on."
        )

    @_p.setter
    def _p(self, value: Any) -> None:
        _descriptor.__set__(self, value)

    def _empty(self) -> Tensor:
        """The same leaf, of no elements."""
        x = blank()
        x._p, x._node, x._acc = _descriptor.__get__(self), self._node, self._acc
        x._base = x._base_node = None
        return x

    @property
    def shape(self) -> NoReturn:
        """Refused: there is none yet."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually "
            "happens in `load_state_dict` when trying to load an uninitialized parameter into an "
            "initialized one. Call `forward` to initialize the parameters before accessing their "
            "attributes."
        )

    def materialize(
        self: Any, shape: Sequence[int], device: str | None = None, dtype: dtype | None = None
    ) -> None:
        """Become an ordinary one of a shape, its values unset."""
        values = empty(*shape, dtype=self.dtype if dtype is None else dtype)
        self.__class__ = self._becomes
        self.data = values

    def __copy__(self) -> Any:
        """Another without a shape."""
        make, given = self.__reduce_ex__(2)
        return make(*given)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Another without a shape."""
        found: Any = memo.get(id(self))
        if found is None:
            found = memo[id(self)] = self.__copy__()
        return found

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        """Pickled as one without a shape."""
        return type(self), (self.requires_grad, None, self.dtype)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def _called(frame: FrameType | None) -> str:
    """The public name of what asked for a tensor's memory."""
    found = ""
    while frame is not None and frame.f_globals["__name__"].startswith("autodiff."):
        known = frame.f_locals  # where functions are made, the code of all has one name
        op = known.get("op", known.get("function"))
        if "fast" not in known or op is not None:  # else what is behind an op's call has told
            found = getattr(op, "name", getattr(op, "__name__", frame.f_code.co_name.strip("_")))
        frame = frame.f_back
    return found


def _of_no_elements(name: str) -> Any:
    """What may be asked before there is a shape."""
    member = getattr(Tensor, name)

    def ask(self: Any, *args: Any, **kwargs: Any) -> Any:
        x = self._empty()
        found = getattr(x, name)
        if not isinstance(member, property):
            found = found(*args, **kwargs)
        return self if found is x else found

    return property(ask, member.fset) if isinstance(member, property) else ask


for _name in [
    "data",
    "device",
    "dtype",
    "itemsize",
    "ndim",
    "nbytes",
    "T",
    "_version",
    "size",
    "to",
    "float",
    "double",
    "half",
    "bfloat16",
    "char",
    "short",
    "int",
    "long",
    "cpu",
    "is_floating_point",
    "is_complex",
    "get_device",
]:
    setattr(_Uninitialized, _name, _of_no_elements(_name))


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
        made: Any = Parameter(empty(0, dtype=dtype), requires_grad)
        made.__class__ = cls
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
        made: Any = Buffer(data, persistent=persistent)
        made.__class__ = cls
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
