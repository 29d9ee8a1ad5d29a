"""Convolutions, pools and resamplings are PyTorch's: every recorded case, run again."""

from __future__ import annotations

import json
import math
import random
from typing import Any
from unittest import mock

import pytest
from golden.record_convolution import CALLS, ERRORS, GOLDEN, MODULES, error, module, results

import autodiff as ad
import autodiff.nn
from autodiff.native import NULL, lib
from autodiff.nn import functional as F
from autodiff.nn.functional import resampling, windows
from autodiff.ops.create import made_once
from autodiff.tensor import own

RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())
# Where PyTorch's text is about something else, or says less.
OUR_WORDS = {
    "F.conv2d(z(1, 4, 4, 4), z(3, 2, 1, 1), groups=0)",
    "F.conv2d(z(1, 3, 4, 4), z(2, 3, 1, 1), stride=0)",
    "F.conv2d(z(1, 3, 4, 4), z(2, 3, 1, 1), padding=-1)",
    "F.conv_transpose2d(z(1, 3, 4, 4), z(3, 4, 1, 1), z(3))",
    "nn.ConvTranspose2d(4, 4, 2)(z(1, 4, 3, 3), output_size=(9, 9))",
}


def close(got: Any, expected: Any) -> bool:
    """Nested numbers alike."""
    if isinstance(expected, list):
        return len(got) == len(expected) and all(map(close, got, expected))
    return math.isclose(got, expected, rel_tol=1e-10, abs_tol=1e-10)


@pytest.mark.parametrize("name", CALLS)
def test_same_numbers_as_pytorch(name: str) -> None:
    call, shapes = CALLS[name]
    assert close(results(ad, call(ad), shapes), RECORD["calls"][name])


@pytest.mark.parametrize("name", MODULES)
def test_same_module_as_pytorch(name: str) -> None:
    text, state, numbers = module(ad, name)
    expected = RECORD["modules"][name]
    assert text == expected[0]
    assert state == expected[1]
    assert close(numbers, expected[2])


@pytest.mark.parametrize("text", ERRORS)
def test_same_error_as_pytorch(text: str) -> None:
    kind, message = error(ad, text)
    assert kind == RECORD["errors"][text][0]
    if text not in OUR_WORDS:
        assert message == RECORD["errors"][text][1].replace("torch.Size", "")


def test_the_last_nan_of_a_window_is_the_greatest() -> None:
    x = ad.tensor([[1.0, math.nan, 2.0, math.nan, 3.0, -math.inf]])
    values, places = autodiff.nn.functional.max_pool1d(x, 3, 1, 1, return_indices=True)
    assert places.tolist() == [[1, 1, 3, 3, 3, 4]]
    assert values.isnan().tolist() == [[True] * 5 + [False]]


def _enlarged(x: ad.Tensor) -> ad.Tensor:
    wide = F.interpolate(x, size=(7, 11), mode="bilinear")
    return F.fold(F.unfold(wide, 3), wide.shape[2:], 3)


def test_what_is_made_once_serves_all_that_come_after() -> None:
    expected = None
    for first in (ad.compile(_enlarged), ad.inference_mode()(_enlarged), _enlarged):
        plan, places = map(made_once, (resampling._short, windows._places))
        with (
            mock.patch.object(resampling, "_known_plan", plan),
            mock.patch.object(windows, "_known_places", places),
        ):
            for value in (1.0, 2.0):
                first(ad.full((1, 2, 3, 4), value))
                x = ad.arange(24.0).view(1, 2, 3, 4).requires_grad_()
                y = _enlarged(x)
                y.square().sum().backward()
                found = [*y.flatten().tolist(), *x.grad.flatten().tolist()]
                expected = expected or found
                assert found == expected


