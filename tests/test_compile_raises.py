"""Exceptions that a compiled function does not let out: what comes after them is Python's."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from twins import bits

import autodiff as ad
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
    with pytest.warns(UserWarning, match="go(es)? on where a call is refused its values"):
        found = [bits(compiled(x)) for x in given]
    assert found == [bits(fn(x)) for x in given]


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
