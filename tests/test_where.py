"""Errors raised in a model name the module, the shapes and the remedy; nothing else changes."""

from __future__ import annotations

import contextlib
import gc
import weakref
from typing import Any

import pytest

import autodiff as ad
from autodiff import nn


class Block(nn.Module):
    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.head = nn.Linear(4, 2)

    def forward(self, x: ad.Tensor) -> ad.Tensor:
        for part in self.parts:
            x = part(x)
        return self.head(x)


def text_of(f: Any, kind: type[Exception] = RuntimeError) -> str:
    with pytest.raises(kind) as caught:
        f()
    assert type(caught.value) is kind
    assert len(caught.value.args) == 1
    return str(caught.value)


def test_a_shape_that_does_not_fit() -> None:
    net = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(60, 10))
    text = text_of(lambda: net(ad.ones(3, 32)))
    assert text.startswith("mat1 and mat2 shapes cannot be multiplied")
    assert "in net.2 (Linear 60->10): input [3, 64], weight [10, 60], bias [10]." in text
    assert text.endswith(
        "The last size must be 60: give it such inputs, or make it Linear(64, ...)."
    )
    for x, remedy in (
        (ad.ones(32, 3), r"x.transpose(0, -1)"),
        (ad.ones(3, 4, 8), "x.flatten(1)"),
        (ad.ones(3, 32).double(), "x.to(torch.float32), or the module, module.to(torch.float64)"),
        (ad.ones(3, 32).int(), "x.to(torch.float32)."),
    ):
        text = text_of(lambda x=x: net(x))
        assert "net.0 (Linear 32->64)" in text
        assert remedy in text


def test_paths_through_modules_of_modules() -> None:
    model = Block(nn.Linear(3, 4), Block(nn.LayerNorm(5)))
    text = text_of(lambda: model(ad.ones(2, 3)))
    assert "in model.parts.1.parts.0 (LayerNorm (5,)): input [2, 4]" in text
    assert "The last sizes of the input must be [5]" in text
    model.parts[1].register_forward_pre_hook(lambda *given: None)
    assert "in model.parts.1.parts.0" in text_of(lambda: model(ad.ones(2, 3)))


def test_what_the_first_module_is_called() -> None:
    class Trainer:
        def __init__(self) -> None:
            self.net = nn.Linear(3, 4)

        def run(self) -> Any:
            return self.net(ad.ones(2))

    assert "in self.net (Linear 3->4)" in text_of(Trainer().run)
    assert "in Linear (Linear 3->4)" in text_of(lambda: nn.Linear(3, 4)(ad.ones(2)))


def test_operations_in_a_user_s_forward() -> None:
    class Add(nn.Module):
        def forward(self, x: ad.Tensor) -> ad.Tensor:
            return x + ad.ones(5)

    net = nn.Sequential(Add())
    text = text_of(lambda: net(ad.ones(3)))
    assert "in net.0 (Add): input [3]" in text
    assert "unsqueeze() inserts a 1" in text


@pytest.mark.parametrize(
    "error", [ValueError("mine"), KeyError("mine"), RuntimeError("a", "b"), RuntimeError()]
)
def test_errors_of_user_code_are_left_alone(error: Exception) -> None:
    class Bad(nn.Module):
        def forward(self, x: ad.Tensor) -> ad.Tensor:
            raise error

    before = error.args
    with pytest.raises(type(error)) as caught:
        nn.Sequential(Bad())(ad.ones(3))
    assert caught.value is error
    assert error.args == before
    assert not hasattr(error, "_note")


def test_a_subclass_of_a_kind_of_error_is_left_alone() -> None:
    layer = nn.Linear(2, 2)
    with ad.detect_nonfinite(), pytest.raises(ad.NonFiniteError) as caught:
        layer(ad.full((1, 2), 3e38) * 10)
    assert "in layer (" not in str(caught.value)


def test_an_error_that_is_caught_and_passed_on_says_it_once() -> None:
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 4)

        def forward(self, x: ad.Tensor) -> ad.Tensor:
            try:
                return self.inner(x)
            except RuntimeError:
                return x * 2

    careful = Careful()
    assert careful(ad.ones(2)).tolist() == [2.0, 2.0]
    net = nn.Sequential(nn.Sequential(nn.Linear(3, 4)))
    assert text_of(lambda: net(ad.ones(2))).count("\n  in ") == 1


def test_errors_hold_no_model_for_longer_than_they_live() -> None:
    def failing() -> weakref.ref[nn.Module]:
        net = nn.Sequential(nn.Linear(3, 4))
        with contextlib.suppress(RuntimeError):
            net(ad.ones(2))
        return weakref.ref(net)

    gone = failing()
    gc.collect()
    assert gone() is None