PLANS = [
    [],
    [1, 0, 0],
    [4, 0, 0] + 4 * [4, 4, 1, 1, 0, 1],
    [1, 4, 0, 4, 2, 2, 2, 0, 1],  # divided by what?
    [1, 0, 0, 5, 2, 2, 2, 0, 1],  # of another size
    [1, 0, 0, 4, 2, 0, 2, 0, 1],
    [1, 0, 0, 4, 2, 2, 2, 0, 0],
    [1, 0, 0, 4, 2, 2, 2, -1, 1],
    [1, 0, 0, 4, 2**40, 2, 2, 0, 1],
    [1, 0, 0, 4, 2, 1, 0, 0, 0, 3],  # a table that is too short
    [1, 0, 0, 4, 2, 1, 0, 0, 0, 3, 5],  # one past what stands for none
    [1, 0, 0, 4, 2, 1, 0, 0, 0, 3, -1],
    [1, 0, 0, 4, 2, 1, 0, 0, 0, 3, 4, 4],
]


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_windows_that_do_not_fit_are_refused(plan: list[int]) -> None:
    x = ad.ones(2, 4)
    assert not lib.ad_windows(x._p, NULL, len(plan), plan)
    assert not lib.ad_windows(x._p, ad.ones(3)._p, 11, [1, 0, 0, 4, 2, 1, 0, 0, 0, 3, 4])


def test_elements_that_windows_reach_around_the_image_count_for_nothing() -> None:
    plan = [1, 2, 0, 4, 3, 2, 0, 0, 0, 0, 4, 1, 4, 4, 2]  # windows of 0, of none, of 1 and 2
    x = ad.tensor([1.0, 2.0, math.inf, math.nan])
    y = own(lib.ad_windows(x._p, NULL, len(plan), plan), "windows")
    assert str(y.tolist()) == "[1.0, nan, inf]"


# Of many images as tiles, of few as columns.
EDGES = [
    (8, 64, 64, (14, 14), 3, {"padding": 1}),
    (8, 64, 400, (7, 7), 3, {"padding": 1}),
    (8, 64, 24, (11, 17), 3, {"padding": 2, "dilation": 2}),
    (8, 48, 40, (15, 13), 5, {"padding": 2, "stride": 2}),
    (8, 48, 40, (9, 2), 3, {"padding": 1}),
    (4, 32, 32, (6, 7, 8), 3, {"padding": 1}),
]


@pytest.mark.parametrize("edge", EDGES, ids=str)
@pytest.mark.parametrize("dtype", [ad.float32, ad.float64], ids=str)
@pytest.mark.parametrize("rare", [None, math.inf, math.nan])
def test_padding_is_zeros(edge: Any, dtype: ad.dtype, rare: float | None) -> None:
    n, c, m, size, k, how = edge
    nd = len(size)
    convolve, backwards = [
        (F.conv2d, F.conv_transpose2d),
        (F.conv3d, F.conv_transpose3d),
    ][nd - 2]
    ad.manual_seed(0)
    x, w, b = ad.randn(n, c, *size), ad.randn(m, c, *[k] * nd), ad.randn(m)
    x, w, b = (t.to(dtype) for t in (x, w, b))
    if rare is not None:
        w[(1, 2, *[0] * nd)] = rare
    rest = {name: value for name, value in how.items() if name != "padding"}
    apart = F.pad(x, [how["padding"]] * (2 * nd))
    for bias in (None, b):
        y = convolve(x, w, bias, **how)
        assert ad.allclose(y, convolve(apart, w, bias, **rest), rtol=0, atol=0, equal_nan=True)
        assert ad.allclose(y[:1], convolve(x[:1], w, bias, **how), rtol=0, atol=0, equal_nan=True)
    if "stride" not in how:
        reach = how.get("dilation", 1) * (k - 1)
        apart = F.pad(x, [reach - how["padding"]] * (2 * nd))
        y = backwards(x, w.transpose(0, 1), None, **how)
        own = backwards(apart, w.transpose(0, 1), None, padding=reach, **rest)
        assert ad.allclose(y, own, rtol=0, atol=0, equal_nan=True)


def test_short_rows_of_depthwise_weights_add_up_as_others() -> None:
    ad.manual_seed(0)
    for size, k, how in [
        ((7, 7), 3, {"padding": 1}),
        ((9, 5), 5, {"padding": 2}),
        ((13, 12), 3, {"stride": 2, "dilation": 2}),
        ((4, 5, 6), 3, {"padding": 1}),
    ]:
        convolve = [F.conv2d, F.conv3d][len(size) - 2]
        x, w = ad.randn(3, 37, *size), ad.randn(37, 1, *[k] * len(size))
        w.requires_grad_()
        y = convolve(x, w, groups=37, **how)
        g = ad.randn_like(y)
        (grad,) = ad.autograd.grad(y, w, g)
        for i in (0, 17, 36):  # alone there are no channels beside it
            own = w[i : i + 1].detach().requires_grad_()
            y = convolve(x[:, i : i + 1], own, **how)
            (alone,) = ad.autograd.grad(y, own, g[:, i : i + 1])
            assert ad.equal(grad[i], alone[0])


