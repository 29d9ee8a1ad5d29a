"""Names that PyTorch has of what is here under another, and small functions: as PyTorch's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from golden.record_names import GOLDEN, PLAIN, SMOOTH, derivatives, outcome
from golden.recording import alike

import autodiff as ad

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


def test_what_is_at_the_top_is_of_nn_or_its_own() -> None:
    for name in ad._AT_TOP.split():
        own = getattr(ad, name).__module__ == "autodiff.at_top"
        assert own or getattr(ad, name) is getattr(ad.nn.functional, name)


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
