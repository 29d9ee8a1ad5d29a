"""Element types and their promotion. The list is the native library's (csrc/dtypes.def)."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Final

from autodiff.changes import changed


class dtype:  # noqa: N801 - PyTorch's name
    """The type of a tensor's elements; never changes.

    >>> ad.float32.itemsize, ad.float32.is_floating_point
    (4, True)
    >>> ad.zeros(2, dtype=ad.int64).dtype
    torch.int64
    """

    __slots__ = ("code", "is_floating_point", "itemsize", "name")
    code: int
    is_floating_point: builtins.bool
    itemsize: int
    name: str
    is_complex: Final = False

    def __init__(self, code: int, name: str, itemsize: int) -> None:
        values = (code, name.startswith("float"), itemsize, name)
        for slot, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, slot, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"attribute {name!r} of 'torch.dtype' objects is not writable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"attribute {name!r} of 'torch.dtype' objects is not writable")

    @property
    def is_signed(self) -> builtins.bool:
        """Whether negative numbers can be held."""
        return self.name not in ("bool", "uint8")

    @property
    def category(self) -> int:
        """0 for bool, 1 for integers, 2 for floats: what promotion goes by first."""
        return 2 if self.is_floating_point else int(self.name != "bool")

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


# In the order of promotion: the later of two types holds both.
bool = dtype(0, "bool", 1)
uint8 = dtype(1, "uint8", 1)
int32 = dtype(2, "int32", 4)
int64 = dtype(3, "int64", 8)
float32 = dtype(4, "float32", 4)
float64 = dtype(5, "float64", 8)
ALL: Final = (bool, uint8, int32, int64, float32, float64)
ALIASES: Final = {"int": int32, "long": int64, "float": float32, "double": float64}

# PyTorch's names of the types in error messages.
SCALAR_NAMES: Final = ("Bool", "Byte", "Int", "Long", "Float", "Double")


class _Default:
    value = float32


def get_default_dtype() -> dtype:
    """The dtype of floating-point results that nothing else decides.

    >>> ad.get_default_dtype()
    torch.float32
    """
    return _Default.value


def set_default_dtype(d: dtype) -> None:
    """Make `d`, a floating-point dtype, the default. TypeError otherwise.

    >>> ad.set_default_dtype(ad.float64)
    >>> ad.tensor(1.5).dtype
    torch.float64
    >>> ad.set_default_dtype(ad.float32)
    """
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {d!r}")
    _Default.value = d
    changed()
    for hook in default_hooks:
        hook()


default_hooks: list[Callable[[], None]] = []  # called when the default changes


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest dtype that holds both.

    >>> ad.promote_types(ad.int64, ad.float32)
    torch.float32
    """
    for value in (type1, type2):
        if not isinstance(value, dtype):
            raise TypeError(f"promote_types() takes two dtypes, not {type(value).__name__}")
    return type1 if type1.code >= type2.code else type2


def flag(value: object, function: str) -> builtins.bool:
    """A bool argument; TypeError naming the function for what is none."""
    if not isinstance(value, builtins.bool):
        raise TypeError(f"{function}: a bool is expected, not {type(value).__name__}")
    return value


def of_value(value: object) -> dtype:
    """The dtype a Python number gets as a tensor; TypeError for anything else."""
    if isinstance(value, builtins.bool):
        return bool
    if isinstance(value, float):
        return get_default_dtype()
    if isinstance(value, int):
        return int64
    raise TypeError(f"a number was expected, got {type(value).__name__}")
