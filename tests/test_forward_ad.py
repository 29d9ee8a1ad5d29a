"""Tangents of dual tensors are those of func.jvp, and what has none says so."""

from __future__ import annotations

import pytest

import autodiff as ad
from autodiff.autograd import forward_ad
from autodiff.testing.cases import FAMILIES, Case
from autodiff.testing.draw import Random

CASES = [c for cases in FAMILIES.values() for c in cases if c.differentiable][::7]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tangents_are_those_of_jvp(case: Case) -> None:
    xs = case.operands(Random(case.name))
    at = [i for i, x in enumerate(xs) if x.is_floating_point()]
    tangents = [xs[i].detach().cos() for i in at]

    def call(*given: ad.Tensor) -> ad.Tensor:
        every = [*xs]
        for i, x in zip(at, given, strict=True):
            every[i] = x
        return case.call(*every)  # type: ignore[no-any-return]

    value, expected = ad.func.jvp(call, tuple(xs[i].detach() for i in at), tuple(tangents))
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(xs[i], t) for i, t in zip(at, tangents, strict=True)]
        primal, tangent = forward_ad.unpack_dual(call(*duals))
    assert primal.tolist() == value.tolist()
    assert tangent is None or tangent.tolist() == expected.tolist()
    assert tangent is not None or not expected.any()


@pytest.mark.parametrize(
    ("primal", "tangent", "kind", "text"),
    [
        (ad.ones(2), ad.ones(3), RuntimeError, r"of size \[2\] while the given forward gradient"),
        (ad.ones(2, dtype=ad.int64), ad.ones(2), ValueError, "Expected primal to be floating"),
        (ad.ones(2), ad.ones(2, dtype=ad.int64), ValueError, "Expected tangent to be floating"),
        (ad.ones(2), 1.0, TypeError, "the tangent must be a Tensor, not float"),
    ],
)
def test_what_cannot_be_dual(primal: object, tangent: object, kind: type, text: str) -> None:
    with forward_ad.dual_level(), pytest.raises(kind, match=text):
        forward_ad.make_dual(primal, tangent)


def test_levels_do_not_nest_and_tangents_need_a_graph() -> None:
    x = ad.ones(2)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, x)
        with pytest.raises(RuntimeError, match="Nested forward mode AD is not supported"):
            forward_ad.enter_dual_level()
        with pytest.raises(RuntimeError, match="already has a forward gradient"):
            forward_ad.make_dual(dual * 2, x)
        with ad.no_grad(), pytest.raises(RuntimeError, match="leave no_grad"):
            forward_ad.make_dual(x, x)
        with pytest.raises(RuntimeError, match="level 1 was not entered"):
            forward_ad.unpack_dual(dual, level=1)
        with pytest.raises(RuntimeError, match="level 1 is not that which was entered last"):
            forward_ad.exit_dual_level(level=1)
    assert forward_ad.unpack_dual(dual).tangent is None
