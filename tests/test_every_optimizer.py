"""Compiled, every optimiser takes the steps that it takes plainly, whatever its options."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from golden.record_optim import COMPOSED
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
    assert found - {"Optimizer", "LBFGS"} == {*KINDS_OF, *COMPOSED}


@pytest.mark.parametrize(
    ("kind", "i"), [(kind, i) for kind in COMPOSED for i in range(len(COMPOSED[kind]))]
)
def test_compiled_steps_of_operations_are_plain_steps(kind: str, i: int) -> None:
    """Those of Muon of the matrices alone; of a rate that a scheduler moves, too."""

    def optimizer(parameters: Any) -> optim.Optimizer:
        chosen = [p for p in parameters if p.ndim == 2 or kind != "Muon"]
        found: optim.Optimizer = getattr(optim, kind)(chosen, **COMPOSED[kind][i])
        return found

    twins = Twins(optimizer)
    twins.steps(STEPS)
    runs = twins.runs
    assert runs >= STEPS - 3
    twins.each(lambda trainer: trainer.scheduler.step())
    twins.steps(4)
    assert twins.runs == runs + 4


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
