"""Sorting, places of extremes, running sums and gathering, each against a plain loop."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import pytest

import autodiff as ad
from autodiff.native import ffi, lib
from autodiff.tensor import own

# Around what the kernels change their method at: insertion, merging, digits; a chunk of 1024.
LENGTHS = (1, 2, 24, 25, 41, 100, 256, 257, 700, 1025, 2500)
DTYPES = (ad.float32, ad.float64, ad.int32, ad.int64, ad.uint8, ad.int8, ad.int16)


def line(n: int, d: ad.dtype, seed: int = 1) -> list[Any]:
    """Numbers with many ties; of floats also both zeros, infinities and nans."""
    low = 0 if d is ad.uint8 else -50
    values: list[Any] = [low + (k * 7919 * seed + k * k) % 101 for k in range(n)]
    if d.is_floating_point:
        odd = {3: math.nan, 5: -0.0, 7: 0.0, 11: math.inf, 13: -math.inf, 17: math.nan}
        return [odd.get(k % 29, float(v)) for k, v in enumerate(values)]
    return values


def order(values: list[Any], descending: bool) -> list[int]:
    """The stable order, nans largest."""
    sign = -1 if descending else 1

    def key(i: int) -> tuple[int, Any]:
        return (sign, 0) if values[i] != values[i] else (0, sign * values[i])

    return sorted(range(len(values)), key=key)


def layouts(n: int, d: ad.dtype) -> Iterator[tuple[ad.Tensor, int, list[list[Any]]]]:
    """The same three lines as rows, as columns, and strided: tensor, dimension, lines."""
    lines = [line(n, d, seed) for seed in (1, 2, 3)]
    rows = ad.tensor(lines, dtype=d)
    yield rows, 1, lines
    yield rows.t().contiguous(), 0, lines
    yield ad.stack([rows, rows], 2)[..., 0], 1, lines


def lines_of(x: ad.Tensor, dim: int) -> list[list[Any]]:
    found: list[list[Any]] = (x if dim else x.t()).tolist()
    return found


def same(got: list[Any], wanted: list[Any]) -> bool:
    """Equal with their signs, a nan equal to a nan."""
    return list(map(repr, got)) == list(map(repr, wanted))


@pytest.mark.parametrize("d", DTYPES, ids=str)
@pytest.mark.parametrize("n", LENGTHS)
def test_sort_is_stable_and_topk_is_how_it_begins(n: int, d: ad.dtype) -> None:
    for x, dim, lines in layouts(n, d):
        for descending in (False, True):
            values, places = x.sort(dim, descending)
            for got, at, given in zip(
                lines_of(values, dim), lines_of(places, dim), lines, strict=True
            ):
                wanted = order(given, descending)
                assert at == wanted
                assert same(got, [given[i] for i in wanted])
            for k in {0, 1, min(16, n), min(17, n), n // 10, n // 5, n // 2, n}:
                first, where = x.topk(k, dim, descending)
                assert same(first.tolist(), values.narrow(dim, 0, k).tolist())
                assert where.tolist() == places.narrow(dim, 0, k).tolist()


@pytest.mark.parametrize("d", DTYPES, ids=str)
@pytest.mark.parametrize("n", LENGTHS)
def test_extremes_are_the_first_of_equals_and_the_first_nan(n: int, d: ad.dtype) -> None:
    for x, dim, lines in layouts(n, d):
        for name, descending in (("max", True), ("min", False)):
            values, places = getattr(x, name)(dim)
            for got, at, given in zip(values.tolist(), places.tolist(), lines, strict=True):
                nans = [i for i, v in enumerate(given) if v != v]
                first = nans[0] if nans else order(given, descending)[0]
                assert at == first
                assert same([got], [given[first]])
            assert getattr(x, f"arg{name}")(dim).tolist() == places.tolist()


@pytest.mark.parametrize("d", [ad.float32, ad.float64, ad.int64], ids=str)
@pytest.mark.parametrize("n", LENGTHS)
def test_running_sums_are_added_in_order_in_double(n: int, d: ad.dtype) -> None:
    rows = [
        [v / 3 if d.is_floating_point else v for v in line(n, ad.int64, s)] for s in range(1, 20)
    ]
    x = ad.tensor(rows, dtype=d)
    wanted = ad.tensor([list(accumulate(row)) for row in x.tolist()], dtype=d).tolist()
    assert x.cumsum(1).tolist() == wanted
    assert x.t().contiguous().cumsum(0).t().tolist() == wanted
    assert x.t().cumsum(0).t().tolist() == wanted


def test_a_reversed_running_sum_is_that_of_the_reversed_line() -> None:
    for n in LENGTHS:
        rows = [line(n, ad.int64, seed) for seed in range(1, 12)]
        turned = ad.tensor([row[::-1] for row in rows]).double().cumsum(1).tolist()
        for dim in (0, 1):
            x = ad.tensor(rows).double().requires_grad_()
            y = x.cumsum(1) if dim else x.t().contiguous().cumsum(0).t()
            y.backward(ad.tensor(rows).double())
            assert x.grad is not None
            assert [row[::-1] for row in x.grad.tolist()] == turned


def test_gather_takes_and_its_adjoint_adds_along_any_dimension() -> None:
    x = ad.arange(3 * 4 * 1100).double().reshape(3, 4, 1100).requires_grad_()
    for dim, taken in [(0, 5), (1, 5), (2, 5), (0, 1), (1, 1), (2, 1)]:
        shape = [2, 3, 1050]
        shape[dim] = taken
        places = [[[(a * 7 + b * 5 + c * 3) % x.shape[dim] for c in range(shape[2])]
                   for b in range(shape[1])] for a in range(shape[0])]  # fmt: skip
        y = x.gather(dim, ad.tensor(places))
        counts: dict[tuple[int, ...], int] = {}
        for a in range(shape[0]):
            for b in range(shape[1]):
                for c in range(shape[2]):
                    at = [a, b, c]
                    at[dim] = places[a][b][c]
                    counts[tuple(at)] = counts.get(tuple(at), 0) + 1
        i, j, k = shape[0] - 1, shape[1] - 1, shape[2] - 1
        at = [i, j, k]
        at[dim] = places[i][j][k]
        assert y[i, j, k].item() == x[tuple(at)].item()
        (grad,) = ad.autograd.grad(y.sum(), x)
        assert grad.sum().item() == y.numel()
        assert all(grad[at].item() == count for at, count in list(counts.items())[::97])


@pytest.mark.parametrize("dtype", [ad.uint8, ad.int32, ad.float64])
def test_rows_of_every_length_are_taken_and_put(dtype: ad.dtype) -> None:
    for n in (*range(1, 35), 63, 64, 65, 67, 129):
        x = (ad.arange(3 * n) % 251).to(dtype).reshape(3, n)
        wanted = [x.tolist()[i] for i in (2, 0, 1, 2)]
        places = ad.tensor([2, 0, 1, 2])
        assert x[places].tolist() == wanted
        assert x.t().contiguous().index_select(1, places).t().tolist() == wanted
        y = ad.zeros(4, n, dtype=dtype)
        y[places] = ad.tensor(wanted, dtype=dtype)
        assert y.tolist() == [*x.tolist(), [0] * n]


@pytest.mark.parametrize("bad", [4, -1, 2**62, -(2**63)])
@pytest.mark.parametrize("shape", [(3, 2), (3, 1), (6,)])
def test_an_index_out_of_range_is_refused(bad: int, shape: tuple[int, ...]) -> None:
    x, values = ad.zeros(*shape[:-1], 4), ad.ones(*shape)
    dim, index = len(shape) - 1, ad.zeros(*shape, dtype=ad.int64)
    index[(-1,) * len(shape)] = bad
    with pytest.raises(
        RuntimeError, match=f"index {bad} is out of bounds for dimension {dim} with size 4"
    ):
        x.gather(dim, index)
    assert lib.ad_scatter_add(x._p, dim, index._p, values._p) == lib.AD_BAD_INDEX


def test_what_the_natives_refuse() -> None:
    x, index, out = ad.ones(3, 4), ad.zeros(3, 4, dtype=ad.int64), ffi.new("ad_tensor *[2]")
    for dim in (-1, 2):
        assert lib.ad_gather(x._p, dim, index._p) == ffi.NULL
        assert lib.ad_cumsum(x._p, dim, 0) == ffi.NULL
        assert lib.ad_sort(x._p, dim, 1, 0) == ffi.NULL
        assert lib.ad_scatter_add(x._p, dim, index._p, x._p) == lib.AD_BAD_DIM
    for k in (-2, 5):
        assert lib.ad_sort(x._p, 1, k, 0) == ffi.NULL
        assert lib.ad_error(ffi.NULL) == lib.AD_BAD_SHAPE
    assert lib.ad_gather(x._p, 1, x._p) == ffi.NULL
    assert lib.ad_cumsum(x.bool()._p, 0, 0) == ffi.NULL
    assert lib.ad_cumprod(x.int()._p, 0) == ffi.NULL
    for a, b, dim in ((x, x, 2), (x, x[:2], 0), (x, x.double(), 0), (index, index, 0)):
        assert lib.ad_recurrence(a._p, b._p, dim, 0, 0) == ffi.NULL
    for a, order in ((x[:, :3], 2), (x[None], 2), (x, 0), (x, 3), (x, -1), (x.double(), 2)):
        assert lib.ad_distances(x._p, a._p, order) == ffi.NULL
    for a in (x[0], x[None], index):
        assert lib.ad_distances(a._p, ffi.NULL, 2) == ffi.NULL
    assert lib.ad_running_extremes(x._p, 2, 1, out) == lib.AD_BAD_DIM
    for k, how in ((0, 1), (1, 0), (1, lib.AD_PICK_MODE + 1)):
        assert lib.ad_pick(x._p, 1, k, how, 0, out) == lib.AD_BAD_ARG
    assert lib.ad_pick(x._p, 1, 5, lib.AD_PICK_KTH, 1, out) == lib.AD_BAD_SHAPE
    three = ffi.new("ad_tensor *[3]")
    assert lib.ad_runs(x[0, 0]._p, ffi.NULL, 0, 0, three) == lib.AD_BAD_DIM
    for bad in (index[0], x[:, 0]):
        assert lib.ad_runs(x._p, bad._p, 1, 0, three) == lib.AD_BAD_SHAPE
    for counted in (x[0], index, ad.tensor([1, -1]), ad.tensor([2**63 - 1])):
        assert lib.ad_bincount(counted._p, 0) == ffi.NULL
    assert lib.ad_values_f64(x._p.dtype, 1, [2], 1, [1.0]) == ffi.NULL
    assert lib.ad_values_i64(-1, 1, [1], 1, [1]) == ffi.NULL
    wrong = ad.tensor([0, 1, 3])
    assert lib.ad_runs(x._p, wrong._p, 1, 0, three) == lib.AD_BAD_INDEX
    for rows, values in ((x[0, 0], x), (x, x[:2]), (x, x[0]), (x, index), (x.int(), x.int())):
        assert lib.ad_searchsorted(rows._p, values._p, 0) == ffi.NULL
    for many, edges, weight in (
        (index, index[0], index),
        (x, x[0].double(), x),
        (x, x[0], x.double()),
        (x, x, x),
        (x, x[0, :1], x),
        (x, x[0], x[0]),
        (x.t(), x[0], x),
        (x, x[:, 0], x),
        (x, x[0], x.t()),
    ):
        assert lib.ad_histogram(many._p, edges._p, False, weight._p) == ffi.NULL
    assert lib.ad_extremes(0, x._p, 1, 0, out) == lib.AD_BAD_ARG
    narrow = x[:2]
    assert lib.ad_gather(narrow._p, 1, index._p) == ffi.NULL
    assert lib.ad_scatter_add(narrow._p, 1, index._p, x._p) == lib.AD_BAD_SHAPE
    assert lib.ad_scatter_add(index._p, 1, index._p, index._p) == lib.AD_OVERLAP


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.sort(0).values,
        lambda x: x.topk(40, 1).indices,
        lambda x: x.cumsum(0),
        lambda x: x.cumsum(1),
        lambda x: x.cumprod(0),
        lambda x: x.logcumsumexp(1),
        lambda x: x.cummax(0).indices,
        lambda x: x.cummax(1).indices,
        lambda x: x.median(1).values,
        lambda x: ad.searchsorted(x.sort(1).values, x),
        lambda x: x.max(0).values,
        lambda x: x.argmin(1),
        lambda x: x.gather(0, x.argsort(0)),
        lambda x: x[:, (x[0] * 100).abs().long() % 300],
        lambda x: ad.zeros(7, 300).index_add_(0, (x[:, 0] * 100).abs().long() % 7, x),
        lambda x: ad.zeros(300, 7).index_add_(1, (x[:, 0] * 100).abs().long() % 7, x.t()),
    ],
)
def test_threads_change_no_bits(call: Callable[[ad.Tensor], ad.Tensor]) -> None:
    ad.manual_seed(3)
    x, before = ad.randn(400, 300), ad.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 7):
            ad.set_num_threads(threads)
            results.append(call(x).tolist())
    finally:
        ad.set_num_threads(before)
    assert results[0] == results[1] == results[2]


def test_index_add_adds_repeated_rows_in_order() -> None:
    x = ad.zeros(2, 3)
    values = ad.tensor([[2.0**24] * 3, [1.0] * 3, [1.0] * 3, [-(2.0**24)] * 3])
    ad.Tensor.index_add_(x, 0, ad.tensor([1, 1, 1, 1]), values)
    assert x.tolist() == [[0.0] * 3, [0.0] * 3]  # each 1 is lost on 2^24
    assert x.index_add(0, ad.tensor([0]), values[1:2], alpha=3).tolist()[0] == [3.0] * 3


def test_a_number_is_a_line_of_one() -> None:
    x = ad.tensor(3.0, requires_grad=True)
    of_one = (x.sort(), x.topk(1), x.max(0), x.cummax(0), x.median(0), x.kthvalue(1))
    for y in (*(each.values for each in of_one), x.cumsum(0), x.cumprod(0), x.logcumsumexp(0)):
        assert y.shape == ()
        assert ad.autograd.grad(y, x)[0].item() == 1


@pytest.mark.parametrize("d", [ad.float32, ad.int64], ids=str)
@pytest.mark.parametrize("n", [10, 33, 64, 96, 200, 700])
@pytest.mark.parametrize("high", [1, 3, 50, 10**6])
def test_lines_across_are_ordered_as_rows(high: int, n: int, d: ad.dtype) -> None:
    """More of them than are brought together at a time, with few or many equal ones."""
    ad.manual_seed(n)
    x = (ad.randint(-high, high, (2, n, 37)) / 4).to(d)
    rows = x.transpose(1, 2).contiguous()
    for pick in (
        lambda x, dim: x.sort(dim),
        lambda x, dim: x.topk(n // 9, dim),
        lambda x, dim: x.topk(n // 3, dim, False),
        lambda x, dim: x.kthvalue(n // 7 + 1, dim, True),
        lambda x, dim: x.mode(dim, True),
    ):
        for across, along in zip(pick(x, 1), pick(rows, 2), strict=True):
            assert ad.equal(across, along.transpose(1, 2))
    places = rows.argsort(2).tolist()
    for lines, given in zip(places, rows.tolist(), strict=True):
        assert lines == [order(values, False) for values in given]
    assert ad.equal(rows.topk(n // 9, 2, False).indices, rows.argsort(2)[..., : n // 9])


def test_a_kth_is_where_a_stable_sort_has_it() -> None:
    """Few or many elements, equal ones among them; the place of equal ones is the sort's."""
    ad.manual_seed(4)
    for n in (5, 24, 25, 300, 2000):
        for x in (ad.randint(0, n // 2 + 1, (3, n)), ad.randn(3, n).mul(4).round(), ad.randn(3, n)):
            for k in (1, n // 3 + 1, n):
                values, places = x.sort(1)
                got = x.kthvalue(k, 1)
                assert got.values.tolist() == values[:, k - 1].tolist()
                assert got.indices.tolist() == places[:, k - 1].tolist()


def test_a_median_of_nothing_is_part_of_the_graph() -> None:
    x = ad.ones(0, 2, requires_grad=True)
    for y in (x.median(), x.nanmedian()):
        assert y.isnan()
        y.backward()
    assert x.grad is not None
    assert x.grad.shape == (0, 2)


def test_a_median_is_the_first_nan() -> None:
    x = ad.arange(90.0).reshape(3, 30)
    x[1, 7] = x[1, 9] = math.nan
    x[2] = math.nan
    assert x.median(1).indices.tolist() == [14, 7, 0]
    assert x.nanmedian(1).indices.tolist() == [14, 15, 0]
    assert math.isnan(x.median())
    assert x.nanmedian().item() == 28


@pytest.mark.parametrize("rows", [1, 3, 4, 9])
@pytest.mark.parametrize("d", [ad.float32, ad.int8])
@pytest.mark.parametrize("largest", [False, True])
def test_running_extremes_of_rows_are_those_of_columns(
    rows: int, d: ad.dtype, largest: bool
) -> None:
    x = ad.randint(-9, 9, (rows, 40)).to(d)
    along = ad.Tensor.cummax if largest else ad.Tensor.cummin
    for one, other in zip(along(x, 1), along(x.t().contiguous(), 0), strict=True):
        assert one.tolist() == other.t().tolist()


@pytest.mark.parametrize(
    ("shape", "dim"),
    [((70, 3), 0), ((3, 70), 0), ((600,), 0), ((2, 30, 600), 1), ((9, 70), 1), ((2, 4, 1), 2)],
)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lags", [False, True])
def test_a_recurrence_is_its_definition(
    shape: tuple[int, ...], dim: int, reverse: bool, lags: bool
) -> None:
    ad.manual_seed(5)
    a, b = ad.rand(*shape, dtype=ad.float64), ad.rand(*shape, dtype=ad.float64)
    y = own(lib.ad_recurrence(a._p, b._p, dim, reverse, lags), "recurrence")
    order = list(range(shape[dim]))[:: -1 if reverse else 1]
    before = None
    for i in order:
        at = before if lags else i
        want = b.select(dim, i)
        if before is not None:
            want = want + a.select(dim, at) * y.select(dim, before)
        assert y.select(dim, i).tolist() == want.tolist()
        before = i


@pytest.mark.parametrize("d", [ad.float32, ad.float64])
@pytest.mark.parametrize("bins", [1, 2, 9, 130])
def test_a_histogram_counts_what_lies_between_edges(d: ad.dtype, bins: int) -> None:
    ad.manual_seed(bins)
    odd = ad.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0], dtype=d)
    even = ad.linspace(-1, 1, bins + 1, dtype=d)
    wild = ad.cat([ad.randn(bins, dtype=d), ad.tensor([math.inf], dtype=d)]).sort().values
    for edges in (even, wild, ad.zeros(bins + 1, dtype=d)):
        x = ad.cat([ad.randn(300, dtype=d), odd, edges, even])[:-1:2].view(-1, 1)
        weight = ad.randint(-9, 9, x.shape).to(d)
        sums, at = [0.0] * bins, edges.tolist()
        for v, w in zip(x.flatten().tolist(), weight.flatten().tolist(), strict=True):
            if at[0] <= v <= at[-1]:
                sums[min(max(bisect_right(at, v) - 1, 0), bins - 1)] += w
        assert ad.histogram(x, edges, weight=weight).hist.tolist() == sums
