"""Every law on every declared operation."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from laws import LAWS, applies, check_alone, check_second_gradient, untested
from native_calls import leave_to_python

import autodiff as ad
from autodiff.ops.base import OPS
from autodiff.ops.declare import FUNCTIONS
from autodiff.ops.masked import write_masked
from autodiff.ops.reduced import REDUCED
from autodiff.testing import drawn
from autodiff.testing.cases import CASES, OTHERS, Case
from autodiff.testing.draw import Random

# Drawing is most of the work, so a case's laws share what is drawn; the dear ones see some of it.
# Sanitized builds run slowly, and watch memory rather than numbers: they see fewer.
FEW = os.environ.get("AUTODIFF_TEST_PROFILE") == "few"
DRAWN = 4 if FEW else 10
SEEN = {
    "check_gradient": 8,
    "check_second_gradient": 5,
    "check_operands_unchanged": 5,
    "check_grads_are_their_own": 3,
    "check_compiled": 3,
    "check_halves": 1,
}
SEEN_BY_FEW = {
    "check_gradient": 1,
    "check_second_gradient": 1,
    "check_operands_unchanged": 2,
    "check_grads_are_their_own": 1,
    "check_compiled": 1,
    "check_halves": 1,
}


def laws_of(case: Case) -> Callable[[list[ad.Tensor]], None]:
    """All laws in one: the first that fails is the only one while Hypothesis makes that smaller."""
    left = {law: (SEEN_BY_FEW if FEW else SEEN).get(law.__name__, DRAWN) for law in LAWS}
    failed: list[Callable[..., None]] = []

    def hold(operands: list[ad.Tensor]) -> None:
        for law in failed or [law for law in LAWS if applies(law, case) and left[law]]:
            left[law] -= 1
            try:
                law(case, operands)
            except Exception:
                failed[:] = [law]
                raise

    return hold


def check(case: Case, laws: Callable[[list[ad.Tensor]], None]) -> None:
    @settings(
        max_examples=DRAWN,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn(case.operands))
    def holds(operands: list[ad.Tensor]) -> None:
        laws(operands)

    holds()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_laws(case: Case) -> None:
    check(case, laws_of(case))


@pytest.mark.parametrize("case", [case for case in CASES if case.differentiable], ids=str)
def test_gradients_do_not_depend_on_who_else_wants_one(case: Case) -> None:
    for seed in (1, 2):
        check_alone(case, case.operands(Random(f"{case.name} {seed}")))


def test_a_law_that_fails_at_its_last_turn_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is run again on the same operands, though its turns are over."""
    case = next(case for case in CASES if case.name == "exp")
    law = check_second_gradient
    turns = (SEEN_BY_FEW if FEW else SEEN)[law.__name__]
    calls = []

    def failing(case: Case, operands: list[ad.Tensor]) -> None:
        calls.append(case)
        assert len(calls) < turns, law.__name__

    failing.__name__ = law.__name__
    monkeypatch.setitem(globals(), "LAWS", [failing])
    monkeypatch.setitem(globals(), "applies", lambda law, case: True)
    with pytest.raises(AssertionError, match=law.__name__):
        check(case, laws_of(case))
    assert len(calls) > turns


def test_every_primitive_is_a_function_or_an_instruction() -> None:
    assert not untested()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_all_that_laws_need(name: str) -> None:
    primitive = FUNCTIONS[name].primitive
    assert primitive.reference is not None
    assert len(primitive.domain) == primitive.arity
    assert primitive.doc


def differentiate_what_cases_do_not() -> None:
    """Third order of deviations and cofactors, what a recording alone makes, and halves."""
    x = ad.tensor([[1.0, 2.0], [4.0, 3.0]], requires_grad=True)
    for f in (lambda x: x.var() ** 2, ad.linalg.det):
        y = f(x)
        for _ in range(3):
            (y,) = ad.autograd.grad(y if y.ndim == 0 else y.pow(2).sum(), x, create_graph=True)
    rows = ad.zeros(2)
    write_masked(rows, ad.tensor([True, False]), x.sum(0), True, "")
    ad.autograd.grad(rows.sum(), x)
    ad.autograd.grad(ad.nextafter(x.half(), 2 * x.half()).sum(), x)


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

    leave_to_python(monkeypatch)
    for name in OPS:
        watch(name)

    for case, seed in itertools.product(OTHERS, range(3)):
        xs = [x.requires_grad_() for x in case.operands(Random(f"{case.name} {seed}"))]
        y = case.call(*xs).sum()
        if case.differentiable:
            first = ad.autograd.grad(y * y, xs, create_graph=True)
            second = sum((g * g).sum() for g in first)
            if second.requires_grad:
                ad.autograd.grad(second, xs, allow_unused=True)
    differentiate_what_cases_do_not()
    # written in place, values that come with indices, and what calls the native library itself
    recorded = "amax amin cat copy cummax cummin dot embedding embedding_bag index_add index_copy "
    recorded += (
        "index_fill index_put kron kthvalue masked_scatter max max_dim max_pool mean median_dim "
    )
    recorded += "min min_dim mode mv nanmedian_dim put scatter scatter_add_to sort stack sum topk "
    recorded += "unfold"
    losses = {op.op.name for op in REDUCED.values() if op.each.n_in == 2}  # once they are lowered
    assert sorted(set(OPS) - forward - losses) == recorded.split()
    assert set(OPS) <= backward
