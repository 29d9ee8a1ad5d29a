"""Compiled, every optimiser takes the steps that it takes plainly, whatever its options."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from golden.record_optim import MATRICES
from test_optim_native import CASES, KINDS_OF, make
from twins import Twins

import autodiff as ad
from autodiff import nn, optim

STEPS = 9  # past the sixth, from which RAdam rectifies


@pytest.mark.parametrize(("kind", "i"), CASES)
def test_compiled_steps_are_plain_steps(kind: str, i: int) -> None:
    twins = Twins(lambda parameters: make(kind, i, list(parameters)))
    twins.steps(STEPS)
    assert twins.runs >= STEPS - 3


def test_every_optimizer_is_among_them() -> None:
    kinds = {name: getattr(optim, name) for name in optim.__all__}
    found = {n for n, k in kinds.items() if inspect.isclass(k) and issubclass(k, optim.Optimizer)}
    assert found - {"Optimizer", "LBFGS"} == {*KINDS_OF, *MATRICES}


@pytest.mark.parametrize(
    ("kind", "i"), [(k, i) for k, o in MATRICES.items() for i in range(len(o))]
)
def test_compiled_steps_on_matrices_are_plain_steps(kind: str, i: int) -> None:
    def made(parameters: Any) -> Any:
        fit = [x for x in parameters if kind != "Muon" or x.ndim == 2]
        return getattr(optim, kind)(fit, **MATRICES[kind][i])

    twins = Twins(made)
    twins.steps(STEPS)
    assert twins.runs >= STEPS - 3


@pytest.mark.filterwarnings("ignore")  # that the closure's loss is looked at
def test_lbfgs_stays_eager() -> None:
    def trained(wrap: Any) -> Any:
        ad.manual_seed(0)
        model, x = nn.Linear(3, 1), ad.randn(5, 3)
        optimizer = optim.LBFGS(model.parameters(), lr=0.5)

        def closure() -> Any:
            optimizer.zero_grad()
            loss = (model(x) - x.sum(1, keepdim=True).sin()).square().mean()
            loss.backward()
            return loss

        step = wrap(lambda: optimizer.step(closure))
        return [step().item() for _ in range(3)]

    assert trained(ad.compile) == trained(lambda step: step)
