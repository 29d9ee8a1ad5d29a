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

__all__ = ["functions_text", "methods_text", "write"]

HERE = Path(__file__).parent
WIDTH = 100
HEADER = '''"""{doc} Written by `python -m autodiff._stubs`."""

import builtins
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, overload

from autodiff.dtypes import dtype as Dtype
from autodiff.ops.generator import Generator
from autodiff.ops.storage import UntypedStorage
from autodiff.shapes import Size
from autodiff.tensor import Tensor
'''
# In a class that has methods of these names, the types need their module.
BUILTINS = re.compile(r"\b(bool|int|float|str|tuple|list|dict|object|slice|type)\b")
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
    name = BUILTINS.sub(r"builtins.\1", "dtype | None" if name == "Dtype" else name)
    return re.sub(r"\bdtype\b", "Dtype", name)


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
    """One `def`, laid out as the formatter does."""
    returns = _annotation(signature(function).return_annotation)
    parts = _parameters(function, method)
    if name not in FORMS or returns != "Any":
        return _one(name, parts, returns, method)
    forms = [
        _one(
            name,
            [parts[0], *filter(None, _annotation(rest).split(", "))],
            _annotation(result),
            method,
        )
        for rest, result in FORMS[name]
    ]
    mark = "    @overload\n" if method else "@overload\n"
    return mark + f"\n{mark}".join(forms)


def _one(name: str, parts: list[str], returns: str, method: bool) -> str:
    indent = "    " if method else ""
    start, end = f"{indent}def {name}(", f") -> {returns}: ..."
    ignore = "  # type: ignore[override]" if name in OVERRIDES else ""
    if len(start + ", ".join(parts) + end + ignore) <= WIDTH:
        return start + ", ".join(parts) + end + ignore
    inner = f"{indent}    " + ", ".join(parts)
    if len(inner) > WIDTH:
        inner = ",\n".join(f"{indent}    {part}" for part in parts) + ","
    return f"{start}\n{inner}\n{indent}{end}{ignore}"


def _results(functions: Iterable[Callable[..., Any]]) -> dict[str, str]:
    """The named tuples that functions return, by the module that defines them."""
    known = [inspect.unwrap(function).__globals__ for function in functions]
    found = {name: names[name] for names in known for name in names if name.endswith("_result")}
    return {name: kind.__module__ for name, kind in found.items() if isinstance(kind, type)}


def _header(doc: str, body: Iterable[str], functions: Iterable[Callable[..., Any]]) -> str:
    """The header, with only the imports that the text uses."""
    text = "\n".join(body)
    header, lines = HEADER.splitlines(), []
    by_module: dict[str, list[str]] = {}
    for name, module in sorted(_results(functions).items()):
        by_module.setdefault(module, []).append(name)
    at = header.index("from autodiff.dtypes import dtype as Dtype")
    more = [f"from {module} import {', '.join(names)}" for module, names in by_module.items()]
    header[at:] = sorted([*header[at:], *more])
    for line in header:
        source, _, names = line.rpartition("import ")
        if not source.startswith("from "):
            used = names != "builtins" or "builtins." in text
            lines += [line] if used else []
            continue
        kept = [n for n in names.split(", ") if re.search(rf"\b{n.split()[-1]}\b", text)]
        lines += [f"{source}import {', '.join(kept)}"] if kept else []
    return "\n".join(lines).format(doc=doc) + "\n"


def methods_text() -> str:
    """The text of _methods.pyi."""
    body = [_definition(name, METHODS[name], True) for name in sorted(METHODS)]
    for name in sorted(PROPERTIES):
        body += ["    @property", _definition(name, PROPERTIES[name], True)]
    text = _header("What the operations add to Tensor.", body, METHODS.values())
    return f"{text}\nclass TensorMethods:\n" + "\n".join(body) + "\n"


def _natural(name: str) -> list[Any]:
    """A key by which log2 comes before log10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def functions_text() -> str:
    """The text of functions.pyi."""
    names = ",\n".join(f'    "{name}"' for name in sorted(FUNCTIONS, key=_natural))
    body = ["FUNCTIONS: dict[str, Callable[..., Any]]", f"__all__ = [\n{names},\n]", ""]
    body += [_definition(name, FUNCTIONS[name], False) for name in sorted(FUNCTIONS)]
    text = _header("The public functions.", body, FUNCTIONS.values())
    return f"{text}\n" + "\n".join(body) + "\n"


def at_top_text() -> str:
    """The text of at_top.pyi."""
    from autodiff import _AT_TOP, at_top

    made = {name: getattr(at_top, name) for name in sorted(_AT_TOP.split())}
    own = {name: f for name, f in made.items() if f.__module__ == at_top.__name__}
    twins = [f"from autodiff.nn.functional import {n} as {n}" for n in made if n not in own]
    body = [_definition(name, f, False) for name, f in own.items()]
    header = _header("What PyTorch has at the top, too.", body, own.values()).splitlines()
    ours = [line for line in header if line.startswith("from autodiff")]
    rest = [line for line in header if line not in ours]
    return "\n".join([*rest, *sorted([*ours, *twins]), "", *body]) + "\n"


def write() -> None:
    """Write the files."""
    (HERE / "_methods.pyi").write_text(methods_text())
    (HERE / "functions.pyi").write_text(functions_text())
    (HERE / "at_top.pyi").write_text(at_top_text())


if __name__ == "__main__":
    write()
