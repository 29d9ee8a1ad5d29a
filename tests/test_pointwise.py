"""User functions through `pointwise`: one fused call gives what its parts give one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import as_leaves, bits

import autodiff as ad
from autodiff import testing

Function = Callable[..., Any]
UNARY: list[Function] = [ad.tanh, ad.sin, ad.exp, ad.sigmoid, ad.square, abs, lambda x: -x]
BINARY: list[Function] = [
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a - 2 * b,
    lambda a, b: a / (b * b + 1),
    ad.maximum,
    lambda a, b: ad.where(a < b, a, b * 0.5),
]


def bounded(function: Function) -> Function:
    """The function kept small, so that compositions stay finite."""
    return lambda *args: ad.tanh(function(*args))


def chosen(pick: int) -> Function:
    return lambda *xs: xs[pick % len(xs)]


def one(f: Function, g: Function) -> Function:
    return lambda *xs: f(g(*xs))


def two(f: Function, g: Function, h: Function) -> Function:
    return lambda *xs: f(g(*xs), h(*xs))


FUNCTIONS = st.recursive(
    st.integers(0, 1).map(chosen),
    lambda inner: st.one_of(
        st.builds(one, st.sampled_from(UNARY).map(bounded), inner),
        st.builds(two, st.sampled_from(BINARY).map(bounded), inner, inner),
    ),
    max_leaves=6,
)
DTYPES = st.sampled_from([ad.float64, ad.float32])


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(FUNCTIONS, DTYPES, testing.broadcastable_shapes(2), st.data())
def test_fused_equals_composed(f: Function, d: ad.dtype, shapes: Any, data: Any) -> None:
    function = bounded(f)
    xs = as_leaves([data.draw(testing.tensors(shape, d)) for shape in shapes])
    fused, composed = ad.pointwise(function)(*xs), function(*xs)
    if composed.shape != fused.shape:  # a function of one operand alone
        composed = composed.expand(fused.shape)
    assert bits(fused) == bits(composed)
    options = {"allow_unused": True, "materialize_grads": True}
    for a, b in zip(
        ad.autograd.grad(fused.sum(), xs, **options),
        ad.autograd.grad(composed.sum(), xs, **options),
        strict=True,
    ):
        tolerance = 1e-12 if d is ad.float64 else 1e-4
        assert ad.allclose(a, b, rtol=tolerance, atol=tolerance)


def test_a_fused_function_is_one_node_and_one_call() -> None:
    @ad.pointwise
    def swish(x: Any, beta: Any) -> Any:
        """x sigmoid(beta x)."""
        return x * ad.sigmoid(beta * x)

    x = ad.ones(3, requires_grad=True)
    y = swish(x, 1.5)
    assert y.grad_fn is not None
    assert [edge for edge, _ in y.grad_fn.next_functions if edge] == [x._acc]
    assert swish.__doc__ == "x sigmoid(beta x)."


@pytest.mark.parametrize("beta", [0.5, 2])
def test_numbers_are_operands(beta: float) -> None:
    double = ad.float64
    x = ad.linspace(-2, 2, 7, dtype=double).requires_grad_()
    fused = ad.pointwise(lambda x, b: ad.exp(b * x) / (1 + x * x))
    assert ad.gradcheck(lambda x: fused(x, beta), x)
    assert ad.gradgradcheck(lambda x: fused(x, beta), x)


def test_functions_that_are_not_pointwise_are_refused() -> None:
    x = ad.ones(3)
    with pytest.raises(TypeError, match="has no truth value"):
        ad.pointwise(lambda x: x if x > 0 else -x)(x)
    with pytest.raises(TypeError, match="returns an expression of its inputs, not float"):
        ad.pointwise(lambda x: 1.0)(x)
    with pytest.raises(TypeError, match="takes at least one input"):
        ad.pointwise(lambda: 1.0)()
    with pytest.raises(TypeError, match="argument 2 must be a Tensor or a number, not str"):
        ad.pointwise(lambda x, y: x + y)(x, "y")
