"""Matrix products: exact values, and the promise that layout and size never change a bit."""

import random
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_tensors import (
    DTYPES,
    FLOATS,
    INTEGERS,
    Layout,
    NativeError,
    Number,
    layouts,
    owned,
    plain,
    positions,
    shape_of,
    tensor,
    values_of,
    wrap,
)

from autodiff.native import ffi, lib

ISA = ffi.string(lib.ad_isa()).decode()
Matrix = list[list[Number]]


def matmul(a: Any, b: Any, bias: Any = ffi.NULL) -> Any:
    return owned(lib.ad_matmul(a, b, bias))


def flat(rows: Sequence[Sequence[Number]]) -> list[Number]:
    return [x for row in rows for x in row]


def matrix(rows: Matrix, dtype: str, layout: Layout) -> Any:
    return tensor(flat(rows), dtype, layout)


def turned(m: int, n: int) -> Layout:
    """Columns, not rows, lie along memory."""
    return Layout((m, n), (1, 0), (1, 1), 0)


def exact(a: Matrix, b: Matrix, dtype: str, bias: Sequence[Number] | None = None) -> list[Number]:
    """The product where no intermediate result is rounded."""
    n = len(bias) if bias is not None else (len(b[0]) if b else 0)
    bias = bias or [0] * n
    columns = [[row[j] for row in b] for j in range(n)]
    return [
        wrap(sum(x * y for x, y in zip(row, col, strict=True)) + c, dtype)
        for row in a
        for col, c in zip(columns, bias, strict=True)
    ]


def whole_numbers(rng: random.Random, m: int, n: int, dtype: str) -> Matrix:
    """Small enough for sums to be exact in floats; as large as may be in integers, which wrap."""
    bound = 30 if dtype in FLOATS else 2**62
    low = 0 if dtype == "uint8" else -bound
    return [[wrap(rng.randint(low, bound), dtype) for _ in range(n)] for _ in range(m)]


def floats(rng: random.Random, m: int, n: int, dtype: str) -> Matrix:
    return [[wrap(rng.gauss(0, 1), dtype) for _ in range(n)] for _ in range(m)]


sizes = st.integers(0, 20) | st.integers(1, 3)
seeds = st.integers(0, 10**6).map(random.Random)
LARGE = [(70, 40, 300), (1, 40, 1100), (1100, 40, 1), (3, 700, 50), (50, 700, 3), (37, 650, 41)]
LARGE += [(1, 200, 600), (100, 1, 100), (1000, 2, 34)]
LARGE += [(260, 33, 140), (99, 330, 77), (25, 400, 129), (13, 5, 600)]  # each way of packing
LARGE += [(970, 3, 530)]  # of a turned left operand, two blocks
LARGE += [(24, 530, 291)]  # a task of two panels, neither full, that adds to C
LARGE += [(9, 520, 31), (33, 140, 70), (40, 130, 130)]  # and, B turned, the product turned
LARGE += [(2, 40, 700), (4, 19, 17)]  # a few rows, and a right operand turned as it is read
LARGE += [(1, 1000, 400)]  # and one that no cache near by holds


@given(st.data(), sizes, sizes, sizes, st.sampled_from(FLOATS + INTEGERS), st.booleans(), seeds)
def test_value(
    data: st.DataObject, m: int, k: int, n: int, dtype: str, biased: bool, rng: random.Random
) -> None:
    a, b = whole_numbers(rng, m, k, dtype), whole_numbers(rng, k, n, dtype)
    bias = whole_numbers(rng, 1, n, dtype)[0]
    x = matrix(a, dtype, data.draw(layouts((m, k))))
    y = matrix(b, dtype, data.draw(layouts((k, n))))
    z = tensor(bias, dtype, data.draw(layouts((n,)))) if biased else ffi.NULL
    got = matmul(x, y, z)
    assert shape_of(got) == (m, n)
    assert values_of(got) == exact(a, b, dtype, bias if biased else [0] * n)
    assert values_of(x) == flat(a)
    assert values_of(y) == flat(b)


