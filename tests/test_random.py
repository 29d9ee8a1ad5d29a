"""Random numbers are PyTorch's: every recorded case, drawn again."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from golden.record_random import GOLDEN, ROUNDED, Step, Summary, run

import autodiff

CASES: list[dict[str, Any]] = json.loads(GOLDEN.read_text())["cases"]


def case_name(case: dict[str, Any]) -> str:
    """The first step names a case: randn-31-float32-seed17."""
    name, args, dtype = case["steps"][0]
    return "-".join([name, *map(str, args), dtype, f"seed{case['seed']}"])


def check(step: Step, got: Summary, expected: Summary) -> None:
    """Exact, but for normals: their logarithm and sine may round differently."""
    if step[0] not in ROUNDED:
        assert got == expected, step
        return
    # The error is one of the standard normal, before the mean is added.
    mean, std = (step[1] + [0.0, 1.0])[1:3]
    tolerance = {"rel": 2e-6, "abs": 1e-6 * (abs(mean) + std)}
    assert got["first"] == pytest.approx(expected["first"], **tolerance), step
    assert got["last"] == pytest.approx(expected["last"], **tolerance), step
    assert math.isclose(got["sum"], expected["sum"], rel_tol=1e-5, abs_tol=1e-3), step


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_same_numbers_as_pytorch(case: dict[str, Any]) -> None:
    results = run(autodiff, case["seed"], case["steps"])
    for step, got, expected in zip(case["steps"], results, case["results"], strict=True):
        check(step, got, expected)
