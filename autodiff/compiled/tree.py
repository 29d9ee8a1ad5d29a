"""Arguments and results as tensors and a structure around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from autodiff import dtypes
from autodiff.tensor import Tensor

PLAIN = (int, float, bool, str, bytes, type(None), dtypes.dtype, slice, range, complex)


def is_plain(value: Any) -> bool:
    """Whether a value never changes and is told from others by comparing."""
    return type(value) in PLAIN


def compares(value: Any) -> bool:
    """Whether `same` looks into a value."""
    return is_plain(value) or isinstance(value, tuple)


def same(a: Any, b: Any) -> bool:
    """Whether a value is another, or plain and as good as it: -0.0 is not 0.0, and nan is nan.

    So for each of a tuple's, which a property or an array's shape makes anew.
    """
    if a is b:
        return True
    if type(a) is type(b) and isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if type(a) is not type(b) or not is_plain(a):
        return False
    return repr(a) == repr(b) if isinstance(a, (float, complex)) else bool(a == b)


class Constant:
    """A leaf that is no tensor: equal to another where it may stand for it."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and same(self.value, other.value)

    def __hash__(self) -> int:
        return hash(repr(self.value)) if compares(self.value) else id(self.value)


TENSOR = object()
Spec = Any  # TENSOR, a Constant, or (type, keys, specs)


def flatten(value: Any, tensors: list[Tensor]) -> Spec:
    """Append the tensors of nested tuples, lists and dicts; returns the structure."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return TENSOR
    kind = type(value)
    if kind is tuple or kind is list:
        return kind, None, tuple([flatten(item, tensors) for item in value])
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind, None, tuple([flatten(item, tensors) for item in value])
    if isinstance(value, dict) and all(map(is_plain, value)):
        keys = tuple(value)
        return kind, keys, tuple([flatten(value[key], tensors) for key in keys])
    return Constant(value)


def constants(spec: Any) -> Iterator[Any]:
    """The leaves of a structure that are no tensors."""
    if isinstance(spec, Constant):
        yield spec.value
    elif spec is not TENSOR:
        for part in spec[2]:
            yield from constants(part)


def unflatten(spec: Spec, take: Callable[[], Any]) -> Any:
    """The structure with what `take` gives, leaf by leaf, in the place of tensors."""
    if spec is TENSOR:
        return take()
    if isinstance(spec, Constant):
        return spec.value
    kind, keys, parts = spec
    values: Sequence[Any] = [unflatten(part, take) for part in parts]
    if keys is not None:
        return kind(zip(keys, values, strict=True))
    return kind(*values) if hasattr(kind, "_fields") else kind(values)
