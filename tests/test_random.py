"""Random numbers are PyTorch's: every recorded case, drawn again."""

from __future__ import annotations

import copy
import functools
import json
import math
import pickle
import re
from typing import Any

import pytest
from golden.record_random import GOLDEN, ROUNDED, Step, Summary, error_of, evaluate, run, states
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff
from autodiff.native import ffi, lib

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


def test_states_are_pytorchs() -> None:
    """To the byte, but for the last bits of a normal that is kept."""
    for got, expected in zip(states(autodiff), RECORDED["states"], strict=True):
        assert got.pop(3) == pytest.approx(expected.pop(3), rel=1e-13)
        assert got == expected


@pytest.mark.parametrize("text", RECORDED["errors"])
def test_same_errors_as_pytorch_and_nothing_drawn(text: str) -> None:
    state = autodiff.get_rng_state().tolist()
    assert error_of(autodiff, text) == RECORDED["errors"][text]
    if "backward" not in text:
        assert autodiff.get_rng_state().tolist() == state


def test_seed_is_taken_modulo_two_to_the_64() -> None:
    autodiff.manual_seed(-1)
    below = autodiff.rand(3).tolist()
    autodiff.manual_seed(2**64 - 1)
    assert autodiff.rand(3).tolist() == below


def drawn(text: str) -> str:
    """The values of an expression, and nan as itself."""
    return repr(eval(text, {"L": autodiff}).tolist())


ANY_DRAWS = st.lists(st.sampled_from(sorted(RECORDED["expressions"])), max_size=5)


@pytest.mark.filterwarnings("ignore:.*is out of bounds")
@given(ANY_DRAWS, ANY_DRAWS, ANY_DRAWS, st.integers(0, 700))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_a_state_holds_all(before: list[str], after: list[str], others: list[str], n: int) -> None:
    """Whatever was drawn before, also with a normal kept: from a state on, draws repeat."""
    autodiff.randn(3)
    autodiff.rand(n)
    for text in before:
        drawn(text)
    state = autodiff.get_rng_state()
    expected = [drawn(text) for text in after] + [drawn("L.randn(2)"), drawn("L.rand(2)")]
    for text in others:
        drawn(text)
    autodiff.set_rng_state(state)
    assert autodiff.get_rng_state().equal(state)
    again = [drawn(text) for text in after] + [drawn("L.randn(2)"), drawn("L.rand(2)")]
    assert again == expected


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, "pickle", "clone"])
def test_copies_of_a_generator_draw_on_their_own(copied: Any) -> None:
    first = autodiff.Generator().manual_seed(8)
    autodiff.randn(3, generator=first)
    if copied == "pickle":
        second = pickle.loads(pickle.dumps(first))
    else:
        second = first.clone_state() if copied == "clone" else copied(first)
    assert second.initial_seed() == 8
    expected = autodiff.randn(5, generator=first).tolist()
    assert autodiff.randn(5, generator=second).tolist() == expected


def test_the_initial_seed_is_part_of_the_state() -> None:
    first, second = autodiff.Generator().manual_seed(3), autodiff.Generator()
    assert second.initial_seed() == 67280421310721
    assert second.set_state(first.get_state()).initial_seed() == 3
    assert second.seed() == second.initial_seed()


def test_fork_rng_leaves_the_generator_where_it_was() -> None:
    with pytest.raises(RuntimeError, match="not a distribution"), autodiff.random.fork_rng():
        raise RuntimeError(f"not a distribution: {autodiff.manual_seed(5)}")
    assert autodiff.initial_seed() != 5
    autodiff.manual_seed(4)
    expected = autodiff.rand(2).tolist()
    autodiff.manual_seed(4)
    with autodiff.random.fork_rng():
        autodiff.randn(3)
    assert autodiff.rand(2).tolist() == expected
    with autodiff.random.fork_rng(enabled=False):
        autodiff.manual_seed(4)
    assert autodiff.rand(2).tolist() == expected


