"""Names that PyTorch has of what is here under another, and small functions: as PyTorch's."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from golden.record_names import GOLDEN, PLAIN, SMOOTH, derivatives, outcome

import autodiff as ad
from autodiff import at_top

RECORDED = json.loads(GOLDEN.read_text())


def alike(a: Any, b: Any, tolerance: float) -> bool:
    """Whether nested numbers agree; nan agrees with nan."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(alike(p, q, tolerance) for p, q in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        close = math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
        return close or (math.isnan(a) and math.isnan(b))
    return bool(a == b)


@pytest.mark.parametrize("text", SMOOTH)
def test_values_and_derivatives_are_pytorchs(text: str) -> None:
    for dtype, tolerance in (("float64", 1e-9), ("float32", 2e-4)):
        got, wanted = derivatives(ad, text, dtype), RECORDED["smooth"][text]
        got[2] = got[2] if wanted[2] is not None else None
        assert alike(got, wanted, tolerance), f"{dtype}: {got}, not {wanted}"


@pytest.mark.parametrize("text", PLAIN)
def test_calls_end_as_pytorchs(text: str) -> None:
    got, wanted = outcome(ad, text), RECORDED["plain"][text]
    assert alike(got, wanted, 1e-5), f"{got}, not {wanted}"


def test_what_is_late_is_what_there_is() -> None:
    own = {n for n in vars(at_top) if callable(getattr(at_top, n)) and not n.startswith("_")}
    assert own - {"Any", "Sequence", "Tensor", "guarded", "strict"} == set(ad._AT_TOP.split())
