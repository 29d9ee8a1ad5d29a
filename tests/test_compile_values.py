"""What depends on values, but not in size, is recorded: masks, draws, checks, ranks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twins import bits

import autodiff as ad
from autodiff import distributions as dist
from autodiff import linalg

SINGULAR = ad.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 1.0, 1.0]])


def bent(a: ad.Tensor) -> ad.Tensor:
    """A second derivative of the determinant."""
    a = a.detach().requires_grad_()
    (g,) = ad.autograd.grad(linalg.det(a).sum(), a, create_graph=True)
    return ad.autograd.grad((g * ad.arange(9.0).reshape(3, 3)).sum(), a)[0]


MATRICES: dict[str, Callable[[ad.Tensor], Any]] = {
    "lstsq": lambda a: tuple(linalg.lstsq(a, a + 1))[::2],
    "matrix_exp": lambda a: linalg.matrix_exp(a),
    "solve_ex": lambda a: linalg.solve_ex(a, a.sum(-1)),
    "solve_ex from the right": lambda a: linalg.solve_ex(a, a + 1, left=False),
    "inv_ex": lambda a: linalg.inv_ex(a).info,
    "det, twice": bent,
    "lu": lambda a: linalg.lu(a),
    "lu_factor_ex": lambda a: linalg.lu_factor_ex(a),
    "lu_unpack": lambda a: ad.lu_unpack(*linalg.lu_factor_ex(a)[:2]),
}


@pytest.mark.parametrize("name", MATRICES)
def test_matrices_of_any_rank_share_a_recording_and_do_not_depend_on_their_batch(name: str) -> None:
    fn = MATRICES[name]
    run = ad.compile(fn, fullgraph=True)
    several = [SINGULAR, ad.randn(3, 3), ad.eye(3) * 40, ad.zeros(3, 3)]
    whole = fn(ad.stack(several))
    for i, a in enumerate(several):
        alone = fn(a)
        assert bits(run(a)) == bits(alone)
        pairs = zip(whole, alone, strict=True) if isinstance(whole, tuple) else [(whole, alone)]
        assert all(bits(x[i]) == bits(y) for x, y in pairs)
    assert run.stats().runs == len(several) - 1


def test_bad_pivots_are_refused_by_a_recording_too() -> None:
    run = ad.compile(lambda p: ad.lu_unpack(ad.eye(2), p).P, fullgraph=True)
    for _ in range(3):
        assert run(ad.tensor([2, 2], dtype=ad.int32)).tolist() == [[0.0, 1.0], [1.0, 0.0]]
    for bad in (0, 3):
        with pytest.raises(RuntimeError, match=r"must be between 1 and LU\.size"):
            run(ad.tensor([bad, 2], dtype=ad.int32))


def scattered(x: ad.Tensor, mask: ad.Tensor, values: ad.Tensor) -> ad.Tensor:
    return (x * 2).masked_scatter(mask, values)


def assigned(x: ad.Tensor, mask: ad.Tensor, values: ad.Tensor) -> ad.Tensor:
    y = x * 2
    y[mask] = values
    return y


@settings(max_examples=60)
@given(st.data())
def test_values_go_to_the_places_of_a_mask(data: Any) -> None:
    """As eagerly, errors and signs of zero in gradients included."""
    rows, width = data.draw(st.integers(0, 5)), data.draw(st.integers(1, 3))
    by_row = data.draw(st.booleans())
    fn = assigned if by_row else scattered
    held = data.draw(st.sampled_from([None, *range(rows + 1)]))
    n = rows if by_row else rows * width
    values = ad.randn(held, width) if by_row and held is not None else ad.randn(n)
    weight = ad.tensor([-1.0, 0.0, -0.0])[:width]

    def step(x: ad.Tensor, mask: ad.Tensor, values: ad.Tensor) -> Any:
        y = fn(x, mask, values)
        (y * weight).sum().backward()
        return y

    run = ad.compile(step)
    for _ in range(3):
        mask = ad.tensor([data.draw(st.booleans()) for _ in range(n)], dtype=ad.bool)
        if held is not None and by_row:
            mask = (ad.arange(rows) < held)[ad.randperm(rows)]
        x, ends = ad.randn(rows, width), []
        for call in (step, run):
            leaves = [z.clone().requires_grad_() for z in (x, values)]
            try:
                y = call(leaves[0], mask if by_row else mask.reshape(rows, width), leaves[1])
                ends.append(bits([y, *[z.grad for z in leaves if z.grad is not None]]))
            except Exception as e:
                ends.append(type(e))
        assert ends[0] == ends[1]


DRAWS: dict[str, Callable[[ad.Tensor], ad.Tensor]] = {
    "Gamma": lambda a: dist.Gamma(a, a + 1).rsample((2,)),
    "Beta": lambda a: dist.Beta(a, 2.0).rsample(),
    "Dirichlet": lambda a: dist.Dirichlet(a.t()).rsample(),
    "StudentT": lambda a: dist.StudentT(a).rsample(),
    "Chi2": lambda a: dist.Chi2(a).rsample((3,)),
    "Binomial": lambda a: dist.Binomial(40, a / (a + 1)).sample() * a,
    "binomial": lambda a: ad.binomial((a * 9).round().detach(), a.detach() / (a.detach() + 1)) * a,
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_by_rejection_are_recorded(name: str) -> None:
    def step(a: ad.Tensor) -> ad.Tensor:
        y = DRAWS[name](a)
        (y * y.detach()).sum().backward()
        return y

    run, found = ad.compile(step, fullgraph=True), []
    for call in (step, run):
        ad.manual_seed(3)
        ends = []
        for scale in (1.0, 0.1, 30.0, 2e4):
            a = (ad.tensor([[0.5, 1.0, 7.0], [2.0, 0.25, 3.0]]) * scale).requires_grad_()
            ends.append(bits([call(a), a.grad]))
        found.append([*ends, ad.get_rng_state().tolist()])
    assert found[0] == found[1]
    assert run.stats().runs == 3


def test_distributions_check_what_they_are_given_at_each_run() -> None:
    def density(x: ad.Tensor, scale: ad.Tensor) -> ad.Tensor:
        return dist.Normal(0.0, scale).log_prob(1.0 * x) + dist.Uniform(0.0, 5.0).log_prob(x)

    good, bad = ad.tensor([2.0, 3.0]), ad.tensor([2.0, -3.0])
    run = ad.compile(density, fullgraph=True)
    with pytest.raises(ValueError, match=r"distribution Normal\(loc.*\n.*-3") as told:
        run(good, bad)
    with pytest.raises(ValueError, match="parameter scale") as eager:
        density(good, bad)
    assert str(told.value) == str(eager.value)
    other = good.clone()
    for _ in range(3):
        assert bits(run(good, other)) == bits(density(good, other))
    with pytest.raises(ValueError, match=r"parameter scale .* of distribution Normal to satisfy"):
        run(good, bad)
    with pytest.raises(ValueError, match=r"within the support .* distribution Uniform"):
        run(bad, good)
    assert bits(run(good, other)) == bits(density(good, other))
    assert run.stats().recordings == 1


def test_checks_of_constants_are_made_once() -> None:
    run = ad.compile(lambda x: dist.Normal(0.0, 1.0).log_prob(x), fullgraph=True)
    for _ in range(2):
        run(ad.ones(2))
    assert repr(run).count("refuse(") == 1  # of the argument


def test_numbers_of_numpy_are_numbers() -> None:
    step = ad.compile(lambda x, n: (x * float(n), n))
    numbers = [np.float32(2), np.float64(2), np.float32(0), np.float32(-0.0), np.float32("nan")]
    for number in [*numbers, np.int64(2), np.bool_(1), 2.0]:
        for _ in range(3):
            y, n = step(ad.ones(2), copy.copy(number))
            assert type(n) is type(number)
            assert bits(y) == bits(ad.ones(2) * float(number))
    assert step.stats().recordings == 8


@pytest.mark.filterwarnings("ignore:.*an argument is an array")
def test_records_of_numpy_are_arrays() -> None:
    record = np.zeros(1, dtype=[("a", "f4")])[0]
    step = ad.compile(lambda x, r: x * float(r["a"]))
    for i in range(4):
        record["a"] = i
        assert step(ad.ones(2), record).tolist() == [i, i]
