"""Options of compiled functions: live scalars, out= and outputs written over; and what is fused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twins import bits

import autodiff as ad
from autodiff import nn
from autodiff.native import ffi, lib

NUMBERS = st.one_of(st.integers(-(2**40), 2**40), st.floats(-1e6, 1e6), st.floats(width=64))
DTYPES = (ad.float32, ad.float64, ad.int64)


def arithmetic(x: Any, t: Any) -> Any:
    return x * t, t - x, x / t, x + (x > t), ad.maximum(x * 1.0, x - t).exp()


@given(st.lists(NUMBERS, min_size=6, max_size=10), st.sampled_from(DTYPES))
def test_live_scalars_are_numbers(numbers: list[Any], dtype: Any) -> None:
    compiled = ad.compile(arithmetic, live=["t"])
    x = ad.tensor([[-1.5, 0.0, 2.0], [3.0, 1.0, -7.25]]).to(dtype)
    for t in [*numbers, 0.5, 1, 2.0]:
        assert bits(compiled(x, t)) == bits(arithmetic(x, t))
    assert compiled.stats().recordings <= 2  # for floats, and for ints


def test_live_scalars_by_name_by_default_and_in_methods() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x: Any, t: float = 0.5, *, s: float = 1.0) -> Any:
            return self.layer(x) * t + s

    model = Model()
    compiled = ad.compile(model, live=("t", "s"))
    x = ad.randn(3, 2)
    for i in range(5):
        assert bits(compiled(x, t=i / 3, s=2.0 + i)) == bits(model(x, t=i / 3, s=2.0 + i))
        assert bits(compiled(x, i / 7)) == bits(model(x, i / 7))
    assert compiled.stats().recordings == 2
    with pytest.raises(ValueError, match="'u' is no parameter"):
        ad.compile(model, live="u")


def test_a_live_scalar_is_no_constant_even_where_it_equals_one() -> None:
    compiled = ad.compile(lambda x, t: x * 2.0 + t, live="t")
    for t in (2.0, 2.0, 2.0, 3.0, -1.0):
        assert compiled(ad.ones(2), t).tolist() == [2 + t] * 2


def test_live_scalars_repeat_and_look_like_tensors_of_no_dimension() -> None:
    seen = []

    @ad.compile(live="t")
    def f(x: Any, t: Any) -> Any:
        seen.append((t.dim(), t.dtype))
        return x + t

    assert f.repeat(6, ad.zeros(1), 0.5).tolist() == [[0.5]] * 6
    assert set(seen) == {(0, ad.float64)}
    f(ad.zeros(1), 2)
    assert seen[-1] == (0, ad.int64)


def test_a_live_scalar_that_is_looked_at_keeps_a_call_eager() -> None:
    f = ad.compile(lambda x, n: x[: int(n)], live="n")
    with pytest.warns(UserWarning, match="looks at a value"):
        assert [f(ad.arange(5), n).tolist() for n in (1, 3)] == [[0], [0, 1, 2]]


# ---- out= ----


def test_out_takes_the_result() -> None:
    f = ad.compile(lambda x: {"a": x * 2, "b": [x.sum()]})
    for i in range(5):
        x = ad.full((3,), float(i))
        out = {"a": ad.empty(3), "b": [ad.empty(())]}
        assert f(x, out=out) is out
        assert bits(out) == bits(f.fn(x))
    assert f.stats().recordings == 1


def test_out_must_be_like_the_result() -> None:
    f = ad.compile(lambda x: (x * 2, x + 1))
    x = ad.ones(3)
    with pytest.raises(TypeError, match="the structure of the result"):
        f(x, out=ad.empty(3))
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype float"):
        f(x, out=(ad.empty(3), ad.empty(3, dtype=ad.float64)))
    f.fn.__name__ = f.fn.__qualname__ = "lstsq"  # whatever a function is called
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype float"):
        f(x, out=(ad.empty(3), ad.empty(3, dtype=ad.float64)))
    with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
        f(x.requires_grad_(), out=(ad.empty(3), ad.empty(3)))
    with ad.no_grad():
        out = f(x, out=(ad.empty(3), ad.empty(3)))
    assert [y.tolist() for y in out] == [[2.0] * 3] * 2


def test_out_of_a_function_that_has_one_is_its_own() -> None:
    f = ad.compile(lambda x, out=None: x if out is None else x + out)
    assert [f(ad.ones(1), out=ad.full((1,), 2.0)).item() for _ in range(4)] == [3.0] * 4


# ---- reuse_outputs ----


def test_reused_outputs_are_written_over() -> None:
    f = ad.compile(lambda x: x * 2, reuse_outputs=True)
    ys = [f(ad.full((3,), float(i))) for i in range(6)]
    assert len({y.data_ptr() for y in ys[1:]}) == 1
    assert ys[1].tolist() == ys[-1].tolist() == [10.0] * 3
    plain = ad.compile(lambda x: x * 2)
    ys = [plain(ad.full((3,), float(i))) for i in range(6)]
    assert [y[0].item() for y in ys] == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]


def test_a_reused_output_may_be_the_next_argument() -> None:
    f = ad.compile(lambda x, y: (x.flip(0) + y, x - y), reuse_outputs=True)
    x, y = ad.arange(4.0), ad.ones(4)
    want = [(x, y)]
    got = [(x, y)]
    for _ in range(6):
        want.append(f.fn(*want[-1]))
        got.append(f(*got[-1]))
        assert bits(list(want[-1])) == bits(list(got[-1]))


def test_backward_tells_that_an_output_was_written_over() -> None:
    w = ad.ones(3, requires_grad=True)
    f = ad.compile(lambda x: (x * w).exp(), reuse_outputs=True)
    x = ad.ones(3)
    for _ in range(3):
        f(x).sum().backward()
    assert w.grad is not None
    first = f(x).sum()
    f(x)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        first.backward()


def test_gradients_are_not_reused() -> None:
    w = nn.Parameter(ad.ones(2))

    @ad.compile(reuse_outputs=True)
    def step(x: ad.Tensor) -> ad.Tensor:
        w.grad = None
        loss = (w * x).sum()
        loss.backward()
        return loss

    grads = []
    for i in range(5):
        step(ad.full((2,), float(i)))
        grads.append(w.grad)
    assert [g[0].item() for g in grads if g is not None] == [0.0, 1.0, 2.0, 3.0, 4.0]


# ---- fusing ----


def test_pointwise_calls_are_fused_across_others() -> None:
    def apart(x: ad.Tensor, y: ad.Tensor) -> Any:
        a = x * 2.0
        total = y.sum()  # neither reads what the other makes
        y.add_(1.0)
        b = a.tanh()
        c = y * b  # has to wait for y
        return total, c

    compiled = ad.compile(apart)
    for i in range(4):
        x = ad.full((3, 2), i / 4)
        y, z = ad.ones(3, 2), ad.ones(3, 2)
        assert bits(compiled(x, y)) == bits(apart(x, z))
        assert bits(y) == bits(z)
    stats = compiled.stats()
    assert (stats.recorded_calls, stats.calls, stats.fused_calls) == (5, 4, 1)


# ---- memory ----


def in_use() -> int:
    counts = ffi.new("int64_t[4]")
    lib.ad_memory_stats(counts)
    return int(counts[0])


def test_a_replay_takes_over_the_memory_of_the_recorded_call() -> None:
    w = nn.Parameter(ad.ones(100_000))

    @ad.compile
    def step(x: ad.Tensor) -> ad.Tensor:
        w.grad = None
        loss = (w * x).sum()
        loss.backward()
        return loss

    step(ad.ones(100_000))
    recorded = in_use()
    for i in range(3):
        step(ad.full((100_000,), float(i)))
        assert in_use() <= recorded + 1000
        assert w.grad is not None
        assert w.grad[0].item() == i
    assert step.stats().runs == 3
    held = w.grad
    step(ad.ones(100_000))
    assert w.grad is not None
    assert (held[0].item(), w.grad[0].item()) == (2.0, 1.0)


# ---- autodiff.compiler ----


def test_what_is_disabled_runs_at_every_call() -> None:
    calls = []

    @ad.compiler.disable(reason="it counts")
    def count(x: ad.Tensor) -> ad.Tensor:
        calls.append(1)
        return x + 1

    step = ad.compile(lambda x: count(2 * x))
    with pytest.warns(UserWarning, match=r"it calls count, which compiler\.disable keeps eager"):
        assert step(ad.ones(2)).tolist() == [3, 3]
    assert step(ad.zeros(2)).tolist() == [1, 1]
    assert len(calls) == 2
    with pytest.raises(RuntimeError, match=r"compiler\.disable"):
        ad.compile(lambda x: count(x), fullgraph=True)(ad.ones(2))


def test_reset_forgets_the_recordings_of_all() -> None:
    steps = [ad.compile(lambda x, k=k: k * x) for k in (2, 3)]
    for step in steps:
        for _ in range(2):
            step(ad.ones(1))
    assert all(step.stats().recordings == 1 for step in steps)
    ad.compiler.reset()
    assert all(step.stats().recordings == 0 for step in steps)
    assert [step(ad.ones(1)).item() for step in steps] == [2, 3]


def test_functions_know_whether_they_are_recorded() -> None:
    seen = []

    def note(x: ad.Tensor) -> ad.Tensor:
        seen.append(ad.compiler.is_compiling())
        return x + 1

    note(ad.ones(1))
    step = ad.compile(note)
    for _ in range(2):
        step(ad.ones(1))
    assert seen == [False, True, True]  # as a run adds what the recorded call did


def test_options_of_other_compilers() -> None:
    def double(x: ad.Tensor) -> ad.Tensor:
        return x * 2

    options: dict[str, Any] = {"mode": "reduce-overhead", "backend": "inductor", "dynamic": True}
    f = ad.compile(double, options={"trace": True}, **options)
    assert [f(ad.ones(2)).tolist() for _ in range(3)] == [[2.0, 2.0]] * 3
    assert f.stats().recordings == 1
    assert ad.compile(double, disable=True) is double
    assert ad.compile(disable=True)(double) is double
    with pytest.raises(RuntimeError, match="Unrecognized mode=fast, should be one of: default, "):
        ad.compile(double, mode="fast")
    with pytest.raises(TypeError, match="there is one backend"):
        ad.compile(double, backend=print)


def test_a_live_number_that_the_dtype_does_not_hold_is_refused_as_eager_refuses_it() -> None:
    compiled = ad.compile(lambda x, t: ad.clamp(x, max=t), live=["t"])
    x = ad.tensor([1, 100], dtype=ad.int8)
    for t in (3, 50, 100, 7):
        assert compiled(x, t).tolist() == [min(1, t), min(100, t)]
    for _ in range(3):
        with pytest.raises(RuntimeError, match="without overflow"):
            compiled(x, 300)
        assert compiled(x, 2).tolist() == [1, 2]
