"""Images read at any places: against the same made of other operations, and where no number is."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import autodiff as ad
from autodiff.nn import functional as F
from autodiff.ops.sampled import GRIDS, Grid, composed

KINDS = [
    pytest.param(how, nd, id=f"{how.mode} {how.padding} {how.corners:d} {nd}d")
    for how, nd in itertools.product(GRIDS.values(), (2, 3))
    if nd == 2 or how.mode != "bicubic"
]


def read(x: ad.Tensor, grid: ad.Tensor, how: Grid) -> ad.Tensor:
    return F.grid_sample(x, grid, how.mode, how.padding, how.corners)


def near(a: ad.Tensor, b: ad.Tensor) -> bool:
    return a.shape == b.shape and ad.allclose(a, b, 1e-9, 1e-11, equal_nan=True)


@pytest.mark.parametrize(("how", "nd"), KINDS)
@given(
    st.tuples(*[st.integers(0, 3)] * 2),
    st.tuples(*[st.integers(1, 5)] * 3),
    st.sampled_from([(0, 1, 1), (1, 1, 1), (3, 2, 2), (9, 9, 1), (1, 300, 1)]),
    st.integers(0, 2**32),
)
def test_values_and_gradients_are_the_composition_s(
    how: Grid, nd: int, batch: tuple[int, int], image: tuple[int, ...], places: tuple, seed: int
) -> None:
    ad.manual_seed(seed)
    x = ad.randn(*batch, *image[:nd], dtype=ad.float64, requires_grad=True)
    grid = ad.randn(batch[0], *places[:nd], nd, dtype=ad.float64, requires_grad=True)
    y, wanted = read(x, grid, how), composed(x, grid, how)
    assert near(y, wanted)
    g = ad.randn_like(y)
    got = ad.autograd.grad(y, [x, grid], g)
    assert all(map(near, got, ad.autograd.grad(wanted, [x, grid], g)))


@pytest.mark.parametrize(("how", "nd"), KINDS)
def test_layouts_types_and_wanted_gradients_do_not_matter(how: Grid, nd: int) -> None:
    x = ad.randn(5, 4, 3, 2, 2, dtype=ad.float64)[..., 0].movedim(0, 1)  # (4, 5, 3, 2)
    x = x if nd == 2 else ad.stack([x, -x], -1)
    grid = (ad.randn(nd, 4, *[3] * nd, dtype=ad.float64) / 2).movedim(0, -1)
    wanted = read(x.contiguous(), grid.contiguous(), how)
    assert read(x, grid, how).equal(wanted)
    single = read(x.float(), grid.float(), how)
    assert single.dtype is ad.float32
    if how.mode != "nearest":  # where a place between two pixels may be rounded to either
        assert ad.allclose(single.double(), wanted, 1e-4, 1e-5)
    assert read(x.half(), grid.half(), how).dtype is ad.float16
    for asked in ((True, False), (False, True)):
        each = [t.clone().requires_grad_(r) for t, r in zip((x, grid), asked, strict=True)]
        slope = ad.autograd.grad(read(*each, how).sum(), each[asked.index(True)])[0]
        both = [t.clone().requires_grad_() for t in (x, grid)]
        all_ = ad.autograd.grad(read(*both, how).sum(), both)
        assert ad.allclose(slope, all_[asked.index(True)], 1e-12, 1e-12)


@pytest.mark.parametrize(("how", "nd"), KINDS)
@pytest.mark.parametrize("place", [math.nan, math.inf, -math.inf, 1e30, -1e30, 1e300])
def test_places_that_are_nowhere_read_nothing_outside(how: Grid, nd: int, place: float) -> None:
    for dtype in (ad.float32, ad.float64):
        if math.isfinite(place) and abs(place) > ad.finfo(dtype).max:
            continue
        x = ad.ones(1, 2, *[3] * nd, dtype=dtype, requires_grad=True)
        grid = ad.full((1, *[2] * nd, nd), place, dtype=dtype, requires_grad=True)
        y = read(x, grid, how)
        assert y.shape == (1, 2, *[2] * nd)
        y.sum().backward()
        assert x.grad.shape == x.shape
        assert grid.grad.shape == grid.shape


@pytest.mark.parametrize(("how", "nd"), KINDS)
def test_threads_and_batches_have_the_same_bits(how: Grid, nd: int) -> None:
    x = ad.randn(2, 33, *[9] * nd)
    grid = ad.randn(2, *[24] * nd, nd)

    def run(x: ad.Tensor, grid: ad.Tensor) -> list[ad.Tensor]:
        x, grid = x.clone().requires_grad_(), grid.clone().requires_grad_()
        y = read(x, grid, how)
        return [y, *ad.autograd.grad((y * y).sum(), [x, grid])]

    before = ad.get_num_threads()
    try:
        ad.set_num_threads(1)
        alone = run(x, grid)
        ad.set_num_threads(3)
        assert all(a.equal(b) for a, b in zip(alone, run(x, grid), strict=True))
    finally:
        ad.set_num_threads(before)
    each = [run(x[i : i + 1], grid[i : i + 1]) for i in range(2)]
    for whole, *parts in zip(alone, *each, strict=True):
        assert whole.equal(ad.cat(parts))
