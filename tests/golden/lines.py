"""What recorders of lines share: an expression of operands by name, and all that it comes to.

Its value, the names of the nodes that made it, whether it shares memory with an operand, and its
first and second derivatives by the operands; or the exception.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from golden.recording import write

_NAME = re.compile(r"(?<![.\w'\"])([a-z])(?![\w'\"=])")


def lines_of(cases: str) -> list[str]:
    """The lines of a file, without its comments."""
    text = Path(__file__).with_name(cases).read_text()
    return [s for s in text.splitlines() if s and not s.startswith("#")]


class Facts:
    """What lines come to on PyTorch, which a file keeps, a line's facts a line."""

    def __init__(self, golden: str, operands: dict[str, Any], lines: Sequence[str]) -> None:
        self.golden = Path(__file__).with_name(golden)
        self.operands = operands
        self.lines = lines

    @cached_property
    def recorded(self) -> dict[str, Any]:
        """The facts, by line."""
        found: dict[str, Any] = json.loads(self.golden.read_text())["cases"]
        return found

    def outcome(self, lib: Any, line: str) -> Any:
        """What a line comes to."""
        return outcome(lib, self.operands, line)

    def record(self) -> None:
        """Writes the file."""
        import torch

        write(self.golden, cases={line: self.outcome(torch, line) for line in self.lines})


def numbers(x: Any) -> Any:
    """The dtype, shape and elements of a tensor; of tuples those of each."""
    if isinstance(x, (tuple, list)) and not hasattr(x, "numel"):
        return [numbers(each) for each in x]
    if not hasattr(x, "dtype"):
        return x
    return [str(x.dtype), list(x.shape), x.detach().reshape(-1).tolist()]


def outcome(lib: Any, operands: dict[str, Any], line: str) -> Any:
    """What a line comes to; of a failure the name of the exception."""
    names = dict.fromkeys(name for name in _NAME.findall(line) if name in operands)
    for name in names:
        leaf = lib.tensor(operands[name], dtype=lib.float64, requires_grad=True)
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