# Few positions or images, or few channels, are convolved in other ways than many.
@pytest.mark.parametrize("seed", range(30))
def test_channels_and_images_do_not_depend_on_others(seed: int) -> None:
    draw = random.Random(seed)
    groups, nd = draw.choice([1, 1, 2]), draw.choice([1, 2, 2, 3])
    c, m, n = draw.choice([1, 5, 20, 70]), draw.choice([16, 24, 40, 100]), draw.randint(1, 3)
    size, kernel = draw.choices([1, 2, 3, 5, 8], k=nd), draw.choices([1, 2, 3, 3], k=nd)
    how = {"stride": draw.choice([1, 2]), "padding": 1, "dilation": draw.choice([1, 1, 2])}
    if any(s + 2 < how["dilation"] * (k - 1) + 1 for s, k in zip(size, kernel, strict=True)):
        kernel = [1] * nd
    ad.manual_seed(seed)
    dtype = draw.choice([ad.float32, ad.float64])
    xs = ad.randn(n + 40, groups * c, *size, dtype=dtype).requires_grad_()
    ws = ad.randn(groups, m, c, *kernel, dtype=dtype).requires_grad_()
    bias = ad.randn(groups, m, dtype=dtype)
    convolve = [F.conv1d, F.conv2d, F.conv3d][nd - 1]
    g = ad.randn_like(convolve(xs, ws.flatten(0, 1), groups=groups, **how))
    g = g.unflatten(1, (groups, m))

    def results(images: int, channels: int) -> tuple[ad.Tensor, ad.Tensor, ad.Tensor]:
        x, w = (t.detach().clone().requires_grad_() for t in (xs[:images], ws[:, :channels]))
        y = convolve(x, w.flatten(0, 1), bias[:, :channels].flatten(), groups=groups, **how)
        y.backward(g[:images, :, :channels].flatten(1, 2))
        return y.detach().unflatten(1, (groups, channels)), x.grad, w.grad

    y, dx, dw = results(n, m)
    for whole, part in zip((y, dx), results(n + 40, m), strict=False):
        assert ad.equal(whole, part[:n])
    few = results(n, 8)
    assert ad.equal(y[:, :, :8], few[0])
    assert ad.equal(dw[:, :8], few[2])


# Single channels are read by positions, many of them side by side.
@pytest.mark.parametrize("seed", range(30))
def test_channels_apart_do_not_depend_on_others(seed: int) -> None:
    draw = random.Random(seed)
    nd, channels, dtype = (
        draw.choice([1, 2, 2, 3]),
        draw.randint(16, 50),
        draw.choice([ad.float32, ad.float64]),
    )
    kernel = draw.choices({1: [9, 50], 2: [3, 5, 7], 3: [2, 3, 5]}[nd], k=nd)
    how = {
        "stride": draw.choices([1, 1, 2, 9], k=nd),
        "padding": draw.choices([0, 2, 7], k=nd),
        "dilation": draw.choices([1, 1, 2], k=nd),
    }
    size = [
        d * (k - 1) + draw.choice([1, 4, 12]) for d, k in zip(how["dilation"], kernel, strict=True)
    ]
    size[-1] += draw.choice([0, 0, 150])
    ad.manual_seed(seed)
    x, g = ad.randn(2, channels, *size, dtype=dtype), ad.randn(1, dtype=dtype)
    w, bias = ad.randn(channels, 1, *kernel, dtype=dtype), ad.randn(channels, dtype=dtype)
    if nd == 2 and draw.random() < 0.4:
        x = x.contiguous(memory_format=ad.channels_last)

    def results(part: slice) -> tuple[ad.Tensor, ad.Tensor]:
        xs = x[:, part].detach().requires_grad_()
        convolve = [F.conv1d, F.conv2d, F.conv3d][nd - 1]
        y = convolve(xs, w[part], bias[part], groups=len(w[part]), **how)
        return y.detach(), *ad.autograd.grad(y, xs, y.detach() * g)

    whole = results(slice(None))
    for i in range(channels):
        for all_channels, one in zip(whole, results(slice(i, i + 1)), strict=True):
            assert ad.equal(all_channels[:, i : i + 1], one)


