"""`_foreach_*`: each as the method called for each tensor, and as PyTorch names what is wrong."""

from __future__ import annotations

import operator
from typing import Any

import pytest

import autodiff as ad
from autodiff import foreach

NAMES = sorted(name for name in vars(foreach) if name.startswith("_foreach_"))
MORE = {"lerp": 2, "addcmul": 2, "addcdiv": 2, "copy": 1}
BINARY = ["add", "sub", "mul", "div", "pow", "clamp_min", "clamp_max", "maximum", "minimum"]
MORE |= dict.fromkeys(BINARY, 1)


def some() -> list[ad.Tensor]:
    return [ad.tensor([0.25, 0.5]), ad.tensor([[0.75]])]


def bare(name: str) -> str:
    return name.removeprefix("_foreach_").rstrip("_")


@pytest.mark.parametrize("name", NAMES)
def test_as_the_method_of_each(name: str) -> None:
    given = [some() for _ in range(MORE.get(bare(name), 0))]
    xs = some()
    found = getattr(ad, name)(xs, *given)
    in_place = name.endswith("_")
    assert (found is xs) if in_place else isinstance(found, tuple)
    call: Any = (
        ad.linalg.vector_norm
        if bare(name) == "norm"
        else getattr(ad.Tensor, bare(name) + "_" * in_place)
    )
    for y, x, *row in zip(found, some(), *given, strict=True):
        assert y.tolist() == call(x, *row).tolist()


@pytest.mark.parametrize("name", [f"_foreach_{name}{end}" for name in BINARY for end in ("", "_")])
def test_one_for_all_or_one_for_each(name: str) -> None:
    call = getattr(ad, name)
    each = [y.tolist() for y in call(some(), [0.5, 0.5])]
    assert [y.tolist() for y in call(some(), 0.5)] == each
    assert [y.tolist() for y in call(some(), [ad.tensor(0.5)] * 2)] == each


def test_what_scales() -> None:
    xs, ys = some(), some()
    for name in ("addcmul", "addcdiv"):
        call = getattr(ad, f"_foreach_{name}")
        wanted = [getattr(x, name)(y, y, value=2).tolist() for x, y in zip(xs, ys, strict=True)]
        for found in (call(xs, ys, ys, 2), call(xs, ys, ys, value=2), call(xs, ys, ys, [2, 2])):
            assert [y.tolist() for y in found] == wanted
    assert ad._foreach_add(xs, ys, alpha=3)[1].item() == 3.0
    assert ad._foreach_lerp(xs, ys, weight=0.5)[1].item() == 0.75
    assert ad._foreach_norm(xs, float("inf"))[0].item() == 0.5
    assert [y.tolist() for y in ad._foreach_pow(4.0, xs)] == [(4.0**x).tolist() for x in xs]


def test_gradients_go_through() -> None:
    xs = [x.requires_grad_() for x in some()]
    sum(y.sum() for y in ad._foreach_mul(xs, xs)).backward()
    assert all(map(operator.eq, *([(2 * x).tolist() for x in xs], [x.grad.tolist() for x in xs])))


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (
            lambda x: ad._foreach_add(x, x[:1]),
            RuntimeError,
            "must have the same number .* got 2 and 1",
        ),
        (
            lambda x: ad._foreach_add(x, [1.0]),
            RuntimeError,
            "same number of elements as scalar list",
        ),
        (lambda x: ad._foreach_sqrt([]), RuntimeError, "must have at least one tensor"),
        (lambda x: ad._foreach_add(x[0], 1), TypeError, "a list of tensors, but got one Tensor"),
        (lambda x: ad._foreach_add([1], 1), TypeError, "expected Tensors, but got int"),
        (lambda x: ad._foreach_nothing(x), AttributeError, "_foreach_nothing"),
    ],
)
def test_wrong_calls(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call(some())
