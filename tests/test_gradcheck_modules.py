"""gradcheck of modules and of float32 inputs: in float64 copies, the user's left as they were."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import autodiff as ad
from autodiff import nn
from autodiff.gradcheck import GradcheckError


class Scale(nn.Module):
    """Scales by a running maximum, and by a weight whose gradient may miss an element."""

    def __init__(self, wrong: bool = False) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 2)
        self.frozen = nn.Parameter(ad.ones(2), requires_grad=False)
        self.register_buffer("seen", ad.ones(()))
        self.wrong = wrong

    def forward(self, x: ad.Tensor) -> ad.Tensor:
        self.seen: ad.Tensor = self.seen * 1.5
        w = self.inner.weight
        if self.wrong:
            keep = ad.ones(2, 3, dtype=w.dtype)
            keep[1, 2] = 0
            w = w * keep + (w * (1 - keep)).detach()
        return (x @ w.t() + self.inner.bias) * self.seen * self.frozen


def test_a_module_is_checked_and_left_as_it_was() -> None:
    ad.manual_seed(0)
    module = Scale()
    module.inner.weight.grad = ad.ones(2, 3)
    before = {k: v.tolist() for k, v in module.state_dict().items()}
    state, x = ad.get_rng_state().tolist(), ad.randn(4, 3, generator=ad.Generator())
    assert ad.gradcheck(module, x)
    assert ad.gradgradcheck(module, x)
    assert {k: v.tolist() for k, v in module.state_dict().items()} == before
    assert module.inner.weight.dtype is ad.float32
    assert module.inner.weight.grad.tolist() == ad.ones(2, 3).tolist()
    assert ad.get_rng_state().tolist() == state
    assert module.training


def test_the_error_names_the_parameter() -> None:
    for check in (ad.gradcheck, ad.gradgradcheck):
        with pytest.raises(GradcheckError, match=r"parameter 'inner\.weight'") as raised:
            check(Scale(wrong=True), ad.ones(1, 3, requires_grad=True))
        assert "analytical (got)" in str(raised.value)
    assert "Jacobian mismatch" in str(raised.value)
    with pytest.raises(GradcheckError, match=r"output\[0, 1\] / d parameter\[1, 2\]"):
        ad.gradcheck(Scale(wrong=True), ad.ones(1, 3))


def test_frozen_parameters_are_not_checked_and_shared_ones_once() -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(2, 2)
            self.b = self.a
            self.a.bias.requires_grad_(False)

        def forward(self, x: ad.Tensor) -> ad.Tensor:
            return self.b(self.a(x) + self.a.bias.detach() * 3)

    assert ad.gradcheck(Frozen(), ad.ones(1, 2))
    with pytest.raises(ValueError, match="at least one input tensor"):
        ad.gradcheck(nn.Linear(2, 2).requires_grad_(False), ad.ones(1, 2))


def test_dropout_draws_the_same_mask_each_time() -> None:
    ad.manual_seed(1)
    module = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Tanh())
    assert ad.gradcheck(module, ad.ones(2, 3))
    assert ad.gradgradcheck(module, ad.ones(2, 3))
    state = ad.get_rng_state().tolist()
    ad.gradcheck(lambda x: nn.functional.dropout(x), ad.ones(9, requires_grad=True))
    assert ad.get_rng_state().tolist() == state


def test_what_is_not_deterministic_is_said() -> None:
    count = itertools.count(1)
    x = ad.ones(3, dtype=ad.float64, requires_grad=True)
    with pytest.raises(GradcheckError, match=r"not deterministic: output 0 differs .* eval\(\)"):
        ad.gradcheck(lambda x: x * next(count), x)
    turns = itertools.cycle([1.0, 2.0])

    def other_gradient(x: ad.Tensor) -> ad.Tensor:
        return (x - x.detach()) * next(turns)

    with pytest.raises(GradcheckError, match="the gradient of output 0 differs"):
        ad.gradcheck(other_gradient, x)
    noise = itertools.cycle([0.0, 1e-13])
    assert ad.gradcheck(lambda x: x + next(noise), x, nondet_tol=1e-12)


def test_float32_inputs_are_promoted() -> None:
    x = ad.tensor([0.3, -1.2], requires_grad=True)
    seen: list[Any] = []

    def function(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        seen.append((x.dtype, y.dtype))
        return (x * y).sin()

    assert ad.gradcheck(function, (x, ad.ones(2)))
    assert ad.gradgradcheck(function, (x, ad.ones(2)))
    assert set(seen) == {(ad.float64, ad.float64)}
    assert x.grad is None


def test_float32_tensors_from_outside() -> None:
    x = ad.ones(2, 3, requires_grad=True)
    layer = nn.Linear(3, 2)
    with pytest.raises(RuntimeError, match=r"in float64 \(inputs converted: 0\)[\s\S]*pass a mod"):
        ad.gradcheck(lambda x: layer(x), x)
    with pytest.raises(ValueError, match="uses input 0 from outside"):
        ad.gradcheck(lambda _: (x * x).sum(), x)


def test_cotangents_that_are_not_contiguous() -> None:
    strides = []

    class Watch(ad.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: ad.Tensor) -> ad.Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: ad.Tensor) -> ad.Tensor:
            strides.append(g.stride())
            return g * 2

    x = ad.ones(3, dtype=ad.float64, requires_grad=True)
    assert ad.gradgradcheck(Watch.apply, x, gen_non_contig_grad_outputs=True)
    assert (2,) in strides


def test_only_one_precision_is_fine_enough() -> None:
    with pytest.raises(GradcheckError, match=r"output 0 is torch\.float32, too coarse"):
        ad.gradcheck(lambda x: x.float().exp(), ad.tensor([1.3], requires_grad=True))
