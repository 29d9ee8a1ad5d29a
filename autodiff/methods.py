"""The one table that binds operations to Tensor, and prints tensors."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from typing import Any

from autodiff import _format, dtypes, grad_mode, graph
from autodiff.ops import (
    arithmetic,
    assign,
    calling,
    calls,
    cast,
    contraction,
    convert,
    dlpack,
    elementwise,
    foreign,
    indexing,
    matrix_names,
    order,
    overwriting,
    pickling,
    reals,
    rearrange,
    splitting,
    transposes,
    typed,
    views,
)
from autodiff.ops.declare import FUNCTIONS
from autodiff.ops.guard import guarded
from autodiff.ops.keywords import placed
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.table import ALIASES, BOTH, members
from autodiff.ops.table import METHODS as ONLY_METHODS
from autodiff.tensor import TENSOR_TYPES, Tensor
from autodiff.torch_function import noticed


def _backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of this tensor to `.grad` of the leaves it was computed from.

    >>> x = ad.tensor(3.0, requires_grad=True)
    >>> (x**2).backward()
    >>> x.grad
    tensor(6.)
    """
    if inputs is None:
        graph.backward_from(self, gradient, retain_graph, create_graph)
    else:
        graph.backward((self,), (gradient,), retain_graph, create_graph, inputs)


def _text(self: Tensor) -> str:
    kind = type(self)
    try:
        node = self.grad_fn
        name = None if node is None else node.name()
    except RuntimeError:  # a view that its base was written to behind
        name = "Invalid"
    own = kind is Tensor or kind.__module__ == "autodiff.nn.parameter"
    text = _format.tensor_text(
        self.detach(),
        self.dtype.name,
        default_dtype=dtypes.get_default_dtype().name,
        requires_grad=self.requires_grad,
        grad_fn=name,
        kind="tensor" if own else kind.__name__,
    )
    return f"Parameter({text})" if not own and hasattr(self, "_is_param") else text


def _iterate(self: Tensor) -> Iterator[Tensor]:
    if self.dim() == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(splitting.unbind(self))


def _contains(self: Tensor, value: Any) -> bool:
    found = self == value
    if not isinstance(found, Tensor):
        raise RuntimeError(
            "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
            f"{type(value)}."
        )
    return bool(found.any())


def _dlpack_device(self: Tensor) -> tuple[int, int]:
    """DLPack's number of the CPU, and which."""
    return dlpack.CPU


