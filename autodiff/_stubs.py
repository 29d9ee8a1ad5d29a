"""Writes what type checkers and editors read, from the tables of methods and functions.

`python -m autodiff._stubs` writes `_methods.pyi` (what the operations add to Tensor),
`functions.pyi` and `at_top.pyi`. A test fails while they are stale.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from autodiff.functions import FUNCTIONS
from autodiff.methods import METHODS, PROPERTIES
from autodiff.ops.keywords import signature
from autodiff.ops.typed import TYPES

HERE = Path(__file__).parent
HEADER = '''"""{doc} Written by `python -m autodiff._stubs`."""

import builtins
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, overload

from autodiff.dtypes import dtype as Dtype
from autodiff.ops.generator import Generator
from autodiff.ops.storage import UntypedStorage
from autodiff.shapes import Size
from autodiff.tensor import Tensor'''
# In a class that has methods of these names, the types need their module.
BUILTINS = re.compile(r"\b(bool|int|float|type)\b(?!:)")
# Operators that object has with other types.
OVERRIDES = {"__eq__", "__ne__"}
# Functions whose result depends on what is given: arguments after the first, and the result.
_EXTREME = [
    ("dim: None = ..., keepdim: bool = ...", "Tensor"),
    ("dim: Tensor", "Tensor"),
    ("*, other: Tensor", "Tensor"),
]
_ALONG = "dim: int, keepdim: bool = ..."
_OUT = "*, out: Tensor | None = ..."
FORMS = {
    "max": [*_EXTREME, (_ALONG, "max_result")],
    "min": [*_EXTREME, (_ALONG, "min_result")],
    "median": [(_OUT, "Tensor"), (f"{_ALONG}, *, out: Any = ...", "median_result")],
    "nanmedian": [(_OUT, "Tensor"), (f"{_ALONG}, *, out: Any = ...", "nanmedian_result")],
    "nonzero": [
        ("*, as_tuple: Literal[False] = ...", "Tensor"),
        ("*, as_tuple: Literal[True]", "tuple[Tensor, ...]"),
    ],
    "where": [
        ("", "tuple[Tensor, ...]"),
        ("input: Any, other: Any, *, out: Tensor | None = ...", "Tensor"),
    ],
}


def _annotation(text: Any) -> str:
    """A type as the stubs name it."""
    if text is inspect.Parameter.empty:
        return "Any"
    name = text if isinstance(text, str) else text.__name__
    return "Dtype | None" if name == "Dtype" else re.sub(r"\bdtype\b", "Dtype", name)


def _parameter(p: inspect.Parameter) -> str:
    stars = "*" * (p.kind is p.VAR_POSITIONAL) + "**" * (p.kind is p.VAR_KEYWORD)
    text = f"{stars}{p.name}: {_annotation(p.annotation)}"
    return text if p.default is p.empty else f"{text} = ..."


def _parameters(function: Callable[..., Any], method: bool) -> list[str]:
    """The parameters in the order and with the marks of a definition."""
    given = list(signature(function).parameters.values())
    parts = ["self"] if method else []
    if method:
        given = given[1:]
    starred = False
    for p in given:
        starred = starred or p.kind is p.VAR_POSITIONAL
        if p.kind is p.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        parts.append(_parameter(p))
    return parts


def _definition(name: str, function: Callable[..., Any], method: bool) -> str:
    """A line, or one for each form."""
    returns = _annotation(signature(function).return_annotation)
    parts = _parameters(function, method)
    if name not in FORMS or returns != "Any":
        return _one(name, parts, returns, method)
    forms = [
        _one(name, [parts[0], *filter(None, [_annotation(rest)])], _annotation(result), method)
        for rest, result in FORMS[name]
    ]
    return "\n".join([f"{'    ' * method}@overload\n{form}" for form in forms])


def _one(name: str, parts: list[str], returns: str, method: bool) -> str:
    ignore = "  # type: ignore[override]" if name in OVERRIDES else ""
    types = f"({', '.join(parts)}) -> {returns}"
    if method:
        types = BUILTINS.sub(r"builtins.\1", types)
    return f"{'    ' * method}def {name}{types}: ...{ignore}"


def _results(functions: Iterable[Callable[..., Any]]) -> dict[str, str]:
    """The named tuples that functions return, by the module that defines them."""
    known = [inspect.unwrap(function).__globals__ for function in functions]
    found = {name: names[name] for names in known for name in names if name.endswith("_result")}
    return {name: kind.__module__ for name, kind in found.items() if isinstance(kind, type)}


def _header(doc: str, functions: Iterable[Callable[..., Any]]) -> list[str]:
    """The lines that all of the files begin with, and the imports of these functions' results."""
    results = sorted(_results(functions).items())
    return [HEADER.format(doc=doc), *[f"from {module} import {name}" for name, module in results]]


def methods_text() -> str:
    """The text of _methods.pyi."""
    body = [_definition(name, METHODS[name], True) for name in sorted(METHODS)]
    for name in sorted(PROPERTIES):
        body += ["    @property", _definition(name, PROPERTIES[name], True)]
    header = _header("What the operations add to Tensor.", METHODS.values())
    return "\n".join([*header, "", "class TensorMethods:", *body, ""])


def functions_text() -> str:
    """The text of functions.pyi."""
    known = sorted([*FUNCTIONS, *TYPES])
    table = ["", "FUNCTIONS: dict[str, Callable[..., Any]]", f"__all__ = {known}"]
    table += [f"class {name}(Tensor): ..." for name in TYPES]
    body = [_definition(name, FUNCTIONS[name], False) for name in sorted(FUNCTIONS)]
    return "\n".join([*_header("The public functions.", FUNCTIONS.values()), *table, *body, ""])


def at_top_text() -> str:
    """The text of at_top.pyi."""
    from autodiff import _AT_TOP, at_top

    made = {name: getattr(at_top, name) for name in sorted(_AT_TOP.split())}
    own = {name: f for name, f in made.items() if f.__module__ == at_top.__name__}
    twins = [f"from autodiff.nn.functional import {n} as {n}" for n in made if n not in own]
    body = [_definition(name, f, False) for name, f in own.items()]
    header = _header("What PyTorch has at the top, too.", own.values())
    return "\n".join([*header, *twins, "", *body, ""])


def write() -> None:
    """Write the files."""
    (HERE / "_methods.pyi").write_text(methods_text())
    (HERE / "functions.pyi").write_text(functions_text())
    (HERE / "at_top.pyi").write_text(at_top_text())


if __name__ == "__main__":
    write()