@pytest.mark.parametrize("nd", [1, 2, 3])
@pytest.mark.parametrize(("images", "groups"), [(1, 1), (3, 2), (20, 1), (0, 1)])
def test_an_image_of_one_position_is_spread_as_if_beside_zeros(
    nd: int, images: int, groups: int
) -> None:
    ad.manual_seed(nd)
    kernel = (4, 3, 2)[:nd]
    x = ad.randn(images, 6, *[1] * nd)
    w, bias = ad.randn(6, 5, *kernel), ad.randn(5 * groups)
    spread = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d][nd - 1]
    wide = ad.cat([x, ad.zeros_like(x)], -1)
    for b in (None, bias):
        expected = spread(wide, w, b, groups=groups)[..., : kernel[-1]]
        assert ad.equal(spread(x, w, b, groups=groups), expected)
        turned = w.transpose(0, -1).contiguous().transpose(0, -1)
        assert ad.equal(
            spread(x.expand(images, 6, *[1] * nd), turned, b, stride=3, groups=groups), expected
        )
    convolve = [F.conv1d, F.conv2d, F.conv3d][nd - 1]
    for parts, m in ((groups, 20), (6, 1), (6, 2)):
        w = ad.randn(m * parts, 6 // parts, *[1] * nd)
        for b in (None, ad.randn(m * parts)):
            expected = convolve(wide, w, b, groups=parts)[..., :1]
            assert ad.equal(convolve(x, w, b, groups=parts), expected)


# Sizes whose products come to nothing, or to little, in 64 bits.
@pytest.mark.parametrize("name", ["conv3d", "conv_transpose3d"])
def test_what_no_memory_holds_is_refused(name: str) -> None:
    convolve = getattr(F, name)
    x = ad.ones(1, 1, 2, 2, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match="overflowed"):
        convolve(x, x, dilation=2**29 - 2, padding=2**28 - 1)
    many = ad.ones(1, 1, 1, 1, 1).expand(1, 2**20, 2**21, 2**21, 1)
    with pytest.raises(RuntimeError, match="overflowed"):
        convolve(many, many if name == "conv3d" else many.transpose(0, 1))
    apart = ad.ones(1, 1, 1, 1, 1)
    with pytest.raises((RuntimeError, MemoryError)):
        convolve(apart, apart, stride=2**29, padding=2**29 - 1)


def test_no_images_of_integers_have_no_results() -> None:
    w = ad.ones(3, 2, 2, 2, dtype=ad.int64)
    assert F.conv2d(w.new_zeros(0, 2, 5, 4), w).shape == (0, 3, 4, 3)
    assert F.conv_transpose2d(w.new_zeros(0, 3, 5, 4), w).shape == (0, 2, 6, 5)


@pytest.mark.parametrize("kernel", [(4,), (3, 5), (2, 1, 4), (1, 16)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_patches_side_by_side_are_a_product(
    kernel: tuple[int, ...], bias: bool, last: bool
) -> None:
    nd, images, m, c = len(kernel), 3, 37, 3
    places = (4, 3, 2)[:nd]
    x = ad.randn(images, *places, m).movedim(-1, 1)
    x = x if last else x.contiguous()
    w, b = ad.randn(m, c, *kernel), ad.randn(c)
    y = getattr(F, f"conv_transpose{nd}d")(x, w, b if bias else None, stride=kernel)
    z = (x.movedim(1, -1) @ w.reshape(m, -1)).reshape(images, *places, c, *kernel)
    sides = [d for i in range(nd) for d in (1 + i, 2 + nd + i)]
    z = z.permute(0, 1 + nd, *sides).reshape(y.shape)
    assert y.equal(z + b.view(-1, *[1] * nd) if bias else z)