@pytest.mark.parametrize(("m", "k", "n"), LARGE)
@pytest.mark.parametrize("dtype", FLOATS)
def test_large(m: int, k: int, n: int, dtype: str) -> None:
    """Sizes that cross tiles, blocks and tasks: elements are the same however they are got."""
    rng = random.Random(m * k + n)
    a, b = floats(rng, m, k, dtype), floats(rng, k, n, dtype)
    x, y = matrix(a, dtype, plain(m, k)), matrix(b, dtype, plain(k, n))
    turned_x, turned_y = matrix(a, dtype, turned(m, k)), matrix(b, dtype, turned(k, n))
    whole = values_of(matmul(x, y))
    assert values_of(matmul(x, turned_y)) == whole
    assert values_of(matmul(turned_x, y)) == whole
    assert values_of(matmul(turned_x, turned_y)) == whole
    bias = tensor(floats(rng, 1, n, dtype)[0], dtype, plain(n))
    biased = values_of(matmul(x, y, bias))
    assert values_of(matmul(x, turned_y, bias)) == biased != whole
    for i in {0, m // 2, m - 1}:
        row = matmul(owned(lib.ad_slice(x, 0, i, i + 1, 1)), y)
        assert values_of(row) == whole[i * n : (i + 1) * n]
    for j in {0, n // 2, n - 1}:
        column = matmul(x, owned(lib.ad_slice(y, 1, j, j + 1, 1)))
        assert values_of(column) == whole[j::n]
    whole_a, whole_b = whole_numbers(rng, m, k, dtype), whole_numbers(rng, k, n, dtype)
    got = matmul(matrix(whole_a, dtype, plain(m, k)), matrix(whole_b, dtype, plain(k, n)))
    assert values_of(got) == exact(whole_a, whole_b, dtype)


@pytest.mark.parametrize("k", [4, 63, 64, 131, 1024])
@pytest.mark.parametrize("n", [9, 37])
@pytest.mark.parametrize("dtype", FLOATS)
def test_rows_at_one_place_of_the_cache(k: int, n: int, dtype: str) -> None:
    """Columns whose distance is a power of two are multiplied in a way of their own."""
    rng = random.Random(k)
    x = matrix(floats(rng, 1, k, dtype), dtype, plain(1, k))
    rows = matrix(floats(rng, n, 1024, dtype), dtype, plain(n, 1024))
    columns = owned(lib.ad_transpose(owned(lib.ad_slice(rows, 1, 1024 - k, 1024, 1)), 0, 1))
    whole = values_of(matmul(x, columns))
    assert whole == values_of(matmul(x, owned(lib.ad_contiguous(columns, columns.dtype))))


@given(st.data(), sizes, sizes, sizes, st.sampled_from(FLOATS), seeds)
def test_layout_and_company_leave_the_bits(
    data: st.DataObject, m: int, k: int, n: int, dtype: str, rng: random.Random
) -> None:
    a, b = floats(rng, m, k, dtype), floats(rng, k, n, dtype)
    whole = values_of(matmul(matrix(a, dtype, plain(m, k)), matrix(b, dtype, plain(k, n))))
    x = matrix(a, dtype, data.draw(layouts((m, k))))
    y = matrix(b, dtype, data.draw(layouts((k, n))))
    assert values_of(matmul(x, y)) == whole
    for i in range(m):
        assert values_of(matmul(matrix([a[i]], dtype, plain(1, k)), y)) == whole[i * n : i * n + n]
    for j in range(n):
        assert values_of(matmul(x, owned(lib.ad_slice(y, 1, j, j + 1, 1)))) == whole[j::n]
    flipped = matmul(owned(lib.ad_transpose(y, 0, 1)), owned(lib.ad_transpose(x, 0, 1)))
    assert [values_of(flipped)[j * m + i] for i in range(m) for j in range(n)] == whole


@pytest.mark.skipif(ISA == "baseline", reason="the baseline may lack fused multiply-add")
@given(st.integers(1, 4), st.integers(0, 30), st.integers(1, 20), seeds)
def test_an_element_is_one_chain(m: int, k: int, n: int, rng: random.Random) -> None:
    """Multiply-adds over k in order, each rounded once, and the bias last."""
    a, b = floats(rng, m, k, "float64"), floats(rng, k, n, "float64")
    bias = floats(rng, 1, n, "float64")[0]
    want = []
    for row in a:
        for j in range(n):
            total = 0.0
            for p in range(k):
                total = float(Fraction(row[p]) * Fraction(b[p][j]) + Fraction(total))
            want.append(total + bias[j])
    x, y = matrix(a, "float64", plain(m, k)), matrix(b, "float64", plain(k, n))
    assert values_of(matmul(x, y, tensor(bias, "float64"))) == want


@pytest.mark.parametrize("n", [3, 400])
@pytest.mark.parametrize("k", [0, 1, 5, 300])
@pytest.mark.parametrize("dtype", FLOATS)
def test_expanded_operands(k: int, n: int, dtype: str) -> None:
    x = owned(lib.ad_expand(tensor([2], dtype, plain(1, 1)), 2, [9, k]))
    y = owned(lib.ad_expand(tensor(list(range(n)), dtype, plain(1, n)), 2, [k, n]))
    assert values_of(matmul(x, y)) == [2.0 * k * j for j in range(n)] * 9


BATCHES = [((), ()), ((3,), (3,)), ((3,), ()), ((), (3,)), ((2, 1), (3,)), ((1,), (4,)), ((0,), ())]
BATCHES += [((2, 3), (1, 3)), ((1, 1, 2, 1, 1, 2), (1, 1, 1, 1, 3, 1)), ((40,), (40,))]


@pytest.mark.parametrize(("batch_a", "batch_b"), BATCHES)
@given(dtype=st.sampled_from(FLOATS + INTEGERS), data=st.data(), rng=seeds)
def test_batches(
    batch_a: tuple[int, ...],
    batch_b: tuple[int, ...],
    dtype: str,
    data: st.DataObject,
    rng: random.Random,
) -> None:
    m, k, n = data.draw(st.tuples(*[st.integers(0, 4)] * 3))
    items_a = {at: whole_numbers(rng, m, k, dtype) for at in positions(batch_a)}
    items_b = {at: whole_numbers(rng, k, n, dtype) for at in positions(batch_b)}
    layout_a, layout_b = data.draw(layouts((*batch_a, m, k))), data.draw(layouts((*batch_b, k, n)))
    x = tensor([v for item in items_a.values() for v in flat(item)], dtype, layout_a)
    y = tensor([v for item in items_b.values() for v in flat(item)], dtype, layout_b)
    got = matmul(x, y)
    batch = shape_of(got)[:-2]
    want: list[Number] = []
    for at in positions(batch):
        a, b = (
            items[tuple(i % s for i, s in zip(at[len(at) - len(own) :], own, strict=True))]
            for items, own in ((items_a, batch_a), (items_b, batch_b))
        )
        want += exact(a, b, dtype, [0] * n)
    assert len(batch) == max(len(batch_a), len(batch_b))
    assert values_of(got) == want


@given(st.data(), st.integers(1, 11), st.integers(0, 30), st.sampled_from(FLOATS), seeds)
def test_rows_times_columns_are_as_each_alone(
    data: st.DataObject, n: int, k: int, dtype: str, rng: random.Random
) -> None:
    a, b = floats(rng, 2 * n, k, dtype), floats(rng, n, k, dtype)
    x = tensor(flat(a), dtype, data.draw(layouts((2, n, 1, k))))
    y = tensor(flat(b), dtype, data.draw(layouts((n, k, 1))))
    want = [
        value
        for row, column in zip(a, b + b, strict=True)
        for value in values_of(
            matmul(tensor(row, dtype, plain(1, k)), tensor(column, dtype, plain(k, 1)))
        )
    ]
    assert values_of(matmul(x, y)) == want


def test_threads_leave_the_bits() -> None:
    rng = random.Random(1)
    a, b = floats(rng, 120, 330, "float32"), floats(rng, 330, 130, "float32")
    x, y = matrix(a, "float32", plain(120, 330)), matrix(b, "float32", plain(330, 130))
    before, results = lib.ad_get_num_threads(), []
    for n in (1, 2, 5):
        assert lib.ad_set_num_threads(n) == 0
        results.append(values_of(matmul(x, y)))
    lib.ad_set_num_threads(before)
    assert results[0] == results[1] == results[2]


ERRORS: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...] | None, tuple[Any, ...]]] = [
    ((2, 3), (4, 2), None, ("BAD_SHAPE", 3, 4, 0)),
    ((2, 2, 3), (3, 3, 2), None, ("BROADCAST", 2, 3, 0)),
    ((5, 1, 2, 3), (2, 1, 3, 2), None, ("BROADCAST", 5, 2, 0)),
    ((3,), (3, 2), None, ("BAD_DIM", -2, 1, 0)),
    ((2, 3), (3,), None, ("BAD_DIM", -2, 1, 0)),
    ((2, 3), (3, 4), (3,), ("BAD_SHAPE", 3, 4, 0)),
    ((2, 3), (3, 4), (1, 4), ("BAD_DIM", 0, 2, 0)),
]


