"""gradcheck finds every kind of wrong gradient, and says where."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import autodiff as ad
from autodiff.gradcheck import GradcheckError
from autodiff.native import lib
from autodiff.ops import base
from autodiff.ops.declare import FUNCTIONS
from autodiff.tensor import wrap


def leaf(*shape: int) -> ad.Tensor:
    rng = ad.Generator().manual_seed(3)
    return ad.randn(*shape, generator=rng, dtype=ad.float64).requires_grad_()


@pytest.fixture(autouse=True)
def _undeclared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "OPS", {})  # the ops of this file are not the library's


def sine(rule: Callable[..., Any]) -> base.Op:
    """The sine, with this rule for its gradient."""
    run = FUNCTIONS["sin"].op
    return base.Op("sine", lambda p: lib.ad_alias(run.call(wrap(p))._p), rule, saves=(0,))


def right(x: ad.Tensor, y: ad.Tensor) -> tuple[ad.Tensor, ad.Tensor]:
    return (x * y).tanh().sum(0), x.exp() @ y.t()


def test_right_gradients_pass() -> None:
    x, y = leaf(2, 3), leaf(3)
    y = y.detach().expand(2, 3).requires_grad_()
    assert ad.gradcheck(right, (x, y))
    assert ad.gradgradcheck(right, (x, y))
    assert ad.autograd.gradcheck is ad.gradcheck
    assert ad.gradgradcheck(lambda x: x.exp(), leaf(2), ad.ones(2, dtype=ad.float64))


def test_inputs_are_as_they_were_and_the_generator_too() -> None:
    x = leaf(2, 3)
    before, state = x.tolist(), ad.get_rng_state().tolist()
    ad.gradgradcheck(lambda x: x.sin(), x)
    assert x.tolist() == before
    assert x.grad is None
    assert ad.get_rng_state().tolist() == state


def test_other_arguments_are_passed_on() -> None:
    x, mask = leaf(3), ad.tensor([True, False, True])
    single = ad.ones(3)

    def function(x: ad.Tensor, mask: ad.Tensor, n: int, s: ad.Tensor, name: str) -> ad.Tensor:
        assert name == "name"
        return x[mask] ** n + s.sum()

    assert ad.gradcheck(function, (x, mask, 3, single, "name"))


def test_functions_that_use_their_inputs_from_outside() -> None:
    w = leaf(3)
    assert ad.gradcheck(lambda _: (w * w).sum(), w)


def test_empty_and_zero_dimensional() -> None:
    assert ad.gradcheck(lambda x: x.exp(), leaf(0, 3))
    assert ad.gradcheck(lambda x: x.exp(), leaf())
    assert ad.gradcheck(lambda x: x.sum(), leaf(0))


def wrong(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
    """x * y, whose gradient by y misses element [1, 2]."""
    hidden = ad.ones(2, 3, dtype=ad.float64)
    hidden[1, 2] = 0
    return x * (y * hidden + (y * (1 - hidden)).detach())


def test_the_error_says_where_and_what() -> None:
    x, y = leaf(2, 3), leaf(2, 3)
    expected = x[1, 2].item()
    with pytest.raises(GradcheckError) as raised:
        ad.gradcheck(lambda x, y: (x * 2, wrong(x, y)), (x, y))
    assert isinstance(raised.value, RuntimeError)
    first, numerical, analytical, *slopes = str(raised.value).split("\n")
    assert first == (
        "Jacobian mismatch for output 1 with respect to input 1: d output[1, 2] / d input[1, 2]"
    )
    assert numerical.startswith("numerical (expected): ")
    assert float(numerical.split()[-1]) == pytest.approx(expected)
    assert float(analytical.removeprefix("analytical (got): ")) == 0
    for side, line in zip(("left", "right"), slopes, strict=True):
        assert float(line.removeprefix(f"slope from the {side}: ")) == pytest.approx(expected)


def test_without_raise_exception_the_answer_is_false() -> None:
    assert not ad.gradcheck(wrong, (leaf(2, 3), leaf(2, 3)), raise_exception=False)
    assert not ad.gradgradcheck(wrong, (leaf(2, 3), leaf(2, 3)), raise_exception=False)


def test_only_the_second_derivative_is_wrong() -> None:
    wrong_at_second = sine(lambda node, g, x: (g * x.detach().cos(),))
    assert ad.gradcheck(wrong_at_second, leaf(3))
    with pytest.raises(GradcheckError, match="Jacobian mismatch for output 0 with respect to"):
        ad.gradgradcheck(wrong_at_second, leaf(3))


def test_gradients_of_another_shape_or_dtype() -> None:
    with pytest.raises(GradcheckError, match=r"is torch\.float64 \[1\], and the input is .* \[3\]"):
        ad.gradcheck(sine(lambda node, g, x: (g.sum(0, keepdim=True),)), leaf(3))
    with pytest.raises(GradcheckError, match=r"is torch\.float32 \[3\], and the input"):
        ad.gradcheck(sine(lambda node, g, x: ((g * x.cos()).float(),)), leaf(3))


def test_functions_that_write_to_their_input() -> None:
    def function(x: ad.Tensor) -> ad.Tensor:
        y = x.sum()
        x.detach().add_(1)
        return y

    with pytest.raises(GradcheckError, match="input 0 was changed"):
        ad.gradcheck(function, leaf(3))


def test_outputs_cut_from_the_graph_must_be_constant() -> None:
    assert ad.gradcheck(lambda x: x.floor().detach(), leaf(3))
    with pytest.raises(GradcheckError):
        ad.gradcheck(lambda x: x.detach() * 2, leaf(3))


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        ad.gradcheck(lambda x: x, ad.ones(3))
    for name in ("check_forward_ad", "check_batched_grad", "masked"):
        with pytest.raises(NotImplementedError, match=f"{name}=True is not supported"):
            ad.gradcheck(lambda x: x, leaf(3), **{name: True})
    with pytest.raises(AssertionError, match="leaves nothing to check"):
        ad.gradcheck(lambda x: x, leaf(3), check_backward_ad=False)
    with pytest.raises(TypeError, match="output 0 is a float"):
        ad.gradcheck(lambda x: x.sum().item(), leaf(3))


def test_importing_the_library_does_not_import_hypothesis() -> None:
    code = "import sys, autodiff; sys.exit('hypothesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
