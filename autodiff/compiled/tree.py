"""Arguments and results as tensors and a structure around them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from autodiff import dtypes
from autodiff.tensor import Tensor

PLAIN = (int, float, bool, str, bytes, type(None), dtypes.dtype, slice, range, complex)


def is_plain(value: Any) -> bool:
    """Whether a value never changes and is told from others by comparing."""
    return type(value) in PLAIN or is_number(type(value))


def is_number(kind: type) -> bool:
    """Whether objects of a class are NumPy's numbers, which are arrays that cannot be set."""
    array = kind.__module__ == "numpy" and hasattr(kind, "__array_interface__")
    return array and not hasattr(kind, "__setitem__")


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
    shown = isinstance(a, (float, complex)) or is_number(type(a))
    return repr(a) == repr(b) if shown else bool(a == b)


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


def flatten(value: Any, tensors: list[Tensor], met: Collection[int] | None = None) -> Spec:
    """Append the tensors of nested tuples, lists and dicts, and of what was set on these; returns
    the structure.

    Where it will be made anew, `met` has the ids of what will not: then objects of dataclasses are
    taken apart, too, and dicts of other classes, or tuples on which more was set, are not.
    """
    if isinstance(value, Tensor):
        tensors.append(value)
        return TENSOR
    kind = type(value)
    if kind is tuple or kind is list:
        return kind, None, tuple([flatten(item, tensors, met) for item in value])
    more = []
    if isinstance(value, (dict, tuple)) and getattr(value, "__dict__", None):
        more = [value.__dict__]
    if isinstance(value, tuple) and hasattr(value, "_fields") and not (more and met is not None):
        return kind, None, tuple([flatten(item, tensors, met) for item in [*value, *more]])
    own = value if isinstance(value, dict) else None
    if met is not None:
        if is_data(kind) and id(value) not in met:
            own = {name: getattr(value, name) for name in own_names(kind, value)}
            met = {*met, id(value)}
        elif kind not in (dict, OrderedDict):
            own = None
    if own is not None and all(map(is_plain, own)):
        keys, more = tuple(own), more if met is None else []
        return kind, keys, tuple([flatten(x, tensors, met) for x in [*own.values(), *more]])
    return Constant(value)


def own_names(kind: Any, value: Any) -> list[str]:
    """The names of what an object of a dataclass has, in slots or not."""
    if hasattr(value, "__dict__"):
        return [*vars(value)]
    return [name for name in kind.__dataclass_fields__ if name in kind.__slots__]


def is_data(kind: type) -> bool:
    """Whether a class is a dataclass, and its objects have their attributes alone."""
    bases = (home.__module__ for home in kind.__mro__[:-1])
    return hasattr(kind, "__dataclass_fields__") and "builtins" not in bases


def filled(kind: type, items: dict[str, Any]) -> Any:
    """A dict of a class, or an object with these attributes, as it was when they were set."""
    if issubclass(kind, dict):
        return kind(items)
    made = object.__new__(kind)
    for name, value in items.items():
        object.__setattr__(made, name, value)
    return made


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
        return filled(kind, dict(zip(keys, values, strict=True)))
    return kind._make(values) if hasattr(kind, "_fields") else kind(values)
