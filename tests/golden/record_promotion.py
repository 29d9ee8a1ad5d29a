"""Records the dtypes PyTorch's pointwise functions give, as promotion.json (see recording.py).

For each function a string: a letter for each combination of operands, "x" where it is refused. The
test runs the `letters` of this file on autodiff.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from golden.recording import write

GOLDEN = Path(__file__).with_name("promotion.json")
DTYPES = {
    "bool": "b",
    "uint8": "u",
    "int8": "c",
    "int16": "s",
    "int32": "i",
    "int64": "l",
    "float16": "h",
    "bfloat16": "g",
    "float32": "f",
    "float64": "d",
}
NUMBERS = [True, 2, 2.5]
PLAIN = {bool, int, float}
UNARY = [
    *("abs", "neg", "sign", "square", "reciprocal", "sqrt", "rsqrt", "floor", "ceil", "trunc"),
    *("round", "logical_not", "isnan", "isinf", "isfinite", "bitwise_not", "exp", "expm1", "log"),
    *("log1p", "sin", "cos", "tanh", "erf", "sigmoid", "relu"),
    *("sinh", "cosh", "tan", "asin", "acos", "atan", "asinh", "acosh", "atanh", "deg2rad"),
    *("rad2deg", "sinc", "exp2", "log2", "log10", "frac", "signbit", "logit", "nan_to_num"),
    *("erfc", "erfinv", "lgamma", "digamma"),
]
TENSORS_ONLY = [
    *("maximum", "minimum", "logical_and", "logical_or", "logical_xor", "fmax", "fmin"),
    *("atan2", "hypot", "logaddexp", "logaddexp2"),
]
BINARY = [
    *("add", "sub", "mul", "div", "pow", "floor_divide", "remainder", "fmod"),
    *("lt", "le", "gt", "ge", "eq", "ne", "bitwise_and", "bitwise_or", "bitwise_xor"),
    *("bitwise_left_shift", "bitwise_right_shift", "xlogy"),
    *TENSORS_ONLY,
]


def operands(lib: Any) -> list[Any]:
    """A vector and a 0-d tensor of each dtype, then the numbers. None of them is zero."""
    tensors = [lib.ones(shape, dtype=getattr(lib, name)) for name in DTYPES for shape in ((2,), ())]
    return [*tensors, *NUMBERS]


def letter(function: Callable[..., Any], *args: Any) -> str:
    """The letter of a result's dtype."""
    try:
        return DTYPES[str(function(*args).dtype).removeprefix("torch.")]
    except (RuntimeError, TypeError, NotImplementedError):
        return "x"


def combinations(lib: Any, name: str) -> list[tuple[Any, ...]]:
    """What a function is tried on: each operand, or each pair with a tensor in it."""
    every = operands(lib)
    tensors = every[: -len(NUMBERS)]
    if name in UNARY:
        return [(x,) for x in tensors]
    if name in TENSORS_ONLY:
        return list(product(tensors, tensors))
    if name == "where":
        condition = lib.ones(2, dtype=lib.bool)
        return [(condition, a, b) for a, b in product(every, every)]
    return [(a, b) for a, b in product(every, every) if not (type(a) in PLAIN and type(b) in PLAIN)]


def letters(lib: Any, name: str) -> str:
    """The letters of all combinations."""
    return "".join(letter(getattr(lib, name), *args) for args in combinations(lib, name))


def main() -> None:
    """Writes promotion.json, a function a line."""
    import torch

    names = [*UNARY, *BINARY, "where"]
    write(GOLDEN, letters={name: letters(torch, name) for name in names})


if __name__ == "__main__":
    main()
