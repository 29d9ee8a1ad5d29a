"""Writes docs/reference/*.md from the signatures and docstrings of the package.

`python docs/make_reference.py` (or `make docs`) does it; a test fails while the pages are stale.
Of a declared pointwise function, what is not written by hand is derived from the declaration: the
dtype, the gradient and the example.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from declared import DTYPES, derived_example, derived_gradient
from wrong_calls import errors, operands

import autodiff as ad
from autodiff._stubs import FORMS
from autodiff.ops.declare import FUNCTIONS, Function
from autodiff.ops.keywords import signature

FOLDER = Path(__file__).parent / "reference"
ADVICE = "is stale: run `make docs`"
SETUP = """\
import io
import autodiff as ad
from autodiff import data, distributions, func, linalg, nn, optim, overrides, special
from autodiff.nn import functional as F
"""
# The pages, in order: title, and the public modules whose names are on them.
PAGES: dict[str, tuple[str, str]] = {
    "tensors": ("Tensors: making them, their attributes, dtypes and printing", ""),
    "pointwise": ("Pointwise functions and arithmetic", ""),
    "special": ("Special functions", "special"),
    "reductions": ("Reductions, statistics and running sums", ""),
    "products": ("Products of tensors", ""),
    "views": ("Views, shapes and joining", ""),
    "indexing": ("Indexing, gathering, scattering and sorting", ""),
    "random": ("Random numbers", "random"),
    "distributions": (
        "Distributions, their transforms and divergences",
        "distributions distributions.constraints distributions.utils",
    ),
    "operations": ("More operations", ""),
    "autograd": (
        "Gradients and grad modes",
        "autograd autograd.forward_ad autograd.functional autograd.graph gradcheck nonfinite",
    ),
    "linalg": ("Linear algebra", "linalg"),
    "func": ("Function transforms", "func"),
    "overrides": ("Functions of other tensors: __torch_function__", "overrides"),
    "compile": ("Compiled functions and recomputation", "compiled compiler utils.checkpoint"),
    "nn": ("Modules", "nn nn.attention nn.grad"),
    "nn-functional": ("Functions of neural networks", "nn.functional"),
    "nn-init": ("Initial values", "nn.init"),
    "nn-utils": (
        "Tools for modules",
        "nn.utils nn.utils.rnn nn.utils.stateless nn.utils.parametrize nn.utils.parametrizations "
        "nn.utils.prune",
    ),
    "optim": ("Optimisers", "optim optim.swa_utils"),
    "lr-scheduler": ("Learning rates", "optim.lr_scheduler"),
    "data": ("Data sets, samplers and loaders", "data"),
    "io": ("Files", "io"),
    "testing": ("Tools for tests", "testing"),
}
# Where `autodiff.<name>` is told, by the module that defines it.
THEMES = {
    "tensors": "create convert dlpack cast tensor descriptor values methods dtypes shapes "
    "devices native _format autodiff settings storage windows reals typed",
    "pointwise": "arithmetic clamping overwriting comparing fused elementwise special activations "
    "powers",
    "reductions": "reductions extremes derived statistics normalize scan ranks tallies calculus",
    "products": "contraction products blended chains einsum covariance norms distances",
    "views": "views clones rearrange transposes splitting regions order repetition diagonals "
    "stacking join",
    "indexing": "gather indexing slices placing scatter assign sorting searching embedded",
    "random": "random draws generator",
    "func": "func",
    "autograd": "amp graph grad_mode autograd gradcheck nonfinite anomaly",
    "linalg": "linalg matrices systems triangular lu determinants matrix_names spectral equations",
    "compile": "compiled",
    "io": "io",
}


@dataclass
class Entry:
    """What the reference says of one object, under all the names that it has."""

    target: Any
    page: str
    section: str
    names: list[str] = field(default_factory=list)
    declared: Function | None = None

    @property
    def doc(self) -> str:
        """The docstring."""
        return inspect.getdoc(self.target) or ""

    @property
    def example(self) -> str:
        """The examples in the docstring, or that which is derived from a declaration."""
        if ">>>" in self.doc:
            return self.doc[self.doc.index(">>>") :]
        if self.declared is None:
            return ""
        where = "ad." if self.declared.public else "special."
        return derived_example(self.declared, names_of_examples(), where)


def unwrapped(value: Any) -> Any:
    """The function behind wrappers and properties."""
    value = value.fget if isinstance(value, property) else value
    while hasattr(value, "__wrapped__"):
        value = value.__wrapped__
    return value


def public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The public names of a module, and what they are; not its modules, which have pages."""
    for name in sorted(module.__all__, key=lambda name: (name.lower(), name)):
        value = getattr(module, name)
        if not isinstance(value, (ModuleType, str)):
            yield name, value


def tensor_names() -> Iterator[tuple[str, Any]]:
    """The methods and properties of Tensor."""
    for name in dir(ad.Tensor):
        value = inspect.getattr_static(ad.Tensor, name)
        if not name.startswith("_") and (callable(value) or isinstance(value, property)):
            yield name, value


