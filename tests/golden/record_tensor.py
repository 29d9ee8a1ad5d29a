"""Records what PyTorch gives for the lines of tensor_cases.txt, as tensor.json (see recording.py).

A line is Python with `torch` and a few of its names in scope; statements before the last `; `
prepare, the last is the expression. Its value is kept as text, an exception by its type. The tests
run the same lines on autodiff.
"""

from __future__ import annotations

import array
import functools
import json
import math
import operator
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np

CASES = Path(__file__).with_name("tensor_cases.txt")
GOLDEN = Path(__file__).with_name("tensor.json")
HELPERS = {
    "array": array.array,
    "inf": math.inf,
    "math": math,
    "nan": math.nan,
    "np": np,
    "operator": operator,
    "pickle": pickle,
}
SHORT = ["tensor", "zeros", "ones", "arange", "float32", "float64", "int32", "int64", "uint8"]
MESSAGE = " ## "  # before what our message must say, in a line that raises


def themes() -> dict[str, list[tuple[str, str]]]:
    """The lines of each theme (`[name]` begins one), with the words their error must have."""
    found: dict[str, list[tuple[str, str]]] = {}
    for line in CASES.read_text().splitlines():
        if line.startswith("[") and line.endswith("]") and line[1:-1].isidentifier():
            found[line[1:-1]] = lines = []
        elif line.strip() and not line.startswith("#"):
            code, _, words = line.partition(MESSAGE)
            lines.append((code.strip(), words.strip()))
    return found


def lines_of(theme: str) -> list[str]:
    """The lines of one theme."""
    return [line for line, _ in themes()[theme]]


@functools.cache
def recorded() -> dict[str, str]:
    """PyTorch's outcome of every line."""
    found: dict[str, str] = json.loads(GOLDEN.read_text())
    return found


def evaluate(lib: Any, line: str) -> Any:
    """The value of a line's last expression, with `lib` in scope as `torch`."""
    scope: dict[str, Any] = {name: getattr(lib, name) for name in SHORT} | HELPERS
    scope |= {"torch": lib, "message": functools.partial(message, lib)}
    scope |= {"__builtins__": __builtins__}
    statements, _, expression = line.rpartition("; ")
    exec(statements, scope)
    return eval(expression, scope)


def message(lib: Any, *args: Any, **kwargs: Any) -> str:
    """What assert_close says, if anything."""
    try:
        lib.testing.assert_close(*args, **kwargs)
    except AssertionError as failure:
        return str(failure)
    return "close"


def text(value: Any) -> str:
    """A value in a form that both libraries' objects have."""
    if type(value).__module__.startswith(("torch", "autodiff")) and hasattr(value, "stride"):
        dtype = str(value.dtype).removeprefix("torch.")
        grad = ""
        if value.grad_fn is not None:
            grad = f" {value.grad_fn.name().removeprefix('torch::autograd::')}"
        elif value.requires_grad:
            grad = " leaf"
        layout = f"{list(value.shape)}/{list(value.stride())}"
        return f"{dtype}{layout} {value.detach().tolist()}{grad}"
    if isinstance(value, (tuple, list)) and not hasattr(value, "numel"):
        named = hasattr(value, "_fields") or hasattr(value, "n_fields")
        kind = "named" if named else type(value).__name__
        return f"{kind}({', '.join(map(text, value))})"
    if isinstance(value, np.ndarray):
        return f"ndarray {value.dtype} {value.strides} {value.tolist()}"
    return str(value) if isinstance(value, str) else repr(value)


def outcome(lib: Any, line: str) -> str:
    """The text of a line's value, or the type of the exception it raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return text(evaluate(lib, line))
    except Exception as failure:
        return f"raises {type(failure).__name__}"


def main() -> None:
    """Writes tensor.json, a line's outcome a line."""
    import torch

    recorded = {line: outcome(torch, line) for lines in themes().values() for line, _ in lines}
    rows = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in recorded.items())
    GOLDEN.write_text(f"{{\n{rows}\n}}\n")


if __name__ == "__main__":
    main()
