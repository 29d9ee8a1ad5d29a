"""A first session with neural networks gives what PyTorch printed, to the last digit shown."""

from __future__ import annotations

import json

import pytest
from golden.record_chapter import GOLDEN, NUMBER, numbers, session

import autodiff as torch
from autodiff import nn, optim

RECORDED = json.loads(GOLDEN.read_text())
EXPECTED: list[str] = RECORDED["items"]
SPREADS: list[float] = RECORDED["spreads"]


@pytest.fixture(scope="module")
def printed() -> list[str]:
    return session(torch, nn, optim)


def test_every_item_reads_the_same(printed: list[str]) -> None:
    """But for the last digit shown, and what PyTorch itself prints otherwise from another bit."""
    for got, expected, spread in zip(printed, EXPECTED, SPREADS, strict=True):
        assert NUMBER.sub("#", got) == NUMBER.sub("#", expected)
        near = pytest.approx(numbers(expected), rel=0, abs=2 * spread + 1.5e-4)
        assert numbers(got) == near, expected


def test_nearly_all_items_are_equal_as_texts(printed: list[str]) -> None:
    different = [(a, b) for a, b in zip(printed, EXPECTED, strict=True) if a != b]
    assert len(different) <= 5, different
    assert sum(spread > 0.01 for spread in SPREADS) <= 2


def test_the_session_is_the_same_every_time(printed: list[str]) -> None:
    assert session(torch, nn, optim) == printed


def test_everything_plotted_is_plottable() -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    model = nn.Linear(1, 1)
    t_range = torch.arange(20.0, 90.0).unsqueeze(1)
    figure = plt.figure()
    axes = figure.add_subplot()
    (line,) = axes.plot(t_range.numpy(), model(0.1 * t_range).detach().numpy(), "c-")
    assert line.get_xdata().tolist() == t_range.squeeze().tolist()
    plt.close(figure)