def entries() -> list[Entry]:
    """All that is public, once each, in the order of the pages."""
    found: dict[Any, Entry] = {}
    themes = {module: page for page, text in THEMES.items() for module in text.split()}

    def add(path: str, value: Any, page: str = "") -> None:
        target = type(value) if isinstance(value, (ad.dtype, ad.Generator)) else unwrapped(value)
        home = target.__module__
        home = home.removeprefix("autodiff.") if home.startswith("autodiff") else path.split(".")[0]
        declared = FUNCTIONS.get(path.rpartition(".")[2])
        own = page == "special" if not (declared and declared.public) else not page
        if declared and not (own and home.endswith("calling")):
            declared = None
        home = home.replace("calling", "elementwise")  # where what is called so is declared
        near = home.removeprefix("ops.")
        default = themes.get(near, themes.get(near.partition(".")[0], "operations"))
        entry = found.setdefault(target, Entry(target, page or default, home))
        entry.declared = entry.declared or declared
        entry.names.append(path)

    for name, value in public(ad):
        add(name, value)
    late = [name for name in ad._LATE if ad._LATE[name] != "autodiff.at_top"]
    for name in late:
        add(name, getattr(ad, name))
    for name, value in tensor_names():
        add(f"Tensor.{name}", value)
    for page, (_, modules) in PAGES.items():
        for module in modules.split():
            for name, value in public(importlib.import_module(f"autodiff.{module}")):
                add(f"{module}.{name}", value, page)
    for name in sorted(ad._LATE.keys() - {*late}):
        add(name, getattr(ad, name), "nn-functional")
    for entry in found.values():  # the name by which it knows itself comes first
        known = getattr(entry.target, "__name__", "")
        own = [name for name in entry.names if name.rpartition(".")[2] == known]
        entry.names = [*own, *(name for name in entry.names if name not in own)]
    order = list(PAGES)
    return sorted(_joined(list(found.values())), key=lambda entry: order.index(entry.page))


def _joined(found: list[Entry]) -> list[Entry]:
    """Entries, those without an example of their own told with what they are a form of."""
    by_name = {name.removeprefix("Tensor."): entry for entry in found for name in entry.names}
    kept = []
    for entry in found:
        name = entry.names[0].removeprefix("Tensor.")
        other = by_name.get(name[:-1] if name.endswith("_") else f"{name}_")
        if entry.example or other is None or not other.example:
            kept.append(entry)
        else:
            other.names += entry.names
    return kept


def lacking(entry: Entry) -> list[str]:
    """What the documentation of an object lacks."""
    words = entry.doc.partition(">>>")[0]
    faults = [] if words.strip() else ["a docstring"]
    if len(words.splitlines()) > 30:
        faults.append("brevity")
    raised = isinstance(entry.target, type) and issubclass(entry.target, Exception)
    if not (entry.example or raised):
        faults.append("an example")
    return faults


# ---- text ----


def names_of_examples() -> dict[str, Any]:
    """What examples may name without importing it."""
    known: dict[str, Any] = {}
    exec(SETUP, known)
    return known


def _default(value: Any) -> str:
    if isinstance(value, type) or inspect.isfunction(value):
        return value.__name__
    return "..." if type(value) is object else repr(value)


