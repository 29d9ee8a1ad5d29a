"""Activations are PyTorch's: values, derivatives where they bend, dtypes, nodes and errors."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from golden.record_activations import (
    ERRORS,
    FLOATS,
    FUNCTIONS,
    GOLDEN,
    NUMBERS,
    OTHERS,
    POINTS,
    REFUSED,
    curve,
    node_names,
    of_integers,
)
from golden.recording import failure

import autodiff as ad
import autodiff.nn
from autodiff import nn
from autodiff.nn import functional

RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())
# PyTorch rounds 1/6 to float32 in the derivative of float64 too; and it takes the second derivative
# of softplus where it begins to be linear from the other side.
COARSE = {"hardsigmoid float64": 1e-7, "softplus float64": 3e-9}
# Where PyTorch overflows on its way to a finite number, or to infinity.
BEYOND = {
    ("mish float32", "second", 100.0),
    ("gelu float32", "value", math.inf),
    *((f"mish {d}", kind, math.inf) for d in FLOATS for kind in ("first", "second")),
    *((f"softsign {d}", "first", x) for d in FLOATS for x in (-math.inf, math.inf)),
}


def close(got: Any, expected: Any, tolerance: float) -> bool:
    """Nested numbers alike, to a tolerance relative to numbers above one."""
    if isinstance(expected, list):
        return len(got) == len(expected) and all(
            close(a, b, tolerance) for a, b in zip(got, expected, strict=True)
        )
    if isinstance(expected, bool) or math.isinf(expected):
        return got == expected  # type: ignore[no-any-return]
    if math.isnan(expected):
        return math.isnan(got)
    return abs(got - expected) <= tolerance * max(1.0, abs(expected))


@pytest.mark.parametrize("name", RECORD["curves"])
def test_curves_are_pytorchs(name: str) -> None:
    function, dtype = name.rsplit(" ", 1)
    tolerance = COARSE.get(name, 3e-6 if dtype == "float32" else 2e-14)
    got, expected = curve(ad, function, dtype), RECORD["curves"][name]
    for kind, mine, theirs in zip(("value", "first", "second"), got, expected, strict=True):
        for x, a, b in zip(POINTS, mine or (), theirs or (), strict=theirs is not None):
            fine = close(a, b, tolerance) or (name, kind, x) in BEYOND
            assert fine, f"{kind} of {name} at {x}: {a}, PyTorch has {b}"


@pytest.mark.parametrize("name", RECORD["integers"])
def test_integers_are_taken_or_refused_as_pytorch_does(name: str) -> None:
    function, dtype = name.rsplit(" ", 1)
    got, expected = of_integers(ad, function, dtype), RECORD["integers"][name]
    if isinstance(expected, str) or isinstance(got, str):
        assert got == expected
    else:
        assert got[0] == expected[0]
        assert close(got[1], expected[1], 3e-6)


def test_nodes_have_pytorchs_names() -> None:
    assert {name: node_names(ad, name) for name in FUNCTIONS} == RECORD["nodes"]


@pytest.mark.parametrize("name", RECORD["numbers"])
def test_numbers_are_pytorchs(name: str) -> None:
    got, expected = NUMBERS[name](ad), RECORD["numbers"][name]
    assert close(got, expected, 1e-12 if "float64" in name else 3e-6), (got, expected)


@pytest.mark.parametrize("name", RECORD["errors"])
def test_errors_are_pytorchs(name: str) -> None:
    assert failure(ERRORS[name], ad) == RECORD["errors"][name]


@pytest.mark.parametrize("name", RECORD["refused"])
def test_what_pytorch_refuses_is_refused(name: str) -> None:
    assert failure(REFUSED[name], ad)[0] == RECORD["refused"][name]


def test_every_case_is_recorded() -> None:
    assert list(RECORD["curves"]) == [f"{n} {d}" for n in FUNCTIONS for d in FLOATS]
    assert list(RECORD["integers"]) == [f"{n} {d}" for n in FUNCTIONS for d in OTHERS]
    for section, cases in (("numbers", NUMBERS), ("errors", ERRORS), ("refused", REFUSED)):
        assert list(RECORD[section]) == list(cases)


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_tails_keep_their_digits(dtype: ad.dtype) -> None:
    """Where one of two terms is lost next to the other, the relative error is still of rounding."""
    eps = 2e-6 if dtype is ad.float32 else 1e-14
    for x in (-80.0, -40.0, -17.3, 17.3, 40.0, 80.0):
        leaf = ad.tensor(x, dtype=dtype, requires_grad=True)
        exact = leaf.item()
        small = math.log1p(math.exp(-abs(exact)))  # what log(sigmoid) is for x > 0
        y = functional.logsigmoid(leaf)
        assert math.isclose(y.item(), -small if x > 0 else exact - small, rel_tol=eps)
        y.backward()
        odds = math.exp(-abs(exact))
        slope = odds / (1 + odds) if x > 0 else 1 / (1 + odds)
        assert math.isclose(leaf.grad.item(), slope, rel_tol=eps)
        whole = math.log1p(math.exp(exact))
        assert math.isclose(functional.mish(leaf).item(), exact * math.tanh(whole), rel_tol=eps)


@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_slopes_far_out_are_those_of_the_lines_there(dtype: ad.dtype) -> None:
    """However large the squares and exponentials on the way, first and second derivatives too."""
    far = 1e30 if dtype is ad.float32 else 1e300
    for name in ("gelu", "mish", "silu", "softsign", "logsigmoid", "softplus", "tanhshrink"):
        function = getattr(functional, name)
        x = ad.tensor([-far, -200.0, 200.0, far], dtype=dtype, requires_grad=True)
        (slope,) = ad.autograd.grad(function(x).sum(), x, create_graph=True)
        (curve,) = ad.autograd.grad(slope.sum(), x)
        line = {"softsign": (0, 0), "logsigmoid": (1, 0), "tanhshrink": (1, 1)}.get(name, (0, 1))
        expected = [line[0], line[0], line[1], line[1]]
        assert close(slope.tolist(), expected, 1e-4), (name, slope)
        assert close(curve.tolist(), [0.0] * 4, 1e-6), (name, curve)


def test_a_number_may_be_a_tensor_that_holds_one() -> None:
    x = ad.tensor([-2.0, 2.0])
    assert functional.leaky_relu(x, ad.tensor(0.5)).tolist() == [-1.0, 2.0]
    with pytest.raises(TypeError, match="must be Number, not Parameter"):
        functional.leaky_relu(x, nn.Parameter(ad.tensor(0.5)))


def test_prelu_learns_a_slope_for_each_channel() -> None:
    module = nn.PReLU(2)
    assert list(module.state_dict()) == ["weight"]
    module(-ad.ones(3, 2, 4)).sum().backward()
    assert module.weight.grad.tolist() == [-12.0, -12.0]
    with pytest.raises(AssertionError, match="only 'cpu'"):
        nn.PReLU(device="cuda")


def test_rrelu_draws_in_training_alone() -> None:
    module = nn.RReLU(0.2, 0.4)
    x = -ad.ones(8)
    slopes = (-module(x)).tolist()
    assert all(0.2 <= s < 0.4 for s in slopes)
    assert len(set(slopes)) > 1
    assert close(module.eval()(x).tolist(), [-0.3] * 8, 1e-6)


@pytest.mark.parametrize("dtype", FLOATS)
def test_gelu_of_what_is_far_below_zero_is_a_negative_zero(dtype: str) -> None:
    x = ad.tensor([-0.0, -20.0, -1e30], dtype=getattr(ad, dtype))
    assert [math.copysign(1.0, y) for y in functional.gelu(x).tolist()] == [-1.0, -1.0, -1.0]
    assert functional.gelu(x).tolist() == [0.0, 0.0, 0.0]