def _expand_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor expanded to another's shape.

    >>> ad.tensor([1, 2]).expand_as(ad.zeros(2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return views.expanded(self, other.shape)


def _view_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor viewed in another's shape.

    >>> ad.arange(4).view_as(ad.zeros(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return views.viewed(self, other.shape)


def _split(self: Tensor, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of one size, or of the given sizes, as the function of this name.

    >>> ad.arange(3).split(split_size=2)
    (tensor([0, 1]), tensor([2]))
    """
    return splitting.split(self, split_size, dim)


def _polygamma(self: Tensor, n: int) -> Tensor:
    """The n-th derivative of `digamma`, as the function of this name.

    >>> ad.tensor([1.0]).polygamma(1)
    tensor([1.6449])
    """
    return arithmetic.polygamma(n, self)


def _type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor in another's dtype.

    >>> ad.tensor([1, 2]).type_as(ad.zeros(1))
    tensor([1., 2.])
    """
    return cast.to_dtype(self, other.dtype)


def _type(self: Tensor, dtype: Any = None) -> Any:
    """The tensor as a dtype, which a name such as "torch.LongTensor" may say; without one, that.

    >>> ad.zeros(2).type(), ad.zeros(2).type(ad.int64)
    ('torch.FloatTensor', tensor([0, 0]))
    """
    names = [f"torch.{name}Tensor" for name in dtypes.SCALAR_NAMES]
    if dtype is None:
        return names[self._p.dtype]
    if dtype is Tensor:
        dtype = dtypes.get_default_dtype()
    if isinstance(dtype, typed.TensorType):
        dtype = dtype.dtype
    if isinstance(dtype, str):
        if dtype not in names:
            raise ValueError(f"invalid type: {dtype!r}")
        dtype = dtypes.ALL[names.index(dtype)]
    return cast.to(self, dtype)


def _reversed(self: Tensor) -> Tensor:
    """A copy of the tensor, backwards along its first dimension."""
    return order.flip(self, [0]) if self.ndim else self


def _array_wrap(self: Tensor, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
    """What NumPy's functions of a tensor give: a tensor, where there is such a dtype."""
    about = getattr(array, "__array_interface__", {"typestr": ""})
    return convert.from_numpy(array) if about["typestr"][1:] in foreign.TYPES else array


def _where(self: Tensor, condition: Any, other: Any) -> Tensor:
    """self where condition is true, else other.

    >>> x = ad.tensor([-1.0, 2.0])
    >>> x.where(x > 0, 9.0)
    tensor([9., 2.])
    """
    return arithmetic.where(condition, self, other)  # type: ignore[no-any-return]


def _of_nn(name: str, *args: Any) -> Tensor:
    found: Tensor = getattr(importlib.import_module("autodiff.nn.functional"), name)(*args)
    return found


def _hardshrink(self: Tensor, lambd: float = 0.5) -> Tensor:
    """`nn.functional.hardshrink`: 0 within [-lambd, lambd].

    >>> ad.tensor([-1.0, 0.3]).hardshrink()
    tensor([-1.,  0.])
    """
    return _of_nn("hardshrink", self, lambd)


def _prelu(self: Tensor, weight: Tensor) -> Tensor:
    """`nn.functional.prelu`: the weight times what is below 0.

    >>> ad.tensor([-1.0, 1.0]).prelu(ad.tensor([0.5]))
    tensor([-0.5000,  1.0000])
    """
    return _of_nn("prelu", self, weight)


def _converter(name: str, d: dtypes.dtype) -> Callable[..., Tensor]:
    at_once = cast.AT_ONCE[d]

    def method(self: Tensor, memory_format: Any = None) -> Tensor:
        if memory_format is None:
            return at_once(self)  # type: ignore[no-any-return]
        return cast.to(self, d, memory_format=memory_format)

    method.__doc__ = f"The tensor as {d.name}.\n\n>>> ad.zeros(2).{name}().dtype\n{d!r}"
    return method


def _overwriting(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The form of a function that writes its result over its first operand."""

    @functools.wraps(function)
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        # What the function saves of self must be as it was before the write.
        y = function(self.clone() if grad_mode.is_grad_enabled() else self, *args, **kwargs)
        if y.dtype.category > self.dtype.category:
            result, own = (x.dtype.title for x in (y, self))
            text = f"result type {result} can't be cast to the desired output type {own}"
            raise RuntimeError(f"{name}: {text}")
        return assign.replace_(self, y)

    method.__name__ = method.__qualname__ = name
    return method


def _matmul_operator(self: Any, other: Any) -> Tensor:
    if type(self) in TENSOR_TYPES and type(other) in TENSOR_TYPES:
        return contraction.matmul(self, other)
    if noticed(self, other):
        return self @ other  # type: ignore[no-any-return]
    return NotImplemented  # type: ignore[no-any-return]


def _product_of(self: Any, other: Any) -> Tensor:
    return _matmul_operator(other, self)


def _inverted(self: Tensor) -> Tensor:
    if self.is_floating_point():
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors, not "
            f"{self.dtype!r}"
        )
    return FUNCTIONS["bitwise_not"].op.call(self)


def _beside_an_array(op: PointwiseOp, x: Tensor, value: Any) -> Any:
    """A comparison with an array, which would leave it to us; arithmetic it does, and wraps."""
    if op.name in _COMPARISONS and hasattr(value, "__array_interface__"):
        return op.call(x, convert.as_tensor(value))
    if noticed(value):
        return op.call(x, value)
    return NotImplemented


calls.late.foreign = _beside_an_array  # type: ignore[method-assign]
_COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")


def _set_imag(self: Tensor, value: Any) -> None:
    reals.imag(self)


def _power_of(self: Tensor, base: Any) -> Tensor:
    return arithmetic.pow(base, self)


def _operators() -> dict[str, Callable[..., Any]]:
    """Python's operators, reflected and in place."""
    table: dict[str, Callable[..., Any]] = {}
    symbols = {
        "add": elementwise.add,
        "sub": elementwise.sub,
        "mul": elementwise.mul,
        "truediv": elementwise.div,
        "floordiv": elementwise.floor_divide,
        "mod": elementwise.remainder,
        "and": FUNCTIONS["bitwise_and"].op,
        "or": FUNCTIONS["bitwise_or"].op,
        "xor": FUNCTIONS["bitwise_xor"].op,
        "lshift": FUNCTIONS["bitwise_left_shift"].op,
        "rshift": FUNCTIONS["bitwise_right_shift"].op,
    }
    turned = {"sub": elementwise.rsub, "truediv": elementwise.rdiv}
    for name, op in symbols.items():
        table[f"__{name}__"] = op.call
        swapped = turned.get(name)
        table[f"__r{name}__"] = swapped.call if swapped else calling.reflected(f"__r{name}__", op)
        table[f"__i{name}__"] = calling.inplace(f"__i{name}__", op)
    for name in _COMPARISONS:
        table[f"__{name}__"] = FUNCTIONS[name].op.call
    table["__neg__"] = elementwise.neg.call
    table["__abs__"] = elementwise.abs_.call
    table["__invert__"] = _inverted
    table["__pos__"] = arithmetic.positive
    table["__pow__"] = arithmetic.power_of
    table["__rpow__"] = _power_of
    table["__ipow__"] = overwriting.pow_
    table["__matmul__"] = _matmul_operator
    table["__rmatmul__"] = _product_of
    return table


for _method in (_backward, _expand_as, _hardshrink, _polygamma, _prelu, _type, _type_as, _view_as):
    _method.__name__ = _method.__qualname__ = _method.__name__[1:]  # as what they raise calls them

_MAKERS = ("new_zeros", "new_ones", "new_empty", "new_empty_strided", "new_full", "new_tensor")
# Their in-place methods write the result over the first operand.
_OVERWRITTEN = "nextafter mvlgamma ldexp renorm index_reduce"


def _methods() -> dict[str, Callable[..., Any]]:
    """Everything a tensor can do, by name."""
    table: dict[str, Callable[..., Any]] = dict(_operators())
    for name, function in {**arithmetic.UNARY, **arithmetic.BINARY}.items():
        table[name] = function
        if FUNCTIONS[name].primitive.result != "where":
            table[f"{name}_"] = calling.inplace(f"{name}_", FUNCTIONS[name].op)
    for name, function in members(BOTH, ONLY_METHODS):
        table[name] = placed(function) if name in _MAKERS else guarded(function, method=True)
    table |= {name: guarded(f, method=True) for name, f in matrix_names.AT_TOP.items()}
    table |= {f"{name}_": _overwriting(f"{name}_", table[name]) for name in _OVERWRITTEN.split()}
    table |= rearrange.TAKEN
    for alias, name in ALIASES.items():
        for end in ("", "_"):
            if f"{name}{end}" in table:
                table[f"{alias}{end}"] = table[f"{name}{end}"]
    for name, d in {**{d.name: d for d in dtypes.ALL}, **dtypes.ALIASES}.items():
        if name in ("bool", "short", "int", "long", "half", "bfloat16", "float", "double"):
            table[name] = _converter(name, d)
    table["byte"] = _converter("byte", dtypes.uint8)
    table["char"] = _converter("char", dtypes.int8)
    table |= {
        "to": cast.to,  # which words its errors itself
        "__getitem__": indexing.getitem,
        "__setitem__": indexing.setitem,
        "__iter__": _iterate,
        "__contains__": _contains,
        "__repr__": _text,
        "__dlpack__": dlpack.to_dlpack,
        "__dlpack_device__": _dlpack_device,
        "backward": _backward,
        "expand_as": guarded(_expand_as, method=True),
        "view_as": guarded(_view_as, method=True),
        "polygamma": guarded(_polygamma, method=True),
        "split": guarded(_split, method=True),
        "type_as": guarded(_type_as, method=True),
        "hardshrink": _hardshrink,
        "prelu": _prelu,
        "where": _where,
        "type": _type,
        "__reversed__": _reversed,
        "__array_wrap__": _array_wrap,
    }
    return table


METHODS = _methods()
del METHODS["real"]  # which is a property
PROPERTIES: dict[str, Callable[[Tensor], Any]] = {
    "T": transposes.T,
    "mT": transposes.mT,
    "H": transposes.H,
    "real": reals.real,
    "imag": reals.imag,
    "mH": transposes.mH,
}

_PROTOCOLS = {
    "__copy__": pickling.copied,
    "__deepcopy__": pickling.deep_copied,
    "__reduce_ex__": pickling.reduced,
}
for _name, _function in {**METHODS, **_PROTOCOLS}.items():
    setattr(Tensor, _name, _function)
for _name, _function in PROPERTIES.items():
    setattr(Tensor, _name, property(_function))
setattr(Tensor, "imag", property(reals.imag, _set_imag))  # noqa: B010
