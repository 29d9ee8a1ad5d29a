"""Random numbers are PyTorch's: every recorded case, drawn again."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from golden.record_random import GOLDEN, ROUNDED, Step, Summary, evaluate, run, state_bytes

import autodiff

RECORDED: dict[str, Any] = json.loads(GOLDEN.read_text())
CASES: list[dict[str, Any]] = RECORDED["cases"]
# Made with logarithms, sines and exponentials.
INEXACT = re.compile("normal|randn|exponential|cauchy|orthogonal|sparse")


def case_name(case: dict[str, Any]) -> str:
    """The first step names a case: randn-31-float32-seed17."""
    name, args, dtype = case["steps"][0]
    return "-".join([name, *map(str, args), dtype, f"seed{case['seed']}"])


def check(step: Step, got: Summary, expected: Summary) -> None:
    """Exact, but for normals: their logarithm and sine may round differently."""
    if step[0] not in ROUNDED:
        assert got == expected, step
        return
    # The error is one of the standard normal, before the mean is added.
    mean, std = (step[1] + [0.0, 1.0])[1:3]
    tolerance = {"rel": 2e-6, "abs": 1e-6 * (abs(mean) + std)}
    assert got["first"] == pytest.approx(expected["first"], **tolerance), step
    assert got["last"] == pytest.approx(expected["last"], **tolerance), step
    assert math.isclose(got["sum"], expected["sum"], rel_tol=1e-5, abs_tol=1e-3), step


@pytest.mark.parametrize("case", CASES, ids=case_name)
@pytest.mark.filterwarnings("ignore:.*is out of bounds")
def test_same_numbers_as_pytorch(case: dict[str, Any]) -> None:
    results = run(autodiff, case["seed"], case["steps"])
    for step, got, expected in zip(case["steps"], results, case["results"], strict=True):
        check(step, got, expected)


@pytest.mark.parametrize("text", RECORDED["expressions"])
@pytest.mark.filterwarnings("ignore:.*is out of bounds")
def test_same_draws_as_pytorch(text: str) -> None:
    """Equal values, and an equal draw after them: the generators moved as far."""
    got, expected = evaluate(autodiff, text), dict(RECORDED["expressions"][text])
    if INEXACT.search(text):
        tolerance = 2e-6 if got["dtype"] == "float32" else 1e-13
        close = pytest.approx(expected.pop("values"), rel=tolerance, abs=tolerance)
        assert got.pop("values") == close
    assert got == expected


def test_states_are_pytorchs_to_the_byte() -> None:
    assert state_bytes(autodiff) == RECORDED["states"]


def test_seed_is_taken_modulo_two_to_the_64() -> None:
    autodiff.manual_seed(-1)
    below = autodiff.rand(3).tolist()
    autodiff.manual_seed(2**64 - 1)
    assert autodiff.rand(3).tolist() == below


def test_state_holds_the_position_and_the_kept_normal() -> None:
    autodiff.manual_seed(5)
    autodiff.randn(3)  # the fourth is kept for the next call
    state = autodiff.get_rng_state()
    expected = [autodiff.randn(2).tolist(), autodiff.rand(2).tolist()]
    autodiff.manual_seed(6)
    autodiff.set_rng_state(state)
    assert [autodiff.randn(2).tolist(), autodiff.rand(2).tolist()] == expected


def test_foreign_states_are_refused_and_change_nothing() -> None:
    state = autodiff.get_rng_state()
    damaged = state.clone()
    damaged[:16] = 255
    for bad in (autodiff.zeros(10, dtype=autodiff.uint8), state[:-1].clone(), damaged):
        with pytest.raises((RuntimeError, ValueError)):
            autodiff.set_rng_state(bad)
    assert autodiff.get_rng_state().tolist() == state.tolist()


@pytest.mark.parametrize(
    "draw_badly",
    [
        lambda: autodiff.zeros(3).uniform_(2.0, 1.0),
        lambda: autodiff.zeros(3).uniform_(math.nan, 1.0),
        lambda: autodiff.zeros(3).uniform_(-3e38, 3e38),
        lambda: autodiff.zeros(3).normal_(0.0, -1.0),
        lambda: autodiff.zeros(3).normal_(0.0, math.nan),
        lambda: autodiff.zeros(3, dtype=autodiff.int64).uniform_(),
        lambda: autodiff.zeros(3, dtype=autodiff.int64).normal_(),
        lambda: autodiff.zeros(1).expand(3).uniform_(),
        lambda: autodiff.randint(3, 3, (2,)),
        lambda: autodiff.randint(0, 257, (2,), dtype=autodiff.uint8),
        lambda: autodiff.randint(-1, 2, (2,), dtype=autodiff.uint8),
        lambda: autodiff.randperm(-1),
        lambda: autodiff.randperm(257, dtype=autodiff.uint8),
        lambda: autodiff.randperm(3, dtype=autodiff.bool),
    ],
)
def test_what_cannot_be_drawn_is_an_error_that_draws_nothing(draw_badly: Any) -> None:
    state = autodiff.get_rng_state().tolist()
    with pytest.raises((RuntimeError, ValueError, TypeError)):
        draw_badly()
    assert autodiff.get_rng_state().tolist() == state


def test_empty_tensors_draw_nothing() -> None:
    state = autodiff.get_rng_state().tolist()
    for shape in ((0,), (2, 0), (0, 3)):
        assert autodiff.rand(*shape).shape == shape
        assert autodiff.randn(*shape).shape == shape
        assert autodiff.randint(0, 2**40, shape).shape == shape
    assert (
        autodiff.randperm(0).tolist() == autodiff.randperm(0, dtype=autodiff.int32).tolist() == []
    )
    assert autodiff.get_rng_state().tolist() == state


def test_drawing_in_place_counts_as_a_write() -> None:
    x = autodiff.zeros(4)
    for draws, fill in enumerate((x.uniform_, x.normal_, x.uniform_), start=1):
        fill()
        assert x._version == draws
