"""The stubs are what the tables say, and cover everything a tensor can do."""

from __future__ import annotations

import ast
from pathlib import Path

import autodiff as ad
from autodiff import _stubs
from autodiff.methods import METHODS, PROPERTIES

FOLDER = Path(ad.__file__).parent
ADVICE = "is stale: run `python -m autodiff._stubs`"


def test_methods_are_fresh() -> None:
    assert (FOLDER / "_methods.pyi").read_text() == _stubs.methods_text(), f"_methods.pyi {ADVICE}"


def test_functions_are_fresh() -> None:
    text = (FOLDER / "functions.pyi").read_text()
    assert text == _stubs.functions_text(), f"functions.pyi {ADVICE}"


def test_every_method_is_declared_once() -> None:
    tree = ast.parse(_stubs.methods_text())
    (body,) = [node.body for node in tree.body if isinstance(node, ast.ClassDef)]
    names = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    assert sorted(names) == sorted([*METHODS, *PROPERTIES])
    assert all(hasattr(ad.Tensor, name) for name in names)


def test_every_function_is_declared_once() -> None:
    tree = ast.parse(_stubs.functions_text())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert names == sorted(ad.functions.__all__)
    assert all(getattr(ad, name) is getattr(ad.functions, name) for name in names)


def test_a_writable_folder_gets_the_same_text(tmp_path: Path, monkeypatch: object) -> None:
    monkeypatch.setattr(_stubs, "HERE", tmp_path)  # type: ignore[attr-defined]
    _stubs.write()
    assert (tmp_path / "_methods.pyi").read_text() == _stubs.methods_text()
    assert (tmp_path / "functions.pyi").read_text() == _stubs.functions_text()