@pytest.mark.parametrize(("a", "b", "bias", "want"), ERRORS)
def test_errors(
    a: tuple[int, ...], b: tuple[int, ...], bias: tuple[int, ...] | None, want: tuple[Any, ...]
) -> None:
    x, y = (owned(lib.ad_full_f64(DTYPES["float32"], len(s), list(s), 1)) for s in (a, b))
    z = owned(lib.ad_full_f64(DTYPES["float32"], len(bias), list(bias), 1)) if bias else ffi.NULL
    with pytest.raises(NativeError) as caught:
        matmul(x, y, z)
    assert caught.value.args == want


@pytest.mark.parametrize(("a", "b"), [("bool", "bool"), ("float32", "float64"), ("int64", "int32")])
def test_dtypes_that_do_not_multiply(a: str, b: str) -> None:
    x, y = tensor([1], a, plain(1, 1)), tensor([1], b, plain(1, 1))
    with pytest.raises(NativeError) as caught:
        matmul(x, y)
    assert caught.value.args == ("BAD_DTYPE", DTYPES[b], 0, 0)


def test_too_large_for_memory() -> None:
    """An error, also where the operands themselves take no room."""
    x = owned(lib.ad_expand(tensor([1], "float32", plain(1, 1)), 2, [2**40, 1]))
    for n, want in ((2**40, "TOO_LARGE"), (2**12, "NO_MEMORY")):
        y = owned(lib.ad_expand(tensor([1], "float32", plain(1, 1)), 2, [1, n]))
        with pytest.raises(NativeError) as caught:
            matmul(x, y)
        assert caught.value.args[0] == want


