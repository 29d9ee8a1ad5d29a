"""Results too large for the caches are stored past them: they are those of their parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import autodiff as ad

PARTS = 7
N = PARTS * 500_009  # of float32, in and out, more than what is stored so
CALLS: dict[str, Callable[[ad.Tensor, ad.Tensor], ad.Tensor]] = {
    "one instruction": lambda x, y: x.relu(),
    "of two": lambda x, y: x * y,
    "one that computes": lambda x, y: (x * 40).exp(),
    "of two that computes": lambda x, y: x.abs() ** y,
    "with a number": lambda x, y: x + 0.5,
    "several instructions": lambda x, y: ad.nn.functional.silu(x) * y,
    "comparison": lambda x, y: x < y,
    "other dtype": lambda x, y: x.to(ad.float64),
    "copy": lambda x, y: x.clone(),
    "copy into": lambda x, y: y.copy_(x),
    "converted into": lambda x, y: ad.empty(len(x) + 1, dtype=ad.int32)[1:].copy_(x * 9),
    "converted back": lambda x, y: y.copy_((x * 9).to(ad.int16)),
    "rounded into": lambda x, y: ad.empty(len(x), dtype=ad.bfloat16).copy_(x),
    "narrowed into": lambda x, y: y.copy_(x.to(ad.float64) / 3),
    "fill": lambda x, y: y.fill_(3),
    "in place": lambda x, y: x.mul_(y),
    "in place, several instructions": lambda x, y: y.addcmul_(x, x, value=0.5),
    "in place, of itself": lambda x, y: x.add_(x),
    "into a given one": lambda x, y: ad.mul(x, y, out=ad.empty(len(x) + 1)[1:]),
}


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = ad.get_num_threads()
    ad.set_num_threads(request.param)
    yield
    ad.set_num_threads(before)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("start", [0, 3, 16])
@pytest.mark.parametrize("name", CALLS)
def test_large_results_are_those_of_their_parts(name: str, start: int) -> None:
    generator = ad.Generator().manual_seed(start)
    x, y = (ad.randn(N + 16, generator=generator)[start:][:N] for _ in range(2))
    parts = [
        CALLS[name](a.clone(), b.clone())
        for a, b in zip(x.chunk(PARTS), y.chunk(PARTS), strict=True)
    ]
    assert ad.equal(CALLS[name](x, y), ad.cat(parts))


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("cols", [1999, 2048])
def test_large_matrices_are_those_of_their_rows(cols: int) -> None:
    x = ad.randn(1801, cols, generator=ad.Generator().manual_seed(cols))
    row = x[5].clone()
    assert ad.equal(x + row, ad.stack([r + row for r in x]))
    assert ad.equal(x.t().contiguous(), ad.stack([c.clone() for c in x.unbind(1)]))
    assert ad.equal(x[:, :1990] * x[:, 9:1999], ad.stack([r[:1990] * r[9:1999] for r in x]))
    assert ad.equal(ad.addcmul(x, x, row), ad.stack([ad.addcmul(r, r, row) for r in x]))
    made = ad.lerp(x[:, :1990], x[:, 9:1999], 0.3)
    assert ad.equal(made, ad.stack([ad.lerp(r[:1990], r[9:1999], 0.3) for r in x]))
    assert ad.equal(x[1:].clone(), ad.stack([r.clone() for r in x[1:]]))
    assert ad.equal(x.clone().copy_(x[:, :1]), ad.stack([r[0].expand(cols) for r in x]))


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
@pytest.mark.parametrize("gap", [0, 1, 300])
@pytest.mark.parametrize("cols", [256, 300, 1001])
def test_rows_that_meet_within_a_line(cols: int, gap: int, dtype: ad.dtype) -> None:
    rows = 3_300_000 // cols
    generator = ad.Generator().manual_seed(cols)
    x = ad.randn(rows, cols + gap, dtype=dtype, generator=generator)[:, gap:]
    row = ad.randn(cols, dtype=dtype, generator=generator)
    calls = [
        lambda x, out: ad.exp(x, out=out),
        lambda x, out: ad.div(x, row, out=out),
        lambda x, out: ad.mul(x, x, out=out),
    ]
    for call in calls:
        around = ad.full((rows * cols + 2,), 7, dtype=dtype)
        call(x, around[1:-1].view(rows, cols))
        parts = ad.cat([call(part, ad.empty(0, dtype=dtype)) for part in x.chunk(9)])
        assert ad.equal(around[1:-1].view(rows, cols), parts)
        assert around[0] == around[-1] == 7


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("cols", [129, 1000, 4096, 30_001])
def test_large_softmaxes_are_those_of_their_rows(cols: int) -> None:
    x = ad.randn(4_200_000 // cols, cols, generator=ad.Generator().manual_seed(cols))

    def made(x: ad.Tensor) -> ad.Tensor:
        x = x.detach().requires_grad_()
        y, log = x.softmax(1), x.log_softmax(1)
        grads = [ad.autograd.grad(y, x, x.detach().square())[0] for y in (y, log)]
        return ad.stack([y.detach(), log.detach(), *grads])

    assert ad.equal(made(x), ad.cat([made(part) for part in x.chunk(4)], dim=1))


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("dtype", [ad.bool, ad.uint8, ad.bfloat16, ad.int64, ad.float64])
def test_large_fills_are_of_one_value_and_end_where_they_should(dtype: ad.dtype) -> None:
    value = ad.tensor(3.25).to(dtype)
    x = ad.zeros(13_000_003 * 4 // max(4, dtype.itemsize), dtype=dtype)
    x[5:-3].fill_(value.item())
    assert bool((x[5:-3] == value).all())
    assert not x[:5].any()
    assert not x[-3:].any()
