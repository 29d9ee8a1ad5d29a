"""Records what PyTorch makes of rearranged, joined, scattered and indexed tensors, as shapes.json.

A line of shape_cases.txt is an expression of operands by name; its value, whether it shares memory
with x, the name of its node, and its first and second derivatives by the operands are kept, or the
exception. The tests run the same lines on autodiff. See recording.py.
"""

from __future__ import annotations

import json
import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from golden.recording import write

CASES = Path(__file__).with_name("shape_cases.txt")
GOLDEN = Path(__file__).with_name("shapes.json")
OPERANDS: dict[str, Any] = {
    "x": [[0.5, -1.25, 2.0], [1.5, 0.25, -0.75]],
    "y": [[4.0, -2.5, 1.0], [0.125, 3.0, 0.0]],
    "v": [1.5, -0.5, 2.25],
    "u": [3.0, 0.5],
    "s": 2.5,
    "w": [[[0.5, 1.0], [1.5, -2.0], [2.5, 0.75]], [[3.5, -0.25], [0.0, 4.5], [1.25, -1.0]]],
    "z": [[0.0, 2.0, 0.0], [3.0, 0.0, 1.0]],
    "e": [[], []],
}
_NAME = re.compile(r"(?<![.\w'\"])([xyvuswze])(?![\w'\"=])")


def lines() -> list[str]:
    """The lines of the file, without its comments."""
    return [s for s in CASES.read_text().splitlines() if s and not s.startswith("#")]


@cache
def recorded() -> dict[str, Any]:
    """PyTorch's facts, by line."""
    found: dict[str, Any] = json.loads(GOLDEN.read_text())["cases"]
    return found


def numbers(x: Any) -> Any:
    """The dtype, shape and elements of a tensor; of tuples those of each."""
    if isinstance(x, (tuple, list)) and not hasattr(x, "numel"):
        return [numbers(each) for each in x]
    if not hasattr(x, "dtype"):
        return x
    return [str(x.dtype), list(x.shape), x.detach().reshape(-1).tolist()]


def outcome(lib: Any, line: str) -> Any:
    """What a line comes to; of a failure the name of the exception."""
    names = dict.fromkeys(_NAME.findall(line))
    for name in names:
        leaf = lib.tensor(OPERANDS[name], dtype=lib.float64, requires_grad=True)
        names[name] = leaf
    scope = {"torch": lib, "F": lib.nn.functional, **{k: x.clone() for k, x in names.items()}}
    *before, last = line.split("; ")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for statement in before:
                exec(statement, scope)
            result = eval(last, scope)
        except Exception as failure:
            return type(failure).__name__
    parts = result if isinstance(result, (tuple, list)) else [result]
    parts = [y for y in parts if hasattr(y, "requires_grad") and y.requires_grad]
    about = [
        numbers(result),
        [y.grad_fn.name() for y in parts],
        [y._base is not None for y in parts],
    ]
    try:
        return [*about, *derivatives(lib, parts, list(names.values()))]
    except RuntimeError:  # PyTorch cannot differentiate it
        return about


def derivatives(lib: Any, parts: list[Any], leaves: list[Any]) -> list[Any]:
    """The first and second derivatives of weighted squares of the results."""
    if not parts or not leaves:
        return []
    total = 0
    for y in parts:
        weights = (lib.arange(y.numel(), dtype=y.dtype) / 8 + 0.5).reshape(y.shape)
        total = total + (y * y * y * weights).sum()
    first = lib.autograd.grad(total, leaves, create_graph=True, allow_unused=True)
    found = [None if g is None else numbers(g) for g in first]
    known = [g for g in first if g is not None and g.requires_grad]
    if not known:
        return [found, None]
    again = sum((g * g).sum() for g in known)
    second = lib.autograd.grad(again, leaves, allow_unused=True)
    return [found, [None if g is None else numbers(g) for g in second]]


def main() -> None:
    """Writes the file, a line's facts a line."""
    import torch

    write(GOLDEN, cases={line: outcome(torch, line) for line in lines()})


if __name__ == "__main__":
    main()
