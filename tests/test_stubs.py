"""The stubs are what the tables say, and cover everything a tensor can do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import autodiff as ad
from autodiff import _stubs
from autodiff.methods import METHODS, PROPERTIES
from autodiff.ops.keywords import signature

FOLDER = Path(ad.__file__).parent
FUNCTIONS = ast.parse(_stubs.functions_text())
ADVICE = "is stale: run `python -m autodiff._stubs`"


def test_methods_are_fresh() -> None:
    assert (FOLDER / "_methods.pyi").read_text() == _stubs.methods_text(), f"_methods.pyi {ADVICE}"


def test_functions_are_fresh() -> None:
    text = (FOLDER / "functions.pyi").read_text()
    assert text == _stubs.functions_text(), f"functions.pyi {ADVICE}"


def test_functions_at_the_top_are_fresh() -> None:
    text = (FOLDER / "at_top.pyi").read_text()
    assert text == _stubs.at_top_text(), f"at_top.pyi {ADVICE}"


def test_every_method_is_declared_once() -> None:
    tree = ast.parse(_stubs.methods_text())
    (body,) = [node.body for node in tree.body if isinstance(node, ast.ClassDef)]
    names = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    assert sorted(set(names)) == sorted([*METHODS, *PROPERTIES])
    assert all(hasattr(ad.Tensor, name) for name in names)


def test_every_function_is_declared_once() -> None:
    defined = [x for x in FUNCTIONS.body if isinstance(x, (ast.FunctionDef, ast.ClassDef))]
    names = [node.name for node in defined]
    assert sorted(set(names)) == sorted(ad.functions.__all__)
    assert all(getattr(ad, name) is getattr(ad.functions, name) for name in names)


@pytest.mark.parametrize("name", _stubs.FORMS)
def test_forms_are_of_the_arguments_there_are(name: str) -> None:
    """One `def` for each form; each names what the function takes, in its order."""
    defined = [node for node in FUNCTIONS.body if getattr(node, "name", "") == name]
    taken = list(signature(getattr(ad, name)).parameters)
    assert len(defined) == len(_stubs.FORMS[name])
    for node in defined:
        assert isinstance(node, ast.FunctionDef)
        named = [arg.arg for arg in (*node.args.args, *node.args.kwonlyargs)]
        assert named == [arg for arg in taken if arg in named]


def test_a_writable_folder_gets_the_same_text(tmp_path: Path, monkeypatch: object) -> None:
    monkeypatch.setattr(_stubs, "HERE", tmp_path)  # type: ignore[attr-defined]
    _stubs.write()
    assert (tmp_path / "_methods.pyi").read_text() == _stubs.methods_text()
    assert (tmp_path / "functions.pyi").read_text() == _stubs.functions_text()
