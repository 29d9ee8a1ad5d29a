"""gradcheck at kinks and jumps: it forgives what has no single answer, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import autodiff as ad
from autodiff.gradcheck import GradcheckError
from autodiff.gradcheck.slopes import Line, Tolerance, judge

TOLERANCE = Tolerance(1e-5, 1e-3)


def leaf(*values: float) -> ad.Tensor:
    return ad.tensor(values, dtype=ad.float64, requires_grad=True)


def accepted(function: Callable[[float], float], x: float, got: float) -> bool:
    """Whether a gradient of a function of one number passes, by difference or by slopes."""
    line = Line(x, lambda there: [[function(there)]])
    ((central,),) = line.central(1e-6)
    near = TOLERANCE.accepts(central, got)
    return near or judge(line, 0, 0, got, 1e-6, TOLERANCE).accepted


KINKS: dict[str, tuple[Callable[[float], float], float, float, float]] = {
    "relu": (lambda x: max(x, 0.0), 0.0, 0.0, 1.0),
    "abs": (abs, 0.0, -1.0, 1.0),
    "clamp": (lambda x: min(x, 2.0), 2.0, 0.0, 1.0),
    "concave": (lambda x: -3 * abs(x - 1), 1.0, -3.0, 3.0),
    "curved": (lambda x: max(math.exp(20 * x), 1.0 + x * x), 0.0, 0.0, 20.0),
    "tall": (lambda x: 1e4 + abs(x), 0.0, -1.0, 1.0),
    "slight": (lambda x: x + 0.01 * abs(x), 0.0, 0.99, 1.01),
}


@pytest.mark.parametrize("name", KINKS)
def test_at_a_kink_all_between_the_slopes_passes_and_nothing_else(name: str) -> None:
    function, x, low, high = KINKS[name]
    for part in (0, 0.1, 0.5, 0.77, 1):
        assert accepted(function, x, low + part * (high - low)), part
    margin = max(0.01, 0.01 * (high - low))
    for got in (low - margin, high + margin, math.inf, math.nan):
        assert not accepted(function, x, got), got


@pytest.mark.parametrize("distance", [3e-7, -3e-7, 5e-8, -5e-8, 1e-9, -1e-9])
def test_beside_a_kink_the_slope_of_its_side_passes(distance: float) -> None:
    assert accepted(abs, distance, math.copysign(1, distance))
    assert not accepted(abs, distance, 1.1)
    assert not accepted(abs, distance, -1.1)


SMOOTH: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "exp": (math.exp, math.exp),
    "steep exp": (lambda x: math.exp(50 * x), lambda x: 50 * math.exp(50 * x)),
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
    "large cube": (lambda x: 1e5 * x**3, lambda x: 3e5 * x**2),
    "bowl": (lambda x: 1e3 * x * x, lambda x: 2e3 * x),
    "fast sine": (lambda x: math.sin(1e4 * x), lambda x: 1e4 * math.cos(1e4 * x)),
    "narrow bend": (lambda x: math.hypot(x, 1e-4), lambda x: x / math.hypot(x, 1e-4)),
    "offset": (lambda x: 1e3 + math.tanh(x), lambda x: 1 - math.tanh(x) ** 2),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_function_has_one_slope_however_curved(name: str) -> None:
    function, slope = SMOOTH[name]
    for x in (-0.7, -1e-4, 0.0, 1e-7, 0.3, 1.1):
        right = slope(x)
        assert accepted(function, x, right), x
        step = 5e-3 * abs(right) + 1e-4
        for got in (right + step, right - step, -right - 1, 2 * right + 1e3, math.nan):
            assert not accepted(function, x, got), (x, got)


def test_a_function_of_steps_passes_no_zero_gradient() -> None:
    """Rounding to float32 inside is no kink, and zero no gradient of it, though it is flat."""

    def rounded(x: ad.Tensor) -> ad.Tensor:
        return x.detach().float().double() + 0 * x

    for k in range(20):
        with pytest.raises(GradcheckError):
            ad.gradcheck(rounded, leaf(0.51 + k / 45))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.relu(),
        lambda x: x.abs(),
        lambda x: x.clamp(0, 1),
        lambda x: ad.maximum(x, x * 2),
        lambda x: ad.minimum(x, 0 * x),
        lambda x: x.amax(),
        lambda x: x.max(0).values,
        lambda x: x.min(),
        lambda x: (x.abs() * 3).tanh() @ x.abs(),
    ],
)
def test_ops_at_their_kinks_pass(function: Callable[[ad.Tensor], Any]) -> None:
    assert ad.gradcheck(function, leaf(0.0, 0.0, 1.0, 0.0, 1.0))


def test_the_message_at_a_kink_has_both_slopes() -> None:
    with pytest.raises(GradcheckError) as raised:
        ad.gradcheck(lambda x: x.abs() + 2 * (x - x.detach()).sum(), leaf(3.0, 0.0))
    lines = str(raised.value).split("\n")
    assert lines[0].endswith("d output[0] / d input[0]")
    with pytest.raises(GradcheckError) as raised:
        ad.gradcheck(lambda x: x.abs() + 2 * (x - x.detach()), leaf(0.0))
    *_, left, right, note = str(raised.value).split("\n")
    assert float(left.removeprefix("slope from the left: ")) == pytest.approx(-1)
    assert float(right.removeprefix("slope from the right: ")) == pytest.approx(1)
    assert note == "the slopes differ here: any gradient between them would pass"


@pytest.mark.parametrize("function", [lambda x: x.sign(), lambda x: x.floor()])
def test_at_a_jump_there_is_no_derivative(function: Callable[[ad.Tensor], Any]) -> None:
    with pytest.raises(GradcheckError, match="the function jumps by about 1 here"):
        ad.gradcheck(function, leaf(0.0))
    assert ad.gradcheck(function, leaf(0.5))


def test_the_gradient_of_a_kink_jumps() -> None:
    with pytest.raises(GradcheckError, match="the function jumps"):
        ad.gradgradcheck(lambda x: x.relu(), leaf(0.0), ad.ones(1, dtype=ad.float64))


def test_values_and_gradients_that_are_not_finite() -> None:
    with pytest.raises(GradcheckError, match=r"not finite here: f is nan at x - eps, 0\.0 at x"):
        ad.gradcheck(lambda x: x.sqrt(), leaf(0.0))
    with pytest.raises(GradcheckError, match=r"not finite here: f is -?inf at x - eps"):
        ad.gradcheck(lambda x: x / 0, leaf(1.0))
    with pytest.raises(GradcheckError, match="the gradient is nan"):
        ad.gradcheck(lambda x: x + (x - x.detach()).sqrt().detach() * 0 + _nan(x), leaf(1.0))


def _nan(x: ad.Tensor) -> ad.Tensor:
    """0, with a gradient of nan."""
    return ad.where(x > 9, (x - x.detach()) / 0, 0 * x)


def test_a_step_that_vanishes_is_said() -> None:
    with pytest.raises(GradcheckError, match="a step of eps=1e-06 vanishes beside input 0"):
        ad.gradcheck(lambda x: x * 2, leaf(1e20))
    with pytest.raises(GradcheckError, match="a step of eps=0 vanishes"):
        ad.gradcheck(lambda x: x * 2, leaf(1.0), eps=0)
