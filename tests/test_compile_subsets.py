"""Backward from some of the results of a compiled call: eager's bits, whichever they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_compile_cases import LOOKS
from twins import bits

import autodiff as ad
from autodiff import nn
from autodiff.testing.cases import CASES, Case
from autodiff.testing.draw import Random
from autodiff.utils.checkpoint import checkpoint

Results = Callable[..., Sequence[ad.Tensor]]


def gradients(
    run: Results, xs: list[ad.Tensor], which: Sequence[int], leaves: list[ad.Tensor]
) -> Any:
    """What backward from some results leaves at the arguments and at leaves."""
    given = [x.detach().requires_grad_(x.is_floating_point()) for x in xs]
    for leaf in leaves:
        leaf.grad = None
    made = run(*given)
    ys = [made[i] for i in which]
    ad.autograd.backward(ys, [ad.arange(y.numel(), dtype=y.dtype).reshape(y.shape) for y in ys])
    found = [x.grad for x in [*given, *leaves]]
    return [None if g is None else (g.shape, g.dtype, bits(g.reshape(-1))) for g in found]


def three(case: Case) -> Results:
    """A function of three results, which an operation is behind."""

    def call(*xs: ad.Tensor) -> Sequence[ad.Tensor]:
        y = case.call(*xs)
        return y * 1, y.sin(), y * y

    return call


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in LOOKS], ids=str)
def test_any_operation_is_behind_some_of_three_results(case: Case) -> None:
    xs = [x.detach().clone() for x in case.operands(Random(case.name))]
    plain = three(case)
    leaves = [x.detach().requires_grad_(x.is_floating_point()) for x in xs]
    if not case.call(*leaves).requires_grad:
        return
    run = ad.compile(plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for which in ((0, 1, 2), (0, 2), (2, 1)):
            assert gradients(run, xs, which, []) == gradients(plain, xs, which, [])
            for x in xs:
                if x.is_floating_point() and x.ndim:
                    x.copy_(x.flip(list(range(x.ndim))))
    assert run.stats().runs


class Double(ad.autograd.Function):
    """Several outputs, and what is saved and kept otherwise."""

    @staticmethod
    def forward(ctx: Any, x: ad.Tensor) -> Any:
        y = x.exp()
        ctx.save_for_backward(x, y)
        ctx.kept = [x.sin()]
        return y, 2 * x

    @staticmethod
    def backward(ctx: Any, g: ad.Tensor, h: ad.Tensor) -> ad.Tensor:
        x, y = ctx.saved_tensors
        return g * y + h * ctx.kept[0] * x


def written(x: ad.Tensor) -> ad.Tensor:
    y = x * 1
    y[0] = x[-1].exp()
    return y


WIDTH = 4
PARTS: dict[str, Callable[[], Callable[[ad.Tensor], ad.Tensor]]] = {
    "linear": lambda: nn.Linear(WIDTH, WIDTH),
    "norm": lambda: nn.LayerNorm(WIDTH),
    "gelu": nn.GELU,
    "softmax": lambda: nn.Softmax(-1),
    "dropout": lambda: nn.Dropout(0.3),
    "picked": lambda: lambda x: x[ad.tensor([1, 0, 1])],
    "written": lambda: written,
    "function": lambda: lambda x: sum(Double.apply(x)),
    "one of two": lambda: lambda x: Double.apply(x)[1],
    "sorted": lambda: lambda x: x.sort(-1)[0],
    "product": lambda: lambda x: x @ x.t() @ x,
    "checkpoint": lambda: lambda x: checkpoint(lambda t: (t.exp() * 2).tanh(), x),
    "two checkpoints": lambda: (
        lambda x: checkpoint(lambda t: checkpoint(ad.sin, t.exp(), preserve_rng_state=False), x)
    ),
}


class Net(nn.Module):
    """Parts one after another, what some of them make being a result."""

    def __init__(self, parts: Sequence[str], taken: Sequence[int]) -> None:
        super().__init__()
        self.parts = [PARTS[name]() for name in parts]
        self.layers = nn.ModuleList([p for p in self.parts if isinstance(p, nn.Module)])
        self.taken = taken

    def forward(self, x: ad.Tensor, y: ad.Tensor) -> list[ad.Tensor]:
        made = [x * y]
        for part in self.parts:
            made.append(part(made[-1]) + made[len(made) // 2])
        return [made[i % len(made)] * (i + 1) for i in self.taken]


@pytest.mark.filterwarnings("ignore:.*stays eager")
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=4),
    st.lists(st.integers(0, 9), min_size=2, max_size=9),
    st.data(),
)
def test_gradients_are_those_of_eager(parts: list[str], taken: list[int], data: Any) -> None:
    ad.manual_seed(0)
    net = Net(parts, taken)
    leaves = list(net.parameters())
    run = ad.compile(net)
    subsets = st.lists(st.integers(0, len(taken) - 1), min_size=1, unique=True)
    for turn in range(5):
        which = data.draw(subsets)
        xs = [ad.randn(3, WIDTH), ad.randn(3, WIDTH)]
        found = []
        for call in (net, run):
            ad.manual_seed(turn)
            found.append(gradients(call, xs, which, leaves))
        assert found[0] == found[1], f"turn {turn}, from {which}"
        with ad.no_grad():
            for leaf in leaves:
                leaf.mul_(0.9)
    kept = len(taken) < 3 or not any("checkpoint" in part for part in parts)
    assert (run.stats().recordings == 1) == kept


def test_what_was_written_to_since_is_told() -> None:
    w = ad.ones(3, requires_grad=True)
    scale = ad.ones(3)

    @ad.compile(fullgraph=True)
    def run(x: ad.Tensor) -> Any:
        return x * w, (x * scale * w).exp(), w * 2

    for turn, which in enumerate(cycle([(0, 2), (1, 2)])):
        x = ad.ones(3)
        ys = run(x)
        gs = [ad.ones(3), ad.ones(3)]
        if turn == 4:
            x.add_(1)
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                ad.autograd.backward([ys[i] for i in which], gs)
            break
        ad.autograd.backward([ys[i] for i in which], gs)
        with pytest.raises(RuntimeError, match="a second time"):
            ad.autograd.backward([ys[i] for i in which], gs)


@pytest.mark.parametrize("part", ["checkpoint", "two checkpoints"])
def test_each_way_back_computes_checkpoints_anew(part: str) -> None:
    def heads(x: ad.Tensor) -> Any:
        y = PARTS[part]()(x * x)
        return y.sin(), y * x

    run = ad.compile(heads, fullgraph=True)
    for turn, which in enumerate([(0,), (1,), (1, 0), (0, 1)] * 2):
        ad.manual_seed(turn)
        xs = [ad.randn(3)]
        assert gradients(run, xs, which, []) == gradients(heads, xs, which, [])
    assert run.stats().runs


def test_hooks_of_leaves_see_the_gradient_once() -> None:
    w, seen = ad.ones(3, requires_grad=True), []
    w.register_hook(lambda g: seen.append(g.tolist()))
    run = ad.compile(lambda x: (x * w, x.exp() * w, w.sin()), fullgraph=True)
    for _ in range(3):
        a, b, _ = run(ad.ones(3))
        ad.autograd.backward([b, a], [ad.ones(3), ad.ones(3)])
    assert len(seen) == 3
    assert seen[0] == seen[1] == seen[2]


def test_what_is_gone_again_and_again_is_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    w = ad.ones(3, requires_grad=True)

    def heads(x: ad.Tensor) -> Any:
        print("called")
        h = (x * w).tanh()
        return h * 1, h.exp(), h.sin(), h * h

    run = ad.compile(heads, fullgraph=True)
    for _ in range(6):
        a, _, c, d = run(ad.ones(3))
        (d.sum() + a.sum() + c.sum()).backward()
    assert (capsys.readouterr().out.count("called"), run.stats().recordings) == (2, 1)


def test_a_graph_that_cannot_be_kept_is_not_recorded() -> None:
    def call(x: ad.Tensor) -> Any:
        y = checkpoint(ad.exp, x)
        return y * 1, y * 2, y * 3

    run = ad.compile(call)
    x = ad.ones(2, requires_grad=True)
    with pytest.warns(UserWarning, match="several tensors whose graph cannot be kept"):
        run(x)
    with pytest.raises(RuntimeError, match="there are hooks and checkpoints in it"):
        ad.compile(call, fullgraph=True)(x)


def test_what_is_behind_fewer_results_than_before_is_recorded() -> None:
    weight = ad.randn(3).requires_grad_()

    def fn(x: ad.Tensor, y: ad.Tensor) -> Sequence[ad.Tensor]:
        return y.tanh(), weight * x, y.exp() * weight

    run, x, y = ad.compile(fn, fullgraph=True), ad.randn(3), ad.randn(3).requires_grad_()
    for which in [(0, 1, 2), *[(2, 0, 1)] * 3, (2, 0), (2, 0), (2, 1), (2, 1)] * 2:
        want = gradients(lambda y: fn(x, y), [y], which, [weight])
        assert gradients(lambda y: run(x, y), [y], which, [weight]) == want
    weight.requires_grad_(False)
    for which in [(0, 2), (2, 0)] * 3:
        assert gradients(lambda y: run(x, y), [y], which, []) == gradients(
            lambda y: fn(x, y), [y], which, []
        )
