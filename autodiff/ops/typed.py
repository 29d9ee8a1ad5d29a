"""PyTorch's older ways to make tensors and to ask of them, and `asarray`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff import dtypes
from autodiff.devices import check_device
from autodiff.dtypes import dtype, get_default_dtype
from autodiff.grad_mode import no_grad
from autodiff.ops.assign import copy_
from autodiff.ops.convert import Dtype, as_tensor, tensor
from autodiff.ops.create import empty, full
from autodiff.ops.foreign import has_memory
from autodiff.ops.storage import UntypedStorage
from autodiff.ops.views import alias
from autodiff.shapes import Size
from autodiff.tensor import Tensor, late
from autodiff.tensor import as_subclass as _recast
from autodiff.torch_function import DisableTorchFunctionSubclass


def _made(d: dtype, given: tuple[Any, ...]) -> Tensor:
    """A tensor of sizes (its elements not set), of the elements of a sequence, or of a tensor."""
    if len(given) != 1 or type(given[0]) in (Size, int):
        if not all(hasattr(n, "__index__") or isinstance(n, Size) for n in given):
            kinds = ", ".join(type(n).__name__ for n in given)
            raise TypeError(f"new(): sizes or one sequence are expected, not ({kinds})")
        return empty(*given or (0,), dtype=d)
    (data,) = given
    if isinstance(data, Tensor):
        if data.dtype is not d:
            raise TypeError(f"new(): expected a tensor of {d!r}, not of {data.dtype!r}")
        return data[...]
    if isinstance(data, str):
        raise TypeError(f"new(): invalid data type {type(data).__name__!r}")
    if not (hasattr(data, "__len__") or has_memory(data)):
        raise TypeError(f"new(): data must be a sequence (got {type(data).__name__})")
    found = tensor(data)
    if d is dtypes.uint8 and found.numel() and not 0 <= found.min() <= found.max() < 256:
        raise RuntimeError("value cannot be converted to type uint8 without overflow")
    return found.to(d)


class TensorType(type):
    """What PyTorch's older types of tensors are: a call makes one of a dtype, whose all are."""

    dtype: dtype

    def __call__(cls, *data: Any, device: Any = None) -> Tensor:
        check_device("new", device)
        try:
            return _made(cls.dtype, data)
        except OverflowError as failure:
            raise TypeError(f"new(): {failure}") from failure

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, Tensor) and x.dtype is cls.dtype


def _type_of(kind: str, d: dtype) -> TensorType:
    doc = (
        f"A tensor of {d.name}: of sizes, its elements not set, or of a sequence's elements.\n\n"
        f">>> ad.{kind}Tensor([1, 0]).dtype, ad.{kind}Tensor(2, 3).shape\n"
        f"({d!r}, torch.Size([2, 3]))"
    )
    return TensorType(f"{kind}Tensor", (), {"dtype": d, "__doc__": doc, "__module__": "autodiff"})


TYPES = {
    f"{kind}Tensor": _type_of(kind, d)
    for kind, d in zip(dtypes.SCALAR_NAMES, dtypes.ALL, strict=True)
}


def _of_class(kind: type[Any], data: tuple[Any, ...], device: Any = None) -> Any:
    """What `Tensor(...)`, and that of a class of the user's, makes of its arguments."""
    check_device("Tensor", device)
    (given,) = data if len(data) == 1 else (None,)
    x = alias(given) if isinstance(given, Tensor) else _made(get_default_dtype(), data)
    return x if kind is Tensor else _recast(kind, x)


late.make = _of_class


def new(self: Tensor, *data: Any) -> Tensor:
    """A tensor of this dtype: of sizes, its elements not set, or of a sequence's elements.

    >>> ad.ones(2).new([1, 2])
    tensor([1., 2.])
    """
    return _made(self.dtype, data)


def scalar_tensor(s: Any, *, dtype: Dtype = None, requires_grad: bool = False) -> Tensor:
    """A tensor of one number and no dimensions, of the default dtype if none is given.

    >>> ad.scalar_tensor(3)
    tensor(3.)
    """
    return full((), s, dtype=dtype or get_default_dtype(), requires_grad=requires_grad)


def asarray(
    obj: Any, *, dtype: Dtype = None, copy: bool | None = None, requires_grad: bool | None = None
) -> Tensor:
    """obj as a tensor: sharing its memory where that can be, unless `copy`; ValueError where it
    cannot be and `copy` is False. A tensor keeps its history, unless `requires_grad` is False.

    >>> ad.asarray([1, 2], dtype=ad.float32)
    tensor([1., 2.])
    """
    if requires_grad is None:
        requires_grad = isinstance(obj, Tensor) and obj.requires_grad
    if isinstance(obj, Tensor) and copy:
        x = as_tensor(obj.clone(), dtype)
    else:
        x = tensor(obj, dtype=dtype) if copy else as_tensor(obj, dtype)
    if copy is False and not (isinstance(obj, Tensor) or has_memory(obj)):
        raise ValueError("can't alias arbitrary sequence into a tensor.")
    if copy is False and as_tensor(obj).dtype is not x.dtype:
        raise ValueError(
            f"can't alias tensor with dtype {as_tensor(obj).dtype!r} into dtype {x.dtype!r}."
        )
    if x.requires_grad == requires_grad:
        return x
    return x.requires_grad_() if requires_grad else x.detach()


