"""Looks at values that a recording follows: of an argument, or of what is made of numbers alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from twins import bits

import autodiff as ad
from autodiff import nn

N = 5


def causal(n: int = N) -> ad.Tensor:
    return nn.Transformer.generate_square_subsequent_mask(n)


def open_mask(n: int = N) -> ad.Tensor:
    return causal(n).index_fill(1, ad.tensor([0]), 0.0)


def banded(n: int = N) -> ad.Tensor:
    return causal(n).masked_fill(ad.ones(n, n).tril(-2) > 0, -ad.inf)


def net() -> nn.Module:
    ad.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 1, 8, 0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 1)


@pytest.fixture(autouse=True)
def _nothing_stays_eager() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("check", [False, True])
def test_a_mask_that_is_an_argument_is_looked_at_before_each_run(check: bool) -> None:
    model = net()
    step = ad.compile(lambda x, mask: model(x, mask=mask), check=check)
    x = ad.randn(2, N, 4)
    masks = [causal(), causal(), banded(), causal(), banded(), open_mask(), banded()]
    for mask in masks:
        assert bits(step(x, mask)) == bits(model(x, mask=mask))
    mask = masks[0]
    for _ in range(2):
        assert bits(step(x, mask)) == bits(model(x, mask=mask))
        mask[0, 1] = 0.0  # the same tensor, which is causal no more
    assert bits(step(x, mask)) == bits(model(x, mask=mask))
    assert step.stats().recordings == 2
    assert step.stats().runs >= 8


@pytest.mark.parametrize("arg", [lambda n: causal(n), lambda n: causal(n + 2)[1:, 1:].t().t()])
def test_a_part_of_an_argument_is_looked_at_before_each_run(arg: Callable[[int], Any]) -> None:
    model = net()
    step = ad.compile(lambda x, mask: model(x, mask=mask[: x.shape[1], 1 : x.shape[1] + 1].t().t()))
    for i in range(8):
        x, mask = ad.randn(2, N, 4), arg(N + 3)
        mask[:, 1:] = mask[:, :-1].clone()
        if i in (3, 4, 6):
            mask[i % 3, 3 + i % 2] = float(i)
        assert bits(step(x, mask)) == bits(step.fn(x, mask))
    assert step.stats().recordings == 2
    assert step.stats().runs == 6


def test_a_mask_that_the_call_writes_is_not_the_argument() -> None:
    model = net()

    def fn(x: ad.Tensor, mask: ad.Tensor) -> ad.Tensor:
        mask.masked_fill_(x[0, :, :1] > 0, 0.0)
        return model(x, mask=mask)

    step = ad.compile(fn)
    with pytest.warns(UserWarning, match="looks at a value"):
        step(ad.randn(2, N, 4), causal())
    for _ in range(3):
        x = ad.randn(2, N, 4)
        assert bits(step(x, causal())) == bits(fn(x, causal()))


MADE: list[Callable[[], ad.Tensor]] = [
    causal,
    banded,
    lambda: ad.full((N, N), -ad.inf).triu(1),
    lambda: (ad.ones(N, N) - ad.ones(N, N).tril()).masked_fill_(ad.ones(N, N).triu(1) > 0, -ad.inf),
]


@pytest.mark.parametrize("make", MADE)
def test_a_mask_made_of_numbers_in_the_call(make: Callable[[], ad.Tensor]) -> None:
    model = net()
    step = ad.compile(lambda x: model(x, mask=make()))
    for _ in range(4):
        x = ad.randn(2, N, 4)
        assert bits(step(x)) == bits(step.fn(x))
    assert step.stats().runs == 3


MASKS: list[Callable[[ad.Tensor], ad.Tensor]] = [
    lambda x: causal() + 0 * x[0, 0, 0],
    lambda x: causal() * ad.rand(1),
    lambda x: causal().copy_(x[0, :, :1].expand(N, N)),
]


@pytest.mark.parametrize("make", MASKS)
def test_a_mask_made_of_arguments_or_drawn_is_not(make: Callable[[ad.Tensor], ad.Tensor]) -> None:
    model = net()
    step = ad.compile(lambda x: model(x, mask=make(x)))
    with pytest.warns(UserWarning, match="looks at a value"):
        step(ad.randn(2, N, 4))
    for i in range(3):
        x = ad.randn(2, N, 4)
        ad.manual_seed(i)
        found = bits(step(x))
        ad.manual_seed(i)
        assert found == bits(step.fn(x))


def test_a_loop_looks_each_time() -> None:
    model = net()

    def fn(x: ad.Tensor, mask: ad.Tensor) -> ad.Tensor:
        y = model(x, mask=mask).detach()
        mask[0, 1] = 0.0
        return y

    x, mask, other = ad.randn(2, N, 4), causal(), causal()
    found = ad.compile(fn).repeat(5, x, mask)
    assert bits(found) == bits(ad.stack([fn(x, other) for _ in range(5)]))


class Begins(nn.Module):
    """Takes its scale from the first batch, as a buffer remembers."""

    begun: ad.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(ad.ones(3))
        self.register_buffer("begun", ad.tensor(False))

    def forward(self, x: ad.Tensor) -> ad.Tensor:
        if not self.begun:
            with ad.no_grad():
                self.scale.copy_(1 / x.std(0))
                self.begun.fill_(True)
        return x * self.scale


@pytest.mark.parametrize("check", [False, True])
def test_a_flag_that_was_there_before(check: bool) -> None:
    plain, fast = Begins(), Begins()
    compiled = ad.compile(fast, fullgraph=True, check=check)
    ad.manual_seed(0)
    for i in range(12):
        if i == 8:
            plain.begun.fill_(False)
            fast.begun.fill_(False)
        x = ad.rand(4, 3)
        assert bits(compiled(x)) == bits(plain(x))
        assert bits(fast.scale) == bits(plain.scale)
    assert compiled.stats().recordings <= 2
    assert compiled.stats().runs >= 7


def test_a_flag_that_is_an_argument() -> None:
    step = ad.compile(lambda x, flag: x + 1 if flag else x - 1, fullgraph=True)
    flag = ad.tensor(True)
    for i in range(8):
        if i == 6:
            flag.logical_not_()
        given = flag if i % 2 else ad.tensor([i % 4 == 0])
        assert step(ad.zeros(2), given).tolist() == [1.0 if given else -1.0] * 2
    assert step.stats().runs >= 4


def test_a_flag_that_the_call_makes_is_not_followed() -> None:
    step = ad.compile(lambda x: x + 1 if (x > 0).any() else x - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in range(8):
            sign = 1.0 if i % 3 else -1.0
            assert step(ad.full((2,), sign)).tolist() == [2 * sign] * 2
    assert "looks at a value" in step.stats().eager[0]
    strict = ad.compile(lambda x: x + 1 if (x > 0).any() else x - 1, fullgraph=True)
    with pytest.raises(RuntimeError, match="looks at a value"):
        strict(ad.ones(2))