@pytest.mark.parametrize("flags", range(8))
@pytest.mark.parametrize("wanted", ["", "a", "b", "ab"])
def test_cotangents_by_one_call(flags: int, wanted: str) -> None:
    """Each as the product that it is, in the place of its operand; none that nobody wants."""
    a, b, g = ([[i * n + j - 3 for j in range(n)] for i in range(m)] for m, n in SIZES)

    def across(rows: Matrix, swap: int) -> Matrix:
        return [*map(list, zip(*rows, strict=True))] if swap else rows

    def stored(rows: Matrix) -> Any:
        return matrix(rows, "float32", plain(len(rows), len(rows[0])))

    def product(x: Matrix, y: Matrix, swap: int) -> Matrix:
        flat_product, n = exact(x, y, "float32"), len(y[0])
        rows = [flat_product[i : i + n] for i in range(0, len(flat_product), n)]
        return across(rows, swap)

    x, y = stored(across(a, flags & 1)), stored(across(b, flags & 2))
    want = []
    if "a" in wanted:
        want.append(flat(product(g, across(b, 1), flags & 1)))
    if "b" in wanted:
        want.append(flat(product(across(a, 1), g, flags & 2)))
    if flags & 4:
        want.append([sum(column) for column in across(g, 1)])
    given = x if "b" in wanted else ffi.NULL, y if "a" in wanted else ffi.NULL
    p = lib.ad_mm_vjp(stored(g), *given, flags)
    if not want:
        with pytest.raises(NativeError, match="EMPTY"):
            owned(p)
        return
    found = [owned(p)]
    while rest := lib.ad_next():
        found.append(owned(rest))
    assert [values_of(q) for q in found] == want


SIZES = ((2, 3), (3, 4), (2, 4))  # of a, b and their product


def test_batches_of_one_shape_alone() -> None:
    """With their cotangents, where these are asked for as such."""
    a, b = (tensor([float(i % 5) for i in range(8)], "float32", plain(2, 2, 2)) for _ in "ab")
    g, other = (
        tensor([1.0] * 8, "float32", plain(2, 2, 2)),
        tensor([1.0] * 4, "float32", plain(2, 2)),
    )
    whole = values_of(owned(lib.ad_matmul_t(a, b, ffi.NULL, 0)))
    assert values_of(owned(lib.ad_bmm(a, b, 0))) == whole
    found = owned(lib.ad_mm_vjp(g, a, b, 8)), owned(lib.ad_next())
    want = (g, b, 2), (a, g, 1)
    for y, (left, right, flags) in zip(found, want, strict=True):
        assert values_of(y) == values_of(owned(lib.ad_matmul_t(left, right, ffi.NULL, flags)))
    for refused, name in (
        (other, "BAD_DIM"),
        (tensor([1.0] * 4, "float32", plain(1, 2, 2)), "BAD_SHAPE"),
    ):
        for x, y in ((a, refused), (refused, a)):
            with pytest.raises(NativeError, match=name):
                owned(lib.ad_bmm(x, y, 0))
    with pytest.raises(NativeError, match="BAD_DIM"):
        owned(lib.ad_bmm(other, other, 0))


def test_cotangents_of_others_than_matrices() -> None:
    g, x = tensor([1.0] * 8, "float32", plain(2, 2, 2)), tensor([1.0] * 4, "float32", plain(2, 2))
    for rest in ((x, x, 2), (x, ffi.NULL, 2), (ffi.NULL, ffi.NULL, 6)):
        with pytest.raises(NativeError, match="BAD_DIM"):
            owned(lib.ad_mm_vjp(g, *rest))
    with pytest.raises(NativeError, match="BAD_SHAPE"):  # of the second: the first is given up
        owned(lib.ad_mm_vjp(x, tensor([1.0] * 3, "float32", plain(3, 1)), x, 2))
