"""Averages of a model that a compiled step updates."""

from __future__ import annotations

from typing import Any

import pytest
from twins import bits

import autodiff as ad
from autodiff import nn
from autodiff.optim import swa_utils

WAYS = {
    "mean": {},
    "mean of each": {"avg_fn": swa_utils.get_swa_avg_fn()},
    "exponential": {"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.9), "use_buffers": True},
    "exponential of each": {"avg_fn": swa_utils.get_ema_avg_fn(0.9)},
}


@pytest.mark.parametrize("way", WAYS)
def test_averages_are_those_of_eager_steps(way: str) -> None:
    """From the first on, and again where the count of them is set back."""

    def session(compiled: bool) -> Any:
        ad.manual_seed(3)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        averaged = swa_utils.AveragedModel(model, **WAYS[way])
        optimizer = ad.optim.SGD(model.parameters(), lr=0.1)

        def step(x: ad.Tensor) -> ad.Tensor:
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            averaged.update_parameters(model)
            return loss

        call = ad.compile(step) if compiled else step
        found = []
        for i in range(9):
            found += [bits(call(ad.randn(5, 3))), bits(averaged.state_dict())]
            if i == 5:
                averaged.n_averaged.zero_()
        return found, call

    found, call = session(True)
    assert found == session(False)[0]
    assert call.stats().runs >= 6
