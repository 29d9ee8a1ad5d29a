"""Every law on every declared operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from laws import LAWS, applies, untested

import autodiff as ad
from autodiff.ops.base import OPS
from autodiff.ops.declare import FUNCTIONS
from autodiff.testing import drawn
from autodiff.testing.cases import CASES, OTHERS, Case

EXAMPLES = {
    "check_gradient": 8,
    "check_second_gradient": 5,
    "check_operands_unchanged": 5,
    "check_compiled": 3,
}
PAIRS = [(law, case) for law in LAWS for case in CASES if applies(law, case)]


@pytest.mark.parametrize(
    ("law", "case"), PAIRS, ids=[f"{law.__name__[6:]}-{case}" for law, case in PAIRS]
)
def test_law(law: Callable[..., None], case: Case) -> None:
    @settings(
        max_examples=EXAMPLES.get(law.__name__, 10),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),  # drawing is most of the work
    )
    @given(drawn(case.operands))
    def holds(operands: list[ad.Tensor]) -> None:
        law(case, operands)

    holds()


def test_every_primitive_is_a_function_or_an_instruction() -> None:
    assert not untested()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_all_that_laws_need(name: str) -> None:
    primitive = FUNCTIONS[name].primitive
    assert primitive.reference is not None
    assert len(primitive.domain) == primitive.arity
    assert primitive.doc


def test_every_op_is_reached_by_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each Op runs forward, and its rule backward, in the case of a name or the gradient of one."""
    forward: set[str] = set()
    backward: set[str] = set()

    def watch(name: str) -> None:
        op = OPS[name]
        run, rule = op.forward, op.rule

        def running(*args: Any) -> Any:
            forward.add(name)
            return run(*args)

        def ruling(*args: Any) -> Any:
            backward.add(name)
            return rule(*args)

        monkeypatch.setattr(op, "forward", running)
        monkeypatch.setattr(op, "rule", ruling)

    for name in OPS:
        watch(name)

    @settings(max_examples=6, derandomize=True, database=None, deadline=None)
    @given(st.data())
    def run(data: Any) -> None:
        for case in OTHERS:
            xs = [x.requires_grad_() for x in data.draw(drawn(case.operands))]
            y = case.call(*xs).sum()
            if case.differentiable:
                first = ad.autograd.grad(y * y, xs, create_graph=True)
                ad.autograd.grad(sum((g * g).sum() for g in first), xs)

    run()
    x = y = ad.tensor([1.0, 2.0, 4.0], requires_grad=True)
    for _ in range(3):  # deviations from a mean are differentiated at third order only
        (y,) = ad.autograd.grad((y.var() ** 2 if y is x else y.pow(2).sum()), x, create_graph=True)
    # written in place, values that come with indices, and what calls the native library itself
    recorded = "copy index_add index_put linear max max_dim min min_dim sort sum topk view"
    assert sorted(set(OPS) - forward) == recorded.split()
    assert sorted(set(OPS) - backward) == ["reduce"]  # indices and truths have no derivative