def as_subclass(self: Tensor, cls: type[Any]) -> Any:
    """The tensor as one of a subclass, over the same memory; TypeError for what is none.

    >>> class Named(ad.Tensor): pass
    >>> type(ad.ones(2).as_subclass(Named)).__name__
    'Named'
    """
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError(f"as_subclass(): cls must be a subclass of Tensor, not {cls!r}")
    with DisableTorchFunctionSubclass():
        x = alias(self)
    y = _recast(cls, x)
    y._node, y._base, y._base_node = x._node, x._base, x._base_node
    return y


def dim_order(self: Tensor) -> tuple[int, ...]:
    """The dimensions from the longest stride to the shortest.

    >>> ad.zeros(2, 3).t().dim_order()
    (1, 0)
    """
    return tuple(sorted(range(self.ndim), key=lambda d: -self.stride(d)))


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape.

    >>> ad.is_same_size(ad.ones(2), ad.zeros(2))
    True
    """
    return input.shape == other.shape


def is_signed(input: Tensor) -> bool:
    """Whether the dtype holds negative numbers.

    >>> ad.is_signed(ad.ones(2))
    True
    """
    return input.dtype.is_signed


def is_inference(input: Tensor) -> bool:
    """Whether the tensor was made in inference mode.

    >>> ad.is_inference(ad.ones(2))
    False
    """
    return input.is_inference()


def get_device(input: Tensor) -> int:
    """-1: the number of the CPU.

    >>> ad.get_device(ad.ones(2))
    -1
    """
    return -1 if input.is_cpu else 0


def ndimension(self: Tensor) -> int:
    """The number of dimensions.

    >>> ad.ones(2, 3).ndimension()
    2
    """
    return self.ndim


def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Each element replaced by what a Python function gives for it: slow.

    RuntimeError of a tensor that requires grad.

    >>> ad.tensor([1.0, 2.0]).apply_(lambda v: v + 1)
    tensor([2., 3.])
    """
    if self.requires_grad:
        raise RuntimeError(
            "Can't call apply_() on Variable that requires grad. Use var.detach().apply_() instead."
        )
    return _set(self, [callable(v) for v in self.reshape(-1).tolist()])


def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Each element replaced by what a Python function gives for it and another's: slow.

    RuntimeError of a tensor that requires grad, TypeError of another dtype.

    >>> ad.tensor([1.0, 2.0]).map_(ad.tensor([3.0, 4.0]), lambda a, b: a * b)
    tensor([3., 8.])
    """
    return _mapped("map_", self, (tensor,), callable)


def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """`map_`, with elements of two other tensors.

    >>> ad.tensor([1.0, 2.0]).map2_(ad.ones(2), ad.ones(2), lambda a, b, c: a + b + c)
    tensor([3., 4.])
    """
    return _mapped("map2_", self, (x, y), callable)


def _mapped(name: str, x: Tensor, others: tuple[Tensor, ...], function: Any) -> Tensor:
    for other in others:
        if not isinstance(other, Tensor) or other.dtype is not x.dtype:
            kind = typename(other)
            raise TypeError(f"{name}: expected {typename(x)} for 'other' (got {kind})")
    if any(each.requires_grad for each in (x, *others)):
        raise RuntimeError(
            f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() "
            "instead."
        )
    given = [x, *(other.expand(x.shape) for other in others)]
    rows = zip(*(each.reshape(-1).tolist() for each in given), strict=True)
    return _set(x, [function(*row) for row in rows])


def _set(x: Tensor, values: list[Any]) -> Tensor:
    for value in values:
        if not isinstance(value, (int, float)):
            raise TypeError(f"must be real number, not {type(value).__name__}")
    with no_grad():
        return copy_(x, tensor(values).reshape(x.shape))


def typename(obj: Any) -> str:
    """The name of an object's type, with its module; of a tensor, as `Tensor.type()` tells it.

    >>> ad.typename(ad.ones(1)), ad.typename(3)
    ('torch.FloatTensor', 'int')
    """
    if isinstance(obj, Tensor):
        return f"torch.{obj.dtype.title}Tensor"
    named = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(named, "__module__", None) or "builtins"
    return named.__qualname__ if module == "builtins" else f"{module}.{named.__qualname__}"


def is_storage(obj: Any) -> bool:
    """Whether an object is a tensor's storage.

    >>> ad.is_storage(ad.ones(1).untyped_storage()), ad.is_storage(ad.ones(1))
    (True, False)
    """
    return isinstance(obj, UntypedStorage)
