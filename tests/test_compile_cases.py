"""Every operation and its gradient compiled, on operands found outside, whose values it follows."""

from __future__ import annotations

import warnings

import pytest
from twins import bits

import autodiff as ad
from autodiff.testing.cases import CASES, Case
from autodiff.testing.draw import Random

# What looks at values, or makes results whose size depends on them.
LOOKS = {
    "index_mask",
    "masked_select",
    "repeat_interleave",
    "unique",
    *(f"segment_reduce_{k}" for k in ("sum", "mean", "prod", "max")),
}


def value_and_gradients(case: Case, xs: list[ad.Tensor]) -> list[ad.Tensor]:
    """The result, and the gradient of its sum to each operand that has one."""
    leaves = [x.detach().requires_grad_(x.is_floating_point()) for x in xs]
    y = case.call(*leaves)
    if not y.requires_grad:
        return [y]
    wanted = [x for x in leaves if x.requires_grad]
    grads = ad.autograd.grad(y.sum(), wanted, allow_unused=True)
    return [y.detach(), *[g for g in grads if g is not None]]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_compiled_follows_values_of_operands(case: Case) -> None:
    xs = [x.detach().clone() for x in case.operands(Random(case.name))]
    run = ad.compile(lambda: value_and_gradients(case, xs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(4):
            want = value_and_gradients(case, xs)
            assert bits(run()) == bits(want)
            for x in xs:
                if x.is_floating_point() and x.ndim:
                    x.copy_(x.flip(list(range(x.ndim))))
    assert bool(run.stats().runs) == (case.name not in LOOKS)
