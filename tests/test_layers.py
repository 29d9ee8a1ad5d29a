"""Layers with state are PyTorch's: values, gradients, buffers, texts, initial numbers, errors."""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

import pytest
from golden.record_layers import ERRORS, GOLDEN, NUMBERS
from golden.recording import failure

import autodiff as ad
import autodiff.nn

RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())


def differences(got: Any, expected: Any, tolerance: float, path: str = "") -> list[str]:
    """Where two nests of numbers and texts differ."""
    if isinstance(expected, list):
        if not isinstance(got, (list, tuple)) or len(got) != len(expected):
            return [f"{path}: {got} instead of {expected}"]
        return [
            text
            for i, pair in enumerate(zip(got, expected, strict=True))
            for text in differences(*pair, tolerance, f"{path}.{i}")
        ]
    if isinstance(expected, float) and isinstance(got, (int, float)):
        near = math.isclose(got, expected, rel_tol=tolerance, abs_tol=tolerance)
        same = near or (got != got and expected != expected)
    else:
        same = got == expected
    return [] if same else [f"{path}: {got!r} instead of {expected!r}"]


@pytest.mark.parametrize("name", RECORD["numbers"])
def test_same_as_pytorch(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = NUMBERS[name](ad)
    wrong = differences(got, RECORD["numbers"][name], 2e-5 if "float32" in name else 1e-10)
    assert not wrong, wrong[:5]


@pytest.mark.parametrize("name", RECORD["errors"])
def test_refused_as_pytorch_refuses(name: str) -> None:
    assert failure(ERRORS[name], ad) == RECORD["errors"][name]


def test_every_case_is_recorded() -> None:
    assert list(RECORD["numbers"]) == list(NUMBERS)
    assert list(RECORD["errors"]) == list(ERRORS)
