"""Names that PyTorch has of what is here under another, and small functions: as PyTorch's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from golden.record_names import GOLDEN, PLAIN, SMOOTH, derivatives, outcome
from golden.recording import alike

import autodiff as ad
from autodiff import at_top

RECORDED = json.loads(GOLDEN.read_text())


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


GIVEN = [lambda base: base.resize_(9), lambda base: base.set_(ad.ones(4))]


@pytest.mark.parametrize("give", GIVEN)
def test_views_of_memory_that_was_given_up_have_no_base(give: Callable[..., Any]) -> None:
    """A write to one does not change the other's history, nor is it told of one."""
    for through_view in (True, False):
        base, w = ad.zeros(4), ad.ones(2, requires_grad=True)
        view = base[:2]
        give(base)
        (view if through_view else base[:2]).mul_(w)
        assert (view.requires_grad, base.requires_grad) == (through_view, not through_view)


def test_what_an_operation_made_keeps_its_shape_in_other_memory() -> None:
    """Else backward would give its operands gradients of a shape that is not theirs."""
    x = ad.ones(4, requires_grad=True)
    y = 2 * x
    with ad.no_grad():
        with pytest.raises(RuntimeError, match="another shape"):
            y.set_(ad.zeros(3))
        y.set_(ad.zeros(4))
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0] * 4


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, 3.0, float("inf")])
def test_rows_of_no_columns_have_no_distance(p: float) -> None:
    x = ad.zeros(3, 0)
    assert ad.cdist(x, x, p).tolist() == [[0.0] * 3] * 3
    assert ad.pdist(x, p).tolist() == [0.0] * 3
