"""Element types and their promotion. The list is the native library's (csrc/dtypes.def)."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Final

from autodiff.changes import changed


class dtype:  # noqa: N801 - PyTorch's name
    """The type of a tensor's elements; never changes.

    >>> ad.float32.itemsize, ad.float32.is_floating_point
    (4, True)
    >>> ad.zeros(2, dtype=ad.int64).dtype
    torch.int64
    """

    __slots__ = ("code", "is_floating_point", "itemsize", "name", "title")
    code: int
    is_floating_point: builtins.bool
    itemsize: int
    name: str
    title: str  # PyTorch's name of it in messages
    is_complex: Final = False

    def __init__(self, code: int, name: str, itemsize: int, title: str) -> None:
        values = (code, "float" in name, itemsize, name, title)
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


# In the order of promotion: the later of two types holds both, but for _BETWEEN.
bool = dtype(0, "bool", 1, "Bool")
uint8 = dtype(1, "uint8", 1, "Byte")
int8 = dtype(2, "int8", 1, "Char")
int16 = dtype(3, "int16", 2, "Short")
int32 = dtype(4, "int32", 4, "Int")
int64 = dtype(5, "int64", 8, "Long")
float16 = dtype(6, "float16", 2, "Half")
bfloat16 = dtype(7, "bfloat16", 2, "BFloat16")
float32 = dtype(8, "float32", 4, "Float")
float64 = dtype(9, "float64", 8, "Double")
ALL: Final = (bool, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64)
ALIASES: Final = {
    "short": int16,
    "int": int32,
    "long": int64,
    "half": float16,
    "float": float32,
    "double": float64,
}
PYTHON: Final = {builtins.bool: bool, builtins.int: int64, builtins.float: float64}
HALVES: Final = (float16, bfloat16)  # stored so, computed in float32
HALF_CODES: Final = frozenset(d.code for d in HALVES)
_BETWEEN: Final = ({uint8, int8}, {float16, bfloat16})  # pairs that another type holds
FLOATS: Final = (*HALVES, float32, float64)
FIRST_FLOAT: Final = float16.code
SCALAR_NAMES: Final = tuple(d.title for d in ALL)
CPP_NAMES: Final = (  # which other messages have
    "bool", "unsigned char", "signed char", "short int", "int", "long int", "c10::Half",
    "c10::BFloat16", "float", "double",
)  # fmt: skip


def _check_type(name: str, d: object) -> None:
    if not isinstance(d, dtype):
        kind = type(d).__name__
        raise TypeError(f"{name}(): argument 'type' (position 1) must be torch.dtype, not {kind}")


class finfo:  # noqa: N801 - PyTorch's name
    """The limits of a floating-point dtype, the default where none is given.

    bits, eps, max, min, tiny (also smallest_normal: the least normal number above 0), resolution.
    TypeError for what is no floating-point dtype.

    >>> ad.finfo(ad.float16).max
    65504.0
    """

    # digits of the fraction, the least exponent of a normal number, the largest; decimal digits
    _LIMITS: Final = {
        float16: (10, -14, 15, 3),
        bfloat16: (7, -126, 127, 2),
        float32: (23, -126, 127, 6),
        float64: (52, -1022, 1023, 15),
    }

    def __init__(self, type: dtype | None = None) -> None:
        d = type or get_default_dtype()
        _check_type("finfo", d)
        if d not in FLOATS:
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle "
                "'torch.finfo'"
            )
        digits, least, most, decimal = self._LIMITS[d]
        self.dtype = d.name
        self.bits = 8 * d.itemsize
        self.eps = 2.0**-digits
        self.max = (2.0 - self.eps) * 2.0**most
        self.min = -self.max
        self.tiny = self.smallest_normal = 2.0**least
        self.resolution = float(f"1e-{decimal}")

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name):g}" for name in _FINFO_SHOWN)
        return f"finfo({values}, dtype={self.dtype})"


_FINFO_SHOWN = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")


class iinfo:  # noqa: N801 - PyTorch's name
    """The limits of an integer dtype: bits, max, min. TypeError for what is none.

    >>> ad.iinfo(ad.uint8).max
    255
    """

    def __init__(self, type: dtype) -> None:
        _check_type("iinfo", type)
        if type is bool:
            raise TypeError("torch.bool is not supported by torch.iinfo")
        if type.is_floating_point:
            raise TypeError(
                "torch.iinfo() requires an integer input type. Use torch.finfo to handle "
                "'torch.iinfo'"
            )
        self.dtype = type.name
        self.bits = 8 * type.itemsize
        self.max = 2 ** (self.bits - type.is_signed) - 1
        self.min = -self.max - 1 if type.is_signed else 0

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"


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
    if type1 is type2 and isinstance(type1, dtype):
        return type1
    for value in (type1, type2):
        if not isinstance(value, dtype):
            raise TypeError(f"promote_types() takes two dtypes, not {type(value).__name__}")
    pair = {type1, type2}
    if pair in _BETWEEN:
        return int16 if type1.itemsize == 1 else float32
    return type1 if type1.code >= type2.code else type2


def flag(value: object, function: str) -> builtins.bool:
    """A bool argument; TypeError naming the function for what is none."""
    if not isinstance(value, builtins.bool):
        raise TypeError(f"{function}: a bool is expected, not {type(value).__name__}")
    return value


def plain(value: Any) -> Any:
    """The number of a NumPy scalar; anything else as it is."""
    if isinstance(value, (builtins.bool, int, float)):
        return value
    is_scalar = hasattr(value, "__array_interface__") and getattr(value, "shape", None) == ()
    return value.item() if is_scalar else value


def of_value(value: object) -> dtype:
    """The dtype a Python number gets as a tensor; TypeError for anything else."""
    if isinstance(value, builtins.bool):
        return bool
    if isinstance(value, float):
        return get_default_dtype()
    if isinstance(value, int):
        return int64
    raise TypeError(f"a number was expected, got {type(value).__name__}")
