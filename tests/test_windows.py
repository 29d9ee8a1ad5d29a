"""Pools do what plain loops do, however many windows are in a row, whatever the elements."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad
from autodiff.nn import functional as F

ODD = [math.nan, -math.inf, math.inf, -0.0, 0.0, 1.0, 1.0]
SMALL = st.integers(1, 3)
SIDES = st.integers(5, 24)  # windows in a row: few, or enough to be taken together


def windows(size: int, kernel: int, step: int, pad: int, apart: int) -> list[list[int]]:
    """The elements of each window of a dimension."""
    n = (size + 2 * pad - apart * (kernel - 1) - 1) // step + 1
    taps = [[i * step - pad + apart * k for k in range(kernel)] for i in range(n)]
    return [[at for at in each if 0 <= at < size] for each in taps]


@given(SIDES, SIDES, st.integers(1, 3), st.integers(1, 3), st.integers(0, 1), st.integers(1, 2),
       st.sampled_from([ad.float32, ad.float64]), st.integers(0, 2**32))  # fmt: skip
def test_greatest_of_windows(
    h: int, w: int, kernel: int, step: int, pad: int, apart: int, dtype: ad.dtype, seed: int
) -> None:
    pad = min(pad, kernel // 2)
    draw = ad.Generator().manual_seed(seed)
    odd = ad.tensor(ODD, dtype=dtype)
    x = odd[ad.randint(len(ODD), (2, h, w), generator=draw)]
    y, places = F.max_pool2d(x, kernel, step, pad, apart, return_indices=True)
    alone = F.max_pool2d(x, kernel, step, pad, apart)
    assert repr(alone.tolist()) == repr(y.tolist())
    rows, cols = windows(h, kernel, step, pad, apart), windows(w, kernel, step, pad, apart)
    for c, image in enumerate(x.tolist()):
        for (i, across), (j, along) in product(enumerate(rows), enumerate(cols)):
            best, at = -math.inf, across[0] * w + along[0]
            for a, b in product(across, along):
                if image[a][b] > best or math.isnan(image[a][b]):
                    best, at = image[a][b], a * w + b
            assert repr(y[c, i, j].item()) == repr(best)
            assert places[c, i, j].item() == at


@pytest.mark.parametrize("padded", [False, True])
@given(
    st.integers(5, 9), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 1)
)
def test_means_of_few_windows_are_those_of_many(
    padded: bool, side: int, tall: int, wide: int, step: int, pad: int
) -> None:
    """A window's mean has the same bits whether few are in its row or many."""
    pad = min(pad, tall // 2, wide // 2)
    x = ad.randn(2, side, 40)
    for shape in ((tall, wide), (2, tall, wide)):
        pool = F.avg_pool2d if len(shape) == 2 else F.avg_pool3d
        images = x if len(shape) == 2 else ad.stack([x, x + 1], 1)
        pads = [pad] * 2 if len(shape) == 2 else [0, pad, pad]
        many = pool(images, shape, step, pads, False, padded)
        few = pool(images[..., :side], shape, step, pads, False, padded)
        inner = (side + pad - wide) // step + 1  # windows that do not reach past the narrow image
        assert few[..., :inner].tolist() == many[..., :inner].tolist()


BESIDE = [
    lambda x: F.max_pool2d(x, 2),
    lambda x: F.max_pool2d(x, 3, 2, 1, 1),
    lambda x: F.max_pool2d(x, 2, 1, 1, 2, ceil_mode=True),
    lambda x: F.adaptive_max_pool2d(x, (3, 2)),
    lambda x: F.avg_pool2d(x, 2),
    lambda x: F.avg_pool2d(x, 3, 2, 1, True),
    lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    lambda x: F.avg_pool2d(x, (2, 3), divisor_override=7),
    lambda x: F.adaptive_avg_pool2d(x, (3, 4)),
    lambda x: F.interpolate(x, scale_factor=2),
    lambda x: F.interpolate(x, size=(9, 4), mode="bilinear"),
    lambda x: F.interpolate(x, size=(11, 13), mode="bilinear", align_corners=True),
    lambda x: F.interpolate(x, scale_factor=1.5, mode="bicubic"),
    lambda x: F.interpolate(x, size=(3, 4), mode="bicubic", antialias=True),
    lambda x: F.interpolate(x, size=(4, 3), mode="area"),
]


@pytest.mark.parametrize("pool", BESIDE)
@given(st.integers(2, 70), st.integers(4, 9), st.integers(4, 9),
       st.sampled_from([ad.float32, ad.float64, ad.bfloat16]), st.integers(0, 2**32))  # fmt: skip
@settings(max_examples=8)
def test_channels_side_by_side_give_the_same_bits(
    pool: Callable[[ad.Tensor], ad.Tensor], c: int, h: int, w: int, dtype: ad.dtype, seed: int
) -> None:
    """Of results, and of gradients, also where the images are part of larger ones."""
    draw = ad.Generator().manual_seed(seed)
    x = ad.randn(2, c, h, w, generator=draw).to(dtype)
    x[0, 0] = ad.tensor(ODD, dtype=dtype)[ad.randint(len(ODD), (h, w), generator=draw)]
    last = x.contiguous(memory_format=ad.channels_last)
    larger = ad.randn(2, h + 1, w + 2, c + 3).to(dtype)
    larger[:, 1:, :w, :c] = x.permute(0, 2, 3, 1)
    results = []
    for each in (x, last, larger[:, 1:, :w, :c].permute(0, 3, 1, 2)):
        each = each.detach().requires_grad_()
        y = pool(each)
        g = ad.randn(y.shape, generator=ad.Generator().manual_seed(seed)).to(dtype)
        if each.stride(1) == 1:
            g = g.contiguous(memory_format=ad.channels_last)
        (slope,) = ad.autograd.grad(y, each, g)
        kept = each.stride(1) == 1 and dtype is not ad.bfloat16
        assert not kept or y.is_contiguous(memory_format=ad.channels_last)
        results.append(repr([y.tolist(), pool(each.detach()).tolist(), slope.tolist()]))
    assert results[0] == results[1] == results[2]


def test_greatest_of_volumes_whose_channels_lie_side_by_side() -> None:
    x = ad.randn(2, 5, 4, 6, 7)
    expected = F.max_pool3d(x, 3, 2, 1, return_indices=True)
    found = F.max_pool3d(
        x.contiguous(memory_format=ad.channels_last_3d), 3, 2, 1, return_indices=True
    )
    for a, b in zip(expected, found, strict=True):
        assert b.is_contiguous(memory_format=ad.channels_last_3d)
        assert a.tolist() == b.tolist()


@pytest.mark.parametrize("nd", [1, 2, 3])
def test_padding_is_at_most_half_of_the_kernel_however_far_its_elements_are_apart(nd: int) -> None:
    """Half of the whole window is more, where they are apart."""
    pool = getattr(F, f"max_pool{nd}d")
    x = ad.ones(1, 1, *[9] * nd)
    assert pool(x, 3, 1, 1, 2).shape[-1] == 7
    with pytest.raises(RuntimeError, match="half of kernel size, but got pad=2 and kernel_size=3"):
        pool(x, 3, 1, 2, 2)


def test_a_window_that_meets_no_element_is_refused_by_name() -> None:
    with pytest.raises(RuntimeError, match="dilation=2 and padding=1 meets none of 1 elements"):
        F.max_pool2d(ad.ones(1, 5, 1), (1, 4), 5, (0, 1), (1, 2), ceil_mode=True)
