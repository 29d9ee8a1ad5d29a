"""Imports point one way: read from the source, as nothing at run time would tell."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "autodiff"

# Each layer may import the ones before it; a folder stands for its files.
LAYERS = [
    ["named"],
    ["version", "_format", "changes", "places"],
    ["devices", "dtypes", "formats", "shapes"],
    ["anomaly", "hooks", "native"],
    ["shortcuts"],
    ["node"],
    ["grad_mode"],
    ["descriptor"],
    ["values", "torch_function"],
    ["tensor"],
    ["hook_calls"],
    ["walk"],
    ["graph"],
    ["expr"],
    ["promotion"],
    ["lower"],
    ["ops"],
    ["methods"],
    ["functions"],
    ["linalg"],
    ["gradcheck"],
    ["autograd", "random"],
    ["nn"],
    ["optim"],
]
# Functions of the library that return an int that tells of no failure, or of one that is known.
ANSWERS = {"ad_set_inference", "ad_tape_hashes", "ad_tape_stop", "ad_watch"}
HEAVY = {"numpy", "matplotlib", "hypothesis", "torch", "cffi", "setuptools", "pytest"}
MAY_BE_HEAVY = {"testing": {"hypothesis"}, "_build": {"cffi"}}
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@functools.cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file) for file in files()}


def imports(tree: ast.AST, *, later: bool = True) -> Iterator[str]:
    """The modules that statements import, those for type checkers alone left out.

    Functions run later than what is around them.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imports(ast.Module(node.orelse, []), later=later)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            source = node.module or ""
            for alias in node.names:
                whole = f"{source}.{alias.name}"
                yield whole if whole in MODULES else source
        elif not isinstance(node, ast.expr) and (later or not isinstance(node, ast.FunctionDef)):
            yield from imports(node, later=later)


@functools.cache
def imported_by(file: Path, *, later: bool = True) -> set[str]:
    return set(imports(tree_of(file), later=later))


def layer_of(module: str) -> str | None:
    """The name of a module's layer; None for the package itself and for other packages."""
    head, _, rest = module.partition(".")
    return rest.split(".")[0] if head == "autodiff" and rest else None


@pytest.mark.parametrize("file", files(), ids=module_of)
def test_a_layer_imports_only_those_below(file: Path) -> None:
    here = layer_of(module_of(file))
    if here is None or here not in RANK:
        return  # a leaf may import anything; who imports it is tested below
    below = [name for name, rank in RANK.items() if rank < RANK[here]]
    allowed = {*below, here, *(("_native",) if here in ("changes", "native") else ())}
    for module in imported_by(file):
        layer = layer_of(module)
        assert layer is not None or not module.startswith("autodiff"), "a layer of the whole"
        assert layer is None or layer in allowed, f"{here} imports {module}"


def test_leaves_are_imported_by_leaves_alone() -> None:
    for file in files():
        here = layer_of(module_of(file))
        for module in imported_by(file):
            layer = layer_of(module)
            if layer is not None and layer not in RANK and layer != "_native":
                assert here not in RANK, f"{here} imports the leaf {module}"


def test_only_native_and_what_counts_import_the_extension() -> None:
    users = {module_of(file) for file in files() if "autodiff._native" in imported_by(file)}
    assert users == {"autodiff.changes", "autodiff.native"}


@pytest.mark.parametrize("file", files(), ids=module_of)
def test_nothing_heavy_is_imported_with_the_package(file: Path) -> None:
    layer = layer_of(module_of(file)) or ""
    heads = {module.split(".")[0] for module in imported_by(file, later=False)}
    assert heads & HEAVY <= MAY_BE_HEAVY.get(layer, set())


def test_no_module_imports_itself_through_others() -> None:
    graph = {
        module_of(file): imported_by(file, later=False) & MODULES - {"autodiff"} for file in files()
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path, module])
        if module not in done:
            for other in sorted(graph[module]):
                visit(other, (*path, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_no_function_hides_a_module() -> None:
    """A name means one thing, but for two that PyTorch gives to functions."""
    importlib.import_module("autodiff.optim")
    hidden = set()
    for name in MODULES & set(sys.modules):
        package, _, last = name.rpartition(".")
        if package and getattr(sys.modules[package], last) is not sys.modules[name]:
            hidden.add(name)
    assert hidden == {"autodiff.gradcheck", "autodiff.tensor"}


def test_every_layer_exists() -> None:
    assert set(RANK) <= {layer_of(module) for module in MODULES}


def test_the_walk_sees_what_it_should() -> None:
    """The readers of imports on a text of their own: a test that finds nothing proves nothing."""
    tree = ast.parse(
        "import numpy as np\n"
        "from typing import TYPE_CHECKING\n"
        "from autodiff.ops import views\n"
        "if TYPE_CHECKING:\n    import torch\n"
        "else:\n    import json\n"
        "def f():\n    from autodiff import tensor\n"
    )
    always = {"numpy", "typing", "autodiff.ops.views", "json"}
    assert set(imports(tree)) == always | {"autodiff.tensor"}
    assert set(imports(tree, later=False)) == always
    assert layer_of("autodiff.ops.views") == "ops"


def test_what_is_made_on_the_way_takes_no_constructor() -> None:
    """`tensor.blank()` makes a Tensor whose slots are about to be set; `Tensor()` an empty one."""
    called = [n for f in files() for n in ast.walk(tree_of(f)) if type(n) is ast.Call]
    bare = [ast.unparse(n) for n in called if not n.args and not n.keywords]
    assert "blank()" in bare
    assert "Tensor()" not in bare


def test_the_map_names_files_that_are_and_every_operation_and_native_source() -> None:
    """Headers aside, which go with sources, as do files of other folders with what is named."""
    root = PACKAGE.parent
    text = (root / "docs" / "architecture.md").read_text()
    names = set(re.findall(r"[\w/*]+\.(?:py|c|h|def)\b", text))
    folders = ("autodiff", "csrc", "tests", "docs", "benchmarks")
    paths = [path.relative_to(root) for at in folders for path in root.joinpath(at).rglob("*.*")]
    assert not [name for name in names if not any(path.match(name) for path in paths)]
    mapped = [path for path in paths if path.match("autodiff/ops/*.py") or path.match("csrc/*.c")]
    assert not [path for path in mapped if not any(path.match(name) for name in names)]


def test_no_failure_of_the_library_is_dropped() -> None:
    """A function of it that returns an int, its status, is never a statement of its own."""
    csrc = PACKAGE.parent / "csrc"
    header = "".join(f.read_text() for f in (csrc / "autodiff.h", *csrc.glob("api/*.h")))
    statuses = set(re.findall(r"^int (ad_\w+)\(", header, re.M)) - ANSWERS
    assert {"ad_copy", "ad_index_put", "ad_tape_finish"} <= statuses  # of several of its parts
    dropped = []
    for file in files():
        tree = tree_of(file)
        named = {}  # here, by other names
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                names, given = (
                    x.elts if isinstance(x, ast.Tuple) else [x]
                    for x in (node.targets[0], node.value)
                )
                named |= zip(map(ast.unparse, names), map(ast.unparse, given), strict=False)
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                function = ast.unparse(node.value.func)
                if named.get(function, function).removeprefix("lib.") in statuses:
                    dropped.append((file.name, node.lineno))
    assert not dropped
