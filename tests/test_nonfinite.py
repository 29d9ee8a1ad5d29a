"""detect_nonfinite stops where the first nan or infinity is made, and nowhere else."""

from __future__ import annotations

import gc
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autodiff as ad
from autodiff import nn
from autodiff.nn.functional import softmax
from autodiff.testing.cases import CASES, Case
from autodiff.testing.draw import Random

INF = math.inf


def made_by(f: Callable[[], Any]) -> Any:
    with pytest.raises(ad.NonFiniteError) as caught, ad.detect_nonfinite():
        f()
    return caught.value


def values(*numbers: float) -> ad.Tensor:
    return ad.tensor(numbers)


@pytest.mark.parametrize(
    ("f", "operation", "index", "value"),
    [
        (lambda: values(1, 0, 0).log(), "log", (1,), -INF),
        (lambda: ad.tensor([[1.0], [-1.0]]).sqrt(), "sqrt", (1, 0), math.nan),
        (lambda: values(3e38).add_(values(3e38)), "add", (0,), INF),
        (lambda: ad.ones(2, 2).t()[1].div_(0), "div", (0,), INF),
        (lambda: ad.ones(2, 2, dtype=ad.float64).mul(1e200).float(), "to_float32", (0, 0), INF),
        (lambda: ad.full((2, 3), 3e38).sum(1), "sum_dim", (0,), INF),
        (lambda: ad.full((3, 4), 1e30) @ ad.full((4, 2), 1e30), "matmul", (0, 0), INF),
        (lambda: ad.full((4,), 2e38).cumsum(0), "cumsum", (1,), INF),
        (lambda: ad.ones(3).index_add(0, ad.tensor([2]), values(3e38)).mul(2), "mul", (2,), INF),
        (lambda: ad.tensor(4) / ad.tensor([2, 0]), "div", (1,), INF),
    ],
)  # fmt: skip
def test_the_first_is_found(f: Any, operation: str, index: Any, value: float) -> None:
    error = made_by(f)
    assert (error.operation, error.index) == (operation, index)
    assert error.value == value or (math.isnan(error.value) and math.isnan(value))
    assert not error.backward
    assert "test_nonfinite.py" in error.line
    with ad.no_grad():
        assert made_by(f).operation == operation
    f()  # and is no error otherwise


def test_operands_at_the_place_are_told() -> None:
    error = made_by(lambda: ad.tensor([[1.0, 2.0], [3.0, 4.0]]) / values(5, 0))
    assert error.index == (0, 1)
    assert error.operands == [2.0, 0.0]
    assert "where its operands are 2, 0" in str(error)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: softmax(x.masked_fill(x > 1, -INF), 0),
        lambda x: (x * INF).exp() + math.nan,
        lambda x: ad.full((3,), math.nan).sort(),
        lambda x: ad.cat([x, values(INF)]).sum().sqrt(),
        lambda x: values(1, math.nan).add_(1).mul_(x[:2]).sum(),
        lambda x: x.clone().copy_(values(1, INF, 2)),
        lambda x: ad.empty(100).fill_(INF).neg(),
        lambda x: (x.float(), x.long(), x > 0, x.argmax(), x.abs().log1p()),
        lambda x: x.new_full((2,), INF).clamp(max=1),
    ],
)
def test_what_was_there_before_is_no_error(f: Any) -> None:
    with ad.detect_nonfinite():
        f(values(0.5, 1, 2))


class Root(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Linear(2, 2, bias=False)
        with ad.no_grad():
            self.scale.weight.copy_(ad.tensor([[1.0, 0.0], [0.0, 0.0]]))

    def forward(self, x: ad.Tensor) -> ad.Tensor:
        return self.scale(x).sqrt()  # the line that is named


def line_of(text: str) -> str:
    number = int(text.split(":")[1].split(",")[0])
    return Path(__file__).read_text().splitlines()[number - 1]


def test_modules_and_lines_are_named() -> None:
    net = nn.Sequential(nn.Identity(), Root())
    x = ad.tensor([[4.0, 1.0]], requires_grad=True)
    error = made_by(lambda: net(-x))
    assert error.operation == "sqrt"
    assert error.module == "net.1 (Root)"
    assert "that is named" in line_of(error.line)
    error = made_by(lambda: net(x).sum().backward())
    assert error.backward
    assert error.operation == "SqrtBackward0"
    assert error.module == "net.1 (Root)"
    assert "that is named" in line_of(error.line)
    with ad.no_grad():
        net[1].scale.weight.fill_(3e38)
    error = made_by(lambda: net(x))
    assert error.operation == "linear"
    assert error.module == "net.1.scale (Linear 2->2)"
    net.register_forward_hook(lambda *given: None)
    assert made_by(lambda: net(x)).module == "net.1.scale (Linear 2->2)"


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adagrad"])
def test_steps_of_optimizers(name: str) -> None:
    fine, p = (ad.tensor([3.4e38], requires_grad=True) for _ in range(2))
    how = {"momentum": 0.9} if name == "SGD" else {}
    optimizer = getattr(ad.optim, name)([fine, p], lr=1e36, **how)
    fine.grad, p.grad = ad.zeros(1), values(-1.0)
    error = made_by(optimizer.step)
    assert error.operation == f"{name}.step"
    assert error.written == 1
    assert error.index == (0,)


def test_gradients_of_gradients_and_sums_of_cotangents() -> None:
    x = values(1e-30).requires_grad_()
    assert made_by(lambda: ad.autograd.grad((x.sqrt() * 3e38 * 3).sum(), x)).backward
    (g,) = ad.autograd.grad(x.sqrt().sum(), x, create_graph=True)
    error = made_by(lambda: g.backward())
    assert error.backward
    y = values(1.0).requires_grad_()
    assert made_by(lambda: (y * 3e38 + y * 3e38).sum()).operation == "add"
    z = y * 1
    assert made_by(lambda: (z * 3e38).backward(values(2.0))).backward


def test_nested_and_as_a_decorator() -> None:
    @ad.detect_nonfinite()
    def f(n: int) -> ad.Tensor:
        return f(n - 1) if n else values(0.0).log()

    with pytest.raises(ad.NonFiniteError):
        f(2)
    values(0.0).log()
    with ad.detect_nonfinite():
        with ad.detect_nonfinite():
            pass
        with pytest.raises(RuntimeError):
            values(0.0).log()


def test_it_is_about_one_thread() -> None:
    done = []
    with ad.detect_nonfinite():
        thread = threading.Thread(target=lambda: done.append(values(0.0).log().item()))
        thread.start()
        thread.join()
    assert done == [-INF]


def test_memory_of_what_failed_is_freed() -> None:
    stats = ad.native.ffi.new("int64_t[4]")
    x = ad.zeros(100, 100)
    for f in (x.log, lambda: (x + 1) / x, lambda: x.mean(0).log(), lambda: x.reciprocal_()):
        gc.collect()
        ad.native.lib.ad_memory_stats(stats)
        before = stats[0], stats[3]
        made_by(f)
        gc.collect()
        ad.native.lib.ad_memory_stats(stats)
        assert (stats[0], stats[3]) == before


@pytest.mark.parametrize("case", CASES[::2], ids=str)
def test_finite_results_stay_as_they_are(case: Case) -> None:
    xs = [x.requires_grad_(x.is_floating_point()) for x in case.operands(Random(case.name))]
    with ad.detect_nonfinite():
        y = case.call(*xs)
        if y.requires_grad:
            y.sum().backward()
    expected = case.call(*xs)
    assert y.tolist() == expected.tolist()
