"""Exceptions that a compiled function does not let out: what comes after them is Python's."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from twins import bits

import autodiff as ad
from autodiff import nn
from autodiff.nn import functional as F

SCORES, TABLE = ad.arange(6.0).reshape(2, 3), ad.arange(8.0).reshape(4, 2)
FLAT, SADDLE = ad.eye(2), ad.tensor([[1.0, 2.0], [2.0, 1.0]])


def in_the_function(a: ad.Tensor) -> ad.Tensor:
    try:
        return ad.linalg.cholesky(a)
    except RuntimeError:
        return ad.linalg.cholesky(a + 10 * ad.eye(2))


def whatever_it_is(places: ad.Tensor) -> ad.Tensor:
    try:
        return F.embedding(places, TABLE)
    except:  # noqa: E722
        return TABLE * 2


def one_of_several(labels: ad.Tensor) -> ad.Tensor:
    try:
        return F.cross_entropy(SCORES, labels)
    except (IndexError, RuntimeError):
        return SCORES.sum()


def behind_another_clause(divisor: ad.Tensor) -> ad.Tensor:
    try:
        return ad.tensor([4, 6]) // divisor
    except KeyError:
        raise
    except RuntimeError:
        return divisor


def in_a_caller(a: ad.Tensor) -> ad.Tensor:
    def inverse() -> ad.Tensor:
        return ad.linalg.inv(a)

    try:
        return inverse() * 2
    except Exception:
        return a


def suppressed(scale: ad.Tensor) -> ad.Tensor:
    y = scale
    with contextlib.suppress(ValueError):
        y = ad.distributions.Normal(ad.zeros(2), scale).log_prob(ad.ones(2))
    return y * 2


ROWS = [
    (in_the_function, FLAT, SADDLE),
    (whatever_it_is, ad.tensor([1, 2]), ad.tensor([1, 9])),
    (one_of_several, ad.tensor([0, 2]), ad.tensor([0, 3])),
    (behind_another_clause, ad.tensor([2, 3]), ad.tensor([2, 0])),
    (in_a_caller, FLAT, ad.zeros(2, 2)),
    (suppressed, ad.ones(2), -ad.ones(2)),
]


@pytest.mark.parametrize("first", ["good", "bad"])
@pytest.mark.parametrize(("fn", "good", "bad"), ROWS, ids=[row[0].__name__ for row in ROWS])
def test_what_is_caught_is_at_each_call(
    fn: Callable[[ad.Tensor], ad.Tensor], good: ad.Tensor, bad: ad.Tensor, first: str
) -> None:
    """Neither the values that are refused nor those that are not decide for others."""
    compiled = ad.compile(fn)
    given = [good, good, bad, good, bad] if first == "good" else [bad, bad, good, good, bad]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [bits(compiled(x)) for x in given]
    assert found == [bits(fn(x)) for x in given]
    assert compiled.stats().runs == (2 if first == "good" else 1)


class Trainer:
    """Steps whose labels may be refused when much is written: each of them goes on with less."""

    def __init__(self) -> None:
        ad.manual_seed(3)
        self.model = nn.Sequential(
            nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3)
        )
        self.optimizer = ad.optim.Adam(self.model.parameters(), lr=0.1)
        self.total, self.refused = ad.zeros(()), []

    def step(self, x: ad.Tensor, labels: ad.Tensor, halves: ad.Tensor) -> ad.Tensor:
        self.optimizer.zero_grad()
        self.model(x).square().sum().backward()
        self.optimizer.step()
        x.add_(1)
        self.total += x.sum()
        try:
            loss = F.cross_entropy(self.model(x), labels) + (6 // halves).sum()
            loss.backward()
        except Exception:
            self.refused.append(x.sum())
            loss = self.model(x).sum()
        self.optimizer.step()
        return loss.detach()

    def looks(self, x: ad.Tensor) -> list[bytes]:
        grads = [p.grad for p in self.model.parameters() if p.grad is not None]
        states = [s for state in self.optimizer.state.values() for s in state.values()]
        found = [*self.model.state_dict().values(), *grads, *states, x, self.total, *self.refused]
        return [bits(y) for y in [*found, ad.rand(1)]]


@pytest.mark.parametrize("options", [{}, {"reuse_outputs": True}, {"check": True}], ids=str)
def test_what_was_written_by_then_is_put_back(options: dict[str, bool]) -> None:
    """Parameters, buffers, states, gradients, arguments and generators are those of eager calls."""
    good, bad, one, none = (
        ad.tensor([0, 2]),
        ad.tensor([0, 3]),
        ad.tensor([1, 2]),
        ad.tensor([1, 0]),
    )
    rows = [
        (good, one),
        (good, one),
        (good, one),
        (bad, one),
        (good, one),
        (good, none),
        (good, one),
    ]
    found = []
    for compiled in (False, True):
        trainer, x = Trainer(), ad.arange(6.0).reshape(2, 3)
        step = ad.compile(trainer.step, **options) if compiled else trainer.step
        found.append([[bits(step(x, *row)), *trainer.looks(x)] for row in rows])
    assert found[0] == found[1]
    assert options or step.stats().runs == 3


def test_many_steps_that_may_be_refused_are_made_one_by_one() -> None:
    compiled = ad.compile(one_of_several)
    labels = ad.tensor([0, 2, 0, 3, 1, 2, 0, 3])
    found = compiled.epoch([labels], 2)
    assert bits(found) == bits(ad.stack([one_of_several(x) for x in labels.split(2)]))


def apart(a: ad.Tensor) -> ad.Tensor:
    try:
        scale = float("two")
    except ValueError:
        scale = 2.0
    return ad.linalg.inv(a) * scale


def in_the_end(a: ad.Tensor) -> ad.Tensor:
    try:
        with ad.no_grad():
            return ad.linalg.inv(a)
    finally:
        ad.ones(1)


def of_another_shape(a: ad.Tensor) -> ad.Tensor:
    try:
        return a @ ad.ones(3)
    except RuntimeError:
        return a.exp()


@pytest.mark.parametrize("fn", [apart, in_the_end, of_another_shape])
def test_what_catches_nothing_of_values_is_recorded(fn: Callable[[ad.Tensor], Any]) -> None:
    compiled = ad.compile(fn)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for scale in (1.0, 2.0, 3.0):
            assert bits(compiled(FLAT * scale)) == bits(fn(FLAT * scale))
    assert compiled.stats().runs == 2