def _kind(annotation: Any) -> str:
    """A type as it is written in the source."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"ForwardRef\('?([^()']*)'?(, [^()]*)?\)", r"\1", text)
    return text.replace("hypothesis.strategies.", "").replace("'", "")


def call_text(name: str, value: Any, bound: bool = False) -> str:
    """A signature as it would be written, defaults by name; `bound` leaves out the first."""
    try:
        found = signature(value)
    except (TypeError, ValueError):
        return name
    parts, starred = [], False
    for p in list(found.parameters.values())[bound:]:
        if p.kind is p.KEYWORD_ONLY and not starred:
            parts.append("*")
        starred = starred or p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        text = "*" * (p.kind is p.VAR_POSITIONAL) + "**" * (p.kind is p.VAR_KEYWORD) + p.name
        text += "" if p.annotation is p.empty else f": {_kind(p.annotation)}"
        parts.append(text + ("" if p.default is p.empty else f" = {_default(p.default)}"))
    returns = found.return_annotation
    arrow = "" if returns is found.empty or isinstance(value, type) else f" -> {_kind(returns)}"
    text = f"{name}({', '.join(parts)}){arrow}"
    if len(text) > 98:
        lines = "".join(f"    {part},\n" for part in parts)
        text = f"{name}(\n{lines}){arrow}"
    return text


def _form(call: str, rest: str, result: str) -> str:
    """One way to call a function whose result depends on what is given."""
    name, _, arguments = " ".join(call.split()).partition("(")
    given = [arguments.split(",")[0].partition(" = ")[0], *filter(None, [rest])]
    return f"{name}({', '.join(given)}) -> {result}"


def _summary(value: Any) -> str:
    """The first sentence of a docstring."""
    first = (inspect.getdoc(value) or "").partition("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=\.) ", first)[0]


def methods_text(kind: type) -> str:
    """A line for each public method that a class defines, or has of a base without an entry."""
    hidden = [base for base in kind.__mro__[1:] if "._" in base.__module__]
    told = [base for base in kind.__mro__[1:] if base not in hidden]
    own: dict[str, Any] = {}
    for base in (*reversed(hidden), kind):
        own.update(vars(base))
    lines = []
    for name, given in sorted(own.items()):
        value = given.__func__ if isinstance(given, (staticmethod, classmethod)) else given
        if name.startswith("_") or not (callable(value) or isinstance(value, property)):
            continue
        if kind is ad.Tensor or any(hasattr(base, name) for base in told):
            continue  # Tensor's have entries of their own; others are told where they come from
        free = isinstance(given, staticmethod)
        call = name if isinstance(value, property) else call_text(name, unwrapped(value), not free)
        call = re.sub(r"\( | (?=\))", "(", " ".join(call.split()).replace(", )", ")"))
        lines.append(f"- `{call}`: {_summary(value)}")
    return "\n".join(lines)


def entry_text(entry: Entry) -> str:
    """What a page says of one object."""
    first, *others = entry.names
    title = re.sub(r"_(?=\W|$)", r"\\_", first)
    parts = [f"### {title}"]
    if callable(entry.target):
        shown = getattr(ad, first, entry.target) if "." not in first else entry.target
        property_ = first.startswith("Tensor.") and isinstance(
            inspect.getattr_static(ad.Tensor, first[7:]), property
        )
        call = first if property_ else call_text(first, shown, first.startswith("Tensor."))
        if first in FORMS:
            call = "\n".join(_form(call, *form) for form in FORMS[first])
        parts.append(f"```python\n{call}\n```")
    if others:
        parts.append("Also " + ", ".join(f"`{name}`" for name in others) + ".")
    parts.append(entry.doc.partition(">>>")[0].strip())
    if entry.declared:
        primitive = entry.declared.primitive
        more = [DTYPES.get(primitive.result, ""), derived_gradient(primitive)]
        parts.append(" ".join(filter(None, more)))
    if entry.example:
        parts.append(f"```python\n{entry.example}\n```")
    raised = next(filter(None, map(errors, entry.names)), [])
    parts.append("\n".join(f"- `{call}` raises {text}" for call, text in raised))
    if isinstance(entry.target, type):
        parts.append(methods_text(entry.target))
    return "\n\n".join(filter(None, parts))


def page_text(page: str, members: list[Entry]) -> str:
    """A page: its entries, by the module that defines them."""
    title, modules = PAGES[page]
    parts = [f"# {title}", "Written by `make docs`. [All pages](README.md)"]
    for name in modules.split():
        parts.append(inspect.getdoc(importlib.import_module(f"autodiff.{name}")) or "")
    sections: dict[str, list[Entry]] = {}
    for entry in members:
        sections.setdefault(entry.section, []).append(entry)
    for section in sorted(sections):
        if len(sections) > 1:
            parts.append(f"## {section.rpartition('.')[2].strip('_')}")
        parts += [entry_text(entry) for entry in sections[section]]
    return "\n\n".join(parts) + "\n"


def index_text(pages: dict[str, list[Entry]]) -> str:
    """The list of pages, and what all of them take as known."""
    rows = [f"- [{PAGES[page][0]}]({page}.md)" for page in pages]
    names = sum(len(entry.names) for members in pages.values() for entry in members)
    return f"""# Reference

Every public name ({names}), by theme. Written by `make docs`, from signatures and docstrings, whose
examples are run by the tests. What is told of pointwise functions beyond that is derived from their
declarations.

{chr(10).join(rows)}

## What all pages take as known

Names, arguments, dtypes and errors are PyTorch's where nothing else is said. Operands broadcast and
are promoted; RuntimeError tells both shapes where they do not fit, TypeError which argument is no
tensor, IndexError which dimension or index is out of range. `dim` may be negative. A method has
the arguments of its function but the first, and `name_` writes its result over the tensor. With
`out` the result is written there, and nothing is differentiated. All but functions of integers,
bools and indices are differentiable, at any order. Examples begin with

```python
{SETUP}```

In calls that fail there are

```python
{operands()}
```
"""


def texts() -> dict[str, str]:
    """The text of every page, by file name."""
    pages: dict[str, list[Entry]] = {}
    for entry in entries():
        pages.setdefault(entry.page, []).append(entry)
    with ad.random.fork_rng():
        written = {f"{page}.md": page_text(page, members) for page, members in pages.items()}
    return {"README.md": index_text(pages)} | written


def write() -> None:
    """Write all pages, and remove those that are no more."""
    FOLDER.mkdir(exist_ok=True)
    found = texts()
    for old in FOLDER.glob("*.md"):
        if old.name not in found:
            old.unlink()
    for name, text in found.items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    write()