GENERATOR_CALLS = [
    *(f"L.zeros(9).{name}_" for name in ("uniform", "normal", "log_normal", "exponential")),
    *(f"L.zeros(9).{name}_" for name in ("cauchy", "bernoulli", "random")),
    "functools.partial(L.zeros(9).geometric_, 0.2)",
    "functools.partial(L.zeros(9).bernoulli_, L.full((9,), 0.2))",
    "(L.ones(9) / 2).bernoulli",
    "functools.partial(L.ones(9).multinomial, 3)",
    *(f"functools.partial(L.{name}, L.ones(9))" for name in ("rand_like", "randn_like", "poisson")),
    *(f"functools.partial(L.{name}, 9)" for name in ("rand", "randn", "randperm")),
    "functools.partial(L.randint, 0, 9, (9,))",
    "functools.partial(L.randint_like, L.ones(9), 9)",
    "functools.partial(L.normal, 0.5, 2.0, (9,))",
    "functools.partial(L.normal, L.ones(9), L.ones(9))",
    *(f"functools.partial(L.nn.init.{name}_, L.ones(9, 3))" for name in ("orthogonal", "uniform")),
    *(f"functools.partial(L.nn.init.{name}_, L.ones(9, 3))" for name in ("normal", "trunc_normal")),
    *(f"functools.partial(L.nn.init.xavier_{name}_, L.ones(9, 3))" for name in ("normal",)),
    *(f"functools.partial(L.nn.init.kaiming_{name}_, L.ones(9, 3))" for name in ("uniform",)),
]


@pytest.mark.parametrize("text", GENERATOR_CALLS)
def test_a_generator_of_ones_own(text: str) -> None:
    call = eval(text, {"L": autodiff, "functools": functools})
    autodiff.manual_seed(6)
    expected = call().tolist()
    state = autodiff.get_rng_state()
    own = autodiff.Generator().manual_seed(6)
    assert call(generator=own).tolist() == expected
    assert own.get_state().equal(state)
    assert autodiff.get_rng_state().equal(state)
    with pytest.raises(TypeError, match="generator"):
        call(generator=3)


@given(
    st.sampled_from(["float16", "bfloat16", "float32", "float64"]),
    st.floats(-1000, 1000, width=16),
    st.floats(2**-6, 100, width=16),
)
def test_uniform_numbers_leave_the_upper_bound_out(dtype: str, low: float, width: float) -> None:
    kind = getattr(autodiff, dtype)
    low, high = autodiff.tensor([low, low + width], dtype=kind).tolist()
    x = autodiff.empty(3000, dtype=kind).uniform_(low, high)
    assert ((low <= x) & ((x < high) | (low == high))).all()


@pytest.mark.parametrize(
    ("start", "bytes_"), [(8, [255] * 4), (12, [0]), (12, [2]), (16, [200] * 8), (8, [9, 1])]
)
def test_damaged_states_are_refused_and_change_nothing(start: int, bytes_: list[int]) -> None:
    state = autodiff.get_rng_state()
    damaged = state.clone()
    damaged[start : start + len(bytes_)] = autodiff.tensor(bytes_, dtype=autodiff.uint8)
    with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
        autodiff.set_rng_state(damaged)
    assert autodiff.get_rng_state().equal(state)


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


WRITES = {
    "uniform_()": "UniformBackward0",
    "normal_()": "NormalBackward0",
    "log_normal_()": "LogNormalBackward0",
    "exponential_()": "ExponentialBackward0",
    "cauchy_()": "CauchyBackward0",
    "geometric_(0.5)": "GeometricBackward0",
    "bernoulli_()": "BernoulliBackward2",
    "bernoulli_(x / 4)": "BernoulliBackward1",
    "random_(2, 5)": "RandomBackward0",
    "random_(5)": "RandomBackward1",
    "random_()": "RandomBackward2",
}


@pytest.mark.parametrize("call", WRITES)
def test_a_write_is_part_of_the_graph(call: str) -> None:
    """The gradient of what was written over is zero; a leaf that requires grad is refused."""
    x = autodiff.ones(4, requires_grad=True)
    y = x * 2
    before = y._version
    assert eval(f"y.{call}", {"x": x, "y": y}) is y
    assert y._version == before + 1
    assert y.grad_fn is not None
    assert y.grad_fn.name() == WRITES[call]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0] * 4
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        eval(f"x.{call}", {"x": x})
    with autodiff.no_grad():
        eval(f"x.{call}", {"x": x})
    assert x.is_leaf


