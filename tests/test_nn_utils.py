"""Clipping and vectors of parameters are PyTorch's: recorded; and what PyTorch cannot do."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from golden.record_nn_utils import ERRORS, GOLDEN, cases, x_of
from golden.recording import failure
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff import nn
from autodiff.nn import utils

RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())
CASES = cases()


def assert_same(got: Any, expected: Any) -> None:
    if isinstance(expected, list):
        for mine, theirs in zip(got, expected, strict=True):
            assert_same(mine, theirs)
    elif isinstance(expected, str):
        assert got.replace("autodiff", "torch") == expected
    else:
        assert got == pytest.approx(expected, rel=2e-7, nan_ok=True)


@pytest.mark.parametrize("name", CASES)
def test_clipping_is_pytorchs(name: str) -> None:
    assert_same(CASES[name](ad, utils), RECORD["results"][name])


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_pytorchs(name: str) -> None:
    assert failure(ERRORS[name], ad, utils) == RECORD["errors"][name]


def test_every_case_is_recorded() -> None:
    assert list(RECORD["results"]) == list(CASES)
    assert list(RECORD["errors"]) == list(ERRORS)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 40000), min_size=1, max_size=3),
    st.sampled_from([ad.float32, ad.float64]),
    st.sampled_from([1.0, 2.0, 3.0, math.inf]),
    st.booleans(),
)
def test_the_norm_is_that_of_one_vector(
    sizes: list[int], dtype: ad.dtype, order: float, strided: bool
) -> None:
    rng = ad.Generator().manual_seed(sum(sizes))
    flat = [ad.randn(n + 1, generator=rng, dtype=dtype) for n in sizes]
    whole = [abs(v) for x in flat for v in x.tolist()]
    expected = (
        max(whole) if order == math.inf else math.fsum(v**order for v in whole) ** (1 / order)
    )
    spread = [ad.stack([x, x], 1)[:, 0] for x in flat] if strided else flat
    norm = utils.get_total_norm(spread, order)
    assert norm.dtype is dtype
    assert norm.item() == pytest.approx(expected, rel=1e-6 if dtype is ad.float32 else 1e-13)
    if strided:
        assert norm.item() == utils.get_total_norm(flat, order).item()


def test_bits_do_not_depend_on_threads() -> None:
    x = ad.randn(300_000, generator=ad.Generator().manual_seed(1))
    threads = ad.get_num_threads()
    try:
        norms = set()
        for n in (1, 2, 3):
            ad.set_num_threads(n)
            norms.add(utils.get_total_norm([x, x[7:]]).item())
    finally:
        ad.set_num_threads(threads)
    assert len(norms) == 1


def test_squares_may_overflow_and_vanish() -> None:
    """PyTorch's norms of these are inf and 0."""
    for scale in (1e30, 1e-30):
        x = ad.tensor([3.0, -4.0, 0.0]) * scale
        assert utils.get_total_norm(x).item() == pytest.approx(5 * scale)
        assert utils.get_total_norm(x.double()).item() == pytest.approx(5 * scale)


def test_strided_gradients_are_scaled_where_they_are() -> None:
    x = ad.ones(2, 3, requires_grad=True)
    room = ad.full((3, 4), 2.0)
    x.grad = room[:, ::2].t()
    utils.clip_grad_norm_([x], math.sqrt(24) / 2)
    assert x.grad.flatten().tolist() == pytest.approx([1.0] * 6)
    assert room[:, 1::2].tolist() == [[2.0, 2.0]] * 3
    dense = ad.ones(3, 2)
    x.grad = dense.t()
    utils.clip_grads_with_norm_(x, 1.0, ad.tensor(4.0))
    assert dense.flatten().tolist() == pytest.approx([0.25] * 6)


def test_clipping_counts_as_a_write() -> None:
    x = x_of(ad, 3.0, 4.0)
    y = ad.ones(2, requires_grad=True) * x.grad
    utils.clip_grad_norm_(x, 1.0)
    with pytest.raises(RuntimeError, match="gradient clipping"):
        y.sum().backward()


def test_gradients_that_require_grad_stay_in_the_graph() -> None:
    x = ad.tensor([1.0, 2.0], requires_grad=True)
    with pytest.warns(UserWarning, match="reference cycle"):
        (x**3).sum().backward(create_graph=True)
    assert not utils.clip_grad_norm_([x], 1.0).requires_grad
    assert x.grad.grad_fn is not None


def test_what_cannot_be_clipped() -> None:
    whole = ad.ones(2, dtype=ad.int64)
    with pytest.raises(RuntimeError, match="get_total_norm"):
        utils.get_total_norm([ad.ones(1), whole])
    for order in (math.inf, -math.inf):
        with pytest.raises(RuntimeError, match="identity"):
            utils.get_total_norm([ad.ones(1), ad.ones(0)], order)
    x, y = x_of(ad, 3.0), ad.ones(2, requires_grad=True)
    y.grad = ad.ones(1).expand(2)
    with pytest.raises(RuntimeError, match="single memory location"):
        utils.clip_grad_norm_([x, y], 0.1)
    assert x.grad.item() == 3.0
    with pytest.warns(UserWarning, match="empty generator") as seen:
        utils.clip_grad_norm_((p for p in ()), 1.0)
    assert seen[0].filename == __file__
    assert utils.clip_grad_norm_([], 1.0).item() == 0.0
    utils.clip_grad_value_([], 1.0)


def test_parameters_and_vectors() -> None:
    a, b = ad.tensor([[1.0, 2.0]], requires_grad=True), ad.tensor(3.0, requires_grad=True)
    vector = utils.parameters_to_vector(iter([a, b]))
    assert vector.tolist() == [1.0, 2.0, 3.0]
    (vector * ad.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert a.grad.tolist() == [[1.0, 2.0]]
    assert b.grad.item() == 3.0
    other = ad.tensor([4.0, 5.0, 6.0, 7.0])
    utils.vector_to_parameters(other, iter([a, b]))
    assert a.tolist() == [[4.0, 5.0]]
    assert b.item() == 6.0
    assert a.is_leaf
    assert a.requires_grad
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        utils.parameters_to_vector([ad.ones(2, 3).t()])
    other[0] = 9.0  # the parameters view the vector
    assert a.tolist() == [[9.0, 5.0]]


class Halved(nn.Module):
    def forward(self, x: ad.Tensor) -> ad.Tensor:
        return x * 2

    def right_inverse(self, x: ad.Tensor) -> ad.Tensor:
        return x / 2


class OneWay(nn.Module):
    def forward(self, x: ad.Tensor) -> ad.Tensor:
        return x * 2


def test_parametrizations_are_inverted_once_and_where_they_can_be() -> None:
    register = utils.parametrize.register_parametrization
    layer = nn.Linear(1, 1)
    first = layer.weight.item()
    register(layer, "weight", Halved())
    register(layer, "weight", Halved())  # a second one leaves the originals as they are
    assert layer.weight.item() == 2 * first
    layer.weight = ad.ones(1, 1)
    assert layer.weight.item() == 1.0
    register(layer, "weight", OneWay())
    with pytest.raises(RuntimeError, match="OneWay does not implement right_inverse"):
        layer.weight = ad.ones(1, 1)
    assert layer.weight.item() == 2.0