def test_a_write_to_a_part_leaves_the_gradient_of_the_rest() -> None:
    x = autodiff.ones(4, requires_grad=True)
    y = x * 2
    y[1:3].normal_()
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 0.0, 0.0, 2.0]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("normal(x, 2.0)", "NormalBackward1"),
        ("normal(2.0, x)", "NormalBackward2"),
        ("normal(x, x)", "NormalBackward3"),
        ("bernoulli(x / 2)", "BernoulliBackward0"),
        ("poisson(x)", "PoissonBackward0"),
        ("zeros(4).bernoulli_(x / 2)", "BernoulliBackward1"),
    ],
)
def test_parameters_get_zeros(text: str, title: str) -> None:
    x = autodiff.ones(4, requires_grad=True)
    y = eval(f"L.{text}", {"L": autodiff, "x": x})
    assert y.grad_fn.name() == title
    (gradient,) = autodiff.autograd.grad(y.sum(), x, create_graph=True)
    assert gradient.tolist() == [0.0] * 4


def test_out_is_filled_and_made_to_fit() -> None:
    for text in ("rand(3", "randn(3", "normal(L.ones(3), 2.0", "bernoulli(L.ones(3) / 2"):
        autodiff.manual_seed(1)
        expected = eval(f"L.{text})", {"L": autodiff}).tolist()
        for out in (autodiff.zeros(3), autodiff.zeros(0)):
            autodiff.manual_seed(1)
            assert eval(f"L.{text}, out=out)", {"L": autodiff, "out": out}) is out
            assert out.tolist() == expected
    indices = autodiff.zeros(5, dtype=autodiff.int64)
    with pytest.warns(UserWarning, match="was resized"):
        autodiff.multinomial(autodiff.ones(4), 2, out=indices)
    assert indices.shape == (2,)


def test_multinomial_draws_by_weight_and_never_what_has_none() -> None:
    weights = autodiff.tensor([[0.0, 1.0, 3.0], [5.0, 0.0, 0.0]])
    autodiff.manual_seed(0)
    drawn = autodiff.multinomial(weights, 4000, True)
    assert set(drawn[0].tolist()) == {1, 2}
    assert set(drawn[1].tolist()) == {0}
    assert abs((drawn[0] == 2).double().mean().item() - 0.75) < 0.03
    once = [autodiff.multinomial(weights[0], 2).tolist() for _ in range(50)]
    assert all(sorted(pair) == [1, 2] for pair in once)
    assert autodiff.multinomial(weights[1], 3).tolist() == [0, 1, 2]  # then in order


def test_threads_do_not_change_what_is_drawn() -> None:
    n = 300_000
    texts = [
        *(f"L.zeros({n}).{name}_()" for name in ("normal", "exponential", "cauchy", "bernoulli")),
        f"L.nn.functional.dropout(L.ones({n}), 0.3)",
        f"L.nn.functional.alpha_dropout(L.ones({n}), 0.3, True)",
        f"L.normal(L.ones({n}), L.ones({n}))",
        "L.nn.init.orthogonal_(L.zeros(150, 200))",
        f"L.multinomial(L.arange(1, {n}, dtype=L.float32), 20)",
    ]
    threads = autodiff.get_num_threads()
    try:
        for text in texts:
            found = []
            for count in (1, 3):
                autodiff.set_num_threads(count)
                autodiff.manual_seed(2)
                found.append(eval(text, {"L": autodiff}))
            assert found[0].equal(found[1]), text
    finally:
        autodiff.set_num_threads(threads)


def test_bounds_of_integers_by_name() -> None:
    autodiff.manual_seed(0)
    expected = [autodiff.randint(0, 5, (3,)).tolist() for _ in range(4)]
    autodiff.manual_seed(0)
    like = autodiff.zeros(3, dtype=autodiff.int64)
    assert expected == [
        autodiff.randint(5, size=(3,)).tolist(),
        autodiff.randint_like(like, high=5).tolist(),
        autodiff.randint_like(like, low=0, high=5).tolist(),
        autodiff.randint(high=5, size=(3,)).tolist(),
    ]
    for call in (lambda: autodiff.randint_like(like), lambda: autodiff.randint(size=(3,))):
        with pytest.raises(TypeError, match="missing argument 'high'"):
            call()


def test_the_slope_of_a_gamma_draw_ends_for_any_numbers() -> None:
    huge, out = autodiff.full((2,), 1e18, dtype=autodiff.float64), ffi.new("ad_tensor *[2]")
    assert lib.ad_gamma_series(huge._p, huge._p, out) == lib.AD_OK
    for p in out:
        lib.ad_free(p)
