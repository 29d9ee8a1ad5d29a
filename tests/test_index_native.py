"""Copies, gather and scatter against plain Python lists."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_tensors import (
    C_TYPES,
    DTYPES,
    FLOATS,
    HALVES,
    Layout,
    NativeError,
    Number,
    check,
    dtype_of,
    layouts,
    numbers,
    owned,
    plain,
    positions,
    same,
    shape_of,
    shapes,
    strides_of,
    tensor,
    values_of,
    wrap,
)

from autodiff.native import descriptors, ffi, lib

dtypes = st.sampled_from(list(DTYPES))


@st.composite
def tensors(draw: st.DrawFn, shape: Sequence[int], dtype: str) -> tuple[Any, list[Number]]:
    """A tensor in any layout, and its values."""
    n = math.prod(shape)
    values = draw(st.lists(numbers(dtype), min_size=n, max_size=n))
    return tensor(values, dtype, draw(layouts(shape))), [wrap(v, dtype) for v in values]


def convert(value: Number, dtype: str) -> Number:
    """As the library converts: what no int64 (of int32: no int32) holds becomes the smallest."""
    if dtype in (*FLOATS, *HALVES, "bool") or isinstance(value, int):
        return wrap(value, dtype)
    limit = 2**31 if dtype == "int32" else 2**63
    fits = math.isfinite(value) and -limit <= value < limit
    return wrap(math.trunc(value) if fits else -limit, dtype)


# ---- copies ----


@given(st.data(), dtypes, dtypes)
def test_contiguous_converts(data: st.DataObject, dtype: str, result: str) -> None:
    shape = data.draw(shapes())
    x, values = data.draw(tensors(shape, dtype))
    y = owned(lib.ad_contiguous(x, DTYPES[result]))
    assert y.contiguous
    assert shape_of(y) == shape
    assert same(values_of(y), [convert(v, result) for v in values])


@given(st.data(), dtypes)
def test_clone_keeps_the_order_of_strides(data: st.DataObject, dtype: str) -> None:
    shape = data.draw(shapes())
    layout = data.draw(layouts(shape))
    values = [wrap(i % 100, dtype) for i in range(math.prod(shape))]
    x = tensor(values, dtype, layout)
    y = owned(lib.ad_clone(x))
    assert values_of(y) == values
    assert lib.ad_storage_id(x) != lib.ad_storage_id(y)
    loops = sorted((s, d) for d, s in enumerate(strides_of(x)) if shape[d] > 1)
    if values and len({s for s, _ in loops}) == len(loops) and all(s > 0 for s, _ in loops):
        for i, (_, d) in enumerate(loops):
            assert strides_of(y)[d] == math.prod(shape[inner] for _, inner in loops[:i])


@given(st.data(), dtypes, dtypes)
def test_copy_broadcasts_and_converts(data: st.DataObject, dtype: str, result: str) -> None:
    shape = data.draw(shapes())
    drop = data.draw(st.integers(0, len(shape)))
    small = tuple(data.draw(st.sampled_from([1, n])) for n in shape[drop:])
    x, _ = data.draw(tensors(small, dtype))
    dst, _ = data.draw(tensors(shape, result))
    wide = values_of(owned(lib.ad_expand(x, len(shape), list(shape))))
    version = lib.ad_version(dst)
    check(lib.ad_copy(dst, x))
    assert lib.ad_version(dst) == version + 1
    assert same(values_of(dst), [convert(v, result) for v in wide])


@pytest.mark.parametrize("dtype", ["bool", "float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 40), (16, 16), (17, 33), (3, 50, 70), (300, 700)])
def test_transposes(shape: tuple[int, ...], dtype: str) -> None:
    n = math.prod(shape)
    values = [wrap(i * 7919 % 251, dtype) for i in range(n)]
    order = (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2)
    x = tensor(values, dtype, Layout(shape, order, (1,) * len(shape), 0))
    assert values_of(owned(lib.ad_contiguous(x, x.dtype))) == values


def test_large_copies_in_pieces() -> None:
    values = [float(i) for i in range(200_003)]
    x = tensor(values, "float32")
    assert values_of(owned(lib.ad_clone(x))) == values
    check(lib.ad_copy(x, owned(lib.ad_full_f64(DTYPES["float64"], 0, [], 2.5))))
    assert values_of(x) == [2.5] * len(values)


@pytest.mark.parametrize(("to", "start"), [(0, 0), (0, 2), (2, 0), (40, 0)])
@pytest.mark.parametrize("step", [1, 2])
def test_copy_between_overlapping_views(to: int, start: int, step: int) -> None:
    x = tensor(range(200), "int64")
    dst = owned(lib.ad_slice(x, 0, to, to + 50 * step, step))
    src = owned(lib.ad_slice(x, 0, start, start + 100, 2))
    before = values_of(src)
    check(lib.ad_copy(dst, src))
    assert values_of(dst) == before


def test_copy_of_the_transpose_of_itself() -> None:
    n = 40
    x = tensor(range(n * n), "float32", plain(n, n))
    check(lib.ad_copy(x, owned(lib.ad_transpose(x, 0, 1))))
    assert values_of(x) == [float(c * n + r) for r in range(n) for c in range(n)]


def test_copy_errors() -> None:
    x = tensor(range(6), "float32", plain(2, 3))
    wide = owned(lib.ad_expand(tensor([1], "float32"), 1, [4]))
    with pytest.raises(NativeError, match="OVERLAP"):
        check(lib.ad_copy(wide, tensor([1], "float32")))
    with pytest.raises(NativeError, match="BROADCAST"):
        check(lib.ad_copy(x, tensor(range(2), "float32")))
    with pytest.raises(NativeError, match="BAD_DTYPE"):
        owned(lib.ad_contiguous(x, len(DTYPES)))
    assert lib.ad_version(x) == 0


@given(st.data(), dtypes)
def test_full_and_item(data: st.DataObject, dtype: str) -> None:
    shape = data.draw(shapes())
    value = data.draw(numbers(data.draw(st.sampled_from(["float64", "int64"]))))
    make = lib.ad_full_f64 if isinstance(value, float) else lib.ad_full_i64
    y = owned(make(DTYPES[dtype], len(shape), list(shape), value))
    assert shape_of(y) == shape
    assert same(values_of(y), [convert(value, dtype)] * math.prod(shape))
    if math.prod(shape) == 1:
        assert same([lib.ad_item_f64(y)], [convert(values_of(y)[0], "float64")])
        assert lib.ad_item_i64(y) == convert(values_of(y)[0], "int64")
    else:
        assert lib.ad_item_f64(y) == lib.ad_item_i64(y) == 0


# ---- concatenation ----


def cat(xs: Sequence[Any], dim: int, dtype: str) -> Any:
    return owned(lib.ad_cat(len(xs), list(xs), dim, DTYPES[dtype]))


@given(st.data(), dtypes)
def test_cat(data: st.DataObject, result: str) -> None:
    shape = data.draw(shapes(max_size=3).filter(bool))
    dim = data.draw(st.integers(0, len(shape) - 1))
    parts, rows = [], []
    for _ in range(data.draw(st.integers(1, 3))):
        dtype = data.draw(dtypes)
        part_shape = (*shape[:dim], data.draw(st.integers(0, 3)), *shape[dim + 1 :])
        x, values = data.draw(tensors(part_shape, dtype))
        parts.append(x)
        rows.append(dict(zip(positions(part_shape), values, strict=True)))
    skipped = tensor([], "float32")
    y = cat([skipped, *parts, skipped], dim, result)
    expected, start = {}, 0
    for x, row in zip(parts, rows, strict=True):
        for p, v in row.items():
            place = (*p[:dim], p[dim] + start, *p[dim + 1 :])
            expected[place] = convert(v, result)
        start += x.shape[dim]
    assert shape_of(y) == (*shape[:dim], start, *shape[dim + 1 :])
    assert same(values_of(y), [expected[p] for p in positions(shape_of(y))])


def test_cat_errors() -> None:
    x, y = tensor(range(6), "float32", plain(2, 3)), tensor(range(4), "float32", plain(2, 2))
    with pytest.raises(NativeError, match="BAD_SHAPE"):
        cat([x, y], 0, "float32")
    with pytest.raises(NativeError, match="BAD_SHAPE"):
        cat([x, tensor([1], "float32")], 0, "float32")
    for dim in (-3, 2):
        with pytest.raises(NativeError, match="BAD_DIM"):
            cat([x], dim, "float32")
    with pytest.raises(NativeError, match="BAD_ARG"):
        cat([], 0, "float32")
    assert shape_of(cat([tensor([], "bool")], 0, "int32")) == (0,)


# ---- gather and scatter ----


@st.composite
def indexed(draw: st.DrawFn) -> tuple[str, tuple[int, ...], int, tuple[int, ...], list[list[int]]]:
    """(dtype, shape, dimensions indexed, index shape, indices of each)."""
    shape = draw(shapes(max_dims=3, max_size=4).filter(bool))
    n = draw(st.integers(1, len(shape)))
    index_shape = draw(shapes(max_dims=2, max_size=3))
    if 0 in shape[:n]:
        index_shape = (*index_shape, 0)
    count = math.prod(index_shape)
    indices = [
        [draw(st.integers(-size, size - 1)) for _ in range(count)] if count else []
        for size in shape[:n]
    ]
    return draw(dtypes), shape, n, index_shape, indices


def places(shape: Sequence[int], n: int, indices: list[list[int]]) -> list[tuple[int, ...]]:
    """The position in x of each element of the result, in order."""
    heads = zip(*indices, strict=True)
    return [
        (*(i % size for i, size in zip(head, shape, strict=False)), *rest)
        for head in heads
        for rest in positions(shape[n:])
    ]


def index_tensors(data: st.DataObject, shape: Sequence[int], indices: list[list[int]]) -> Any:
    made = [tensor(i, "int64", data.draw(layouts(shape))) for i in indices]
    return made, descriptors(made)


@given(indexed(), st.data())
def test_index_get(case: tuple[Any, ...], data: st.DataObject) -> None:
    dtype, shape, n, index_shape, indices = case
    x, values = data.draw(tensors(shape, dtype))
    kept, pointers = index_tensors(data, index_shape, indices)
    y = owned(lib.ad_index_get(x, 0, len(kept), pointers))
    at = dict(zip(positions(shape), values, strict=True))
    assert dtype_of(y) == dtype
    assert shape_of(y) == (*index_shape, *shape[n:])
    assert same(values_of(y), [at[p] for p in places(shape, n, indices)])


@given(indexed(), st.data(), st.booleans())
def test_index_put(case: tuple[Any, ...], data: st.DataObject, accumulate: bool) -> None:
    dtype, shape, n, index_shape, indices = case
    x, values = data.draw(tensors(shape, dtype))
    kept, pointers = index_tensors(data, index_shape, indices)
    wide = (*index_shape, *shape[n:])
    drop = data.draw(st.integers(0, len(wide)))
    small = tuple(data.draw(st.sampled_from([1, n])) for n in wide[drop:])
    source, _ = data.draw(tensors(small, data.draw(dtypes)))
    new = values_of(owned(lib.ad_expand(source, len(wide), list(wide))))
    at = dict(zip(positions(shape), values, strict=True))
    kind = "float32" if dtype in HALVES and accumulate else dtype  # added up, then rounded once
    for p, value in zip(places(shape, n, indices), new, strict=True):
        v = convert(value, kind)
        at[p] = wrap(at[p] + v, kind) if accumulate else v
    at = {p: wrap(v, dtype) for p, v in at.items()}
    version = lib.ad_version(x)
    check(lib.ad_index_put(x, 0, len(kept), pointers, source, accumulate))
    assert lib.ad_version(x) == version + 1
    assert same(values_of(x), list(at.values()))


@pytest.mark.parametrize("accumulate", [0, 1])
def test_a_wrong_index_writes_nothing(accumulate: int) -> None:
    x = tensor(range(6), "float32", plain(2, 3))
    rows, cols = tensor([0, 1], "int64"), tensor([1, 3], "int64")
    pointers = [rows, cols]
    with pytest.raises(NativeError) as raised:
        check(lib.ad_index_put(x, 0, 2, pointers, tensor([9], "float32"), accumulate))
    assert raised.value.args == ("BAD_INDEX", 3, 1, 3)
    assert values_of(x) == [0, 1, 2, 3, 4, 5]
    assert lib.ad_version(x) == 0
    with pytest.raises(NativeError, match="BAD_INDEX"):
        owned(lib.ad_index_get(x, 0, 1, [tensor([-(2**63)], "int64")]))


def test_values_that_share_memory_are_read_first() -> None:
    x = tensor(range(6), "int32")
    index = tensor([1, 2, 3, 4, 5], "int64")
    values = owned(lib.ad_slice(x, 0, 0, 5, 1))
    check(lib.ad_index_put(x, 0, 1, [index], values, 0))
    assert values_of(x) == [0, 0, 1, 2, 3, 4]
    check(lib.ad_index_put(x, 0, 1, [index], values, 1))
    assert values_of(x) == [0, 0, 1, 3, 5, 7]


def test_an_index_that_shares_memory_is_read_first() -> None:
    x = tensor([4, 3, 2, 1, 0], "int64")
    check(lib.ad_index_put(x, 0, 1, [x], tensor([10, 11, 12, 13, 14], "int64"), 0))
    assert values_of(x) == [14, 13, 12, 11, 10]


def test_index_errors() -> None:
    x = tensor(range(6), "float32", plain(2, 3))
    index = tensor([0], "int64")
    bad: list[tuple[list[Any], str]] = [
        ([], "BAD_DIM"),
        ([index, index, index], "BAD_DIM"),
        ([tensor([0], "int32")], "BAD_DTYPE"),
        ([index, tensor([0, 1], "int64")], "BAD_SHAPE"),
        ([index, tensor([0], "int64", plain(1, 1))], "BAD_SHAPE"),
        ([tensor([0], "int64", plain(*[1] * 8))], "BAD_DIM"),
    ]
    for indices, name in bad:
        pointers = descriptors(indices)
        with pytest.raises(NativeError, match=name):
            owned(lib.ad_index_get(x, 0, len(indices), pointers))
        with pytest.raises(NativeError, match=name):
            check(lib.ad_index_put(x, 0, len(indices), pointers, index, 0))
    with pytest.raises(NativeError, match="BROADCAST"):
        check(lib.ad_index_put(x, 0, 1, [index], tensor(range(2), "float32"), 0))


def test_stretches_of_an_index_name_rows_of_each_tensor() -> None:
    xs = [tensor(range(6), "float32", plain(3, 2)), tensor([7, 8, 9], "int64")]
    index, out = tensor([2, 0, 1, 1], "int64"), ffi.new("ad_tensor *[2]")
    check(lib.ad_index_rows(2, xs, index, 1, 3, out))
    assert [values_of(owned(p)) for p in out] == [[0, 1, 2, 3], [7, 8]]
    short = [xs[0], tensor([7], "int64")]
    for tables, at, name in (
        (short, index, "BAD_INDEX"),
        (xs, tensor([0, 0, 0], "int32"), "BAD_DTYPE"),
        (xs, tensor([0], "int64", plain()), "BAD_DIM"),
        ([tensor([1], "float32", plain()), xs[1]], index, "BAD_DIM"),
    ):
        with pytest.raises(NativeError, match=name):
            check(lib.ad_index_rows(2, tables, at, 1, 3, out))


def test_values_are_added_at_places_of_several_dimensions() -> None:
    values = tensor([1, 2, 3, 4], "float32", plain(2, 2))
    places = tensor([5, 0, 5, 5], "int64", plain(2, 2))
    y = owned(lib.ad_add_at(values, places, 1, 2, [2, 3]))
    assert shape_of(y) == (2, 2, 3)
    assert values_of(y) == [2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 7]
    for first, n, at, name in (
        (2, 1, places, "BAD_DIM"),
        (-1, 1, places, "BAD_DIM"),
        (1, 0, places, "BAD_DIM"),
        (1, 8, places, "BAD_DIM"),
        (1, 2, tensor([6, 0, 0, 0], "int64", plain(2, 2)), "BAD_INDEX"),
        (1, 2, tensor([0] * 4, "int32", plain(2, 2)), "BAD_DTYPE"),
    ):
        with pytest.raises(NativeError, match=name):
            owned(lib.ad_add_at(values, at, first, n, [2, 3]))


def test_what_padding_sends_back_is_checked() -> None:
    g = tensor([1, 2, 3, 4, 5], "float64", plain(1, 5))
    y = owned(lib.ad_pad_vjp(g, 2, [1, 1], lib.AD_PAD_REFLECT, [1, 3]))
    assert values_of(y) == [2, 1 + 3 + 5, 4]
    for n, pads, how, size in (
        (1, [1], lib.AD_PAD_REFLECT, 3),
        (6, [0] * 6, lib.AD_PAD_REFLECT, 3),
        (2, [1, 1], lib.AD_PAD_CONSTANT, 3),
        (2, [1, 1], lib.AD_PAD_REPLICATE, 4),
        (2, [1, 1], lib.AD_PAD_REPLICATE, 0),
        (2, [1, 1], 9, 3),
    ):
        with pytest.raises(NativeError):
            owned(lib.ad_pad_vjp(g, n, pads, how, [1, size]))


def test_embedding_sized_gather() -> None:
    rows, cols = 300, 65
    table = tensor(range(rows * cols), "float32", plain(rows, cols))
    wanted = [i * 37 % rows for i in range(4000)]
    y = owned(lib.ad_index_get(table, 0, 1, [tensor(wanted, "int64")]))
    assert values_of(y) == [float(i * cols + c) for i in wanted for c in range(cols)]


@given(st.data(), dtypes)
def test_nonzero(data: st.DataObject, dtype: str) -> None:
    shape = data.draw(shapes())
    x, values = data.draw(tensors(shape, dtype))
    y = owned(lib.ad_nonzero(x, False))
    found = [p for p, v in zip(positions(shape), values, strict=True) if v != 0]
    assert dtype_of(y) == "int64"
    assert shape_of(y) == (len(found), len(shape))
    assert values_of(y) == [i for p in found for i in p]
    flat = owned(lib.ad_nonzero(x, True))
    assert shape_of(flat) == (len(found),)
    at = {p: i for i, p in enumerate(positions(shape))}
    assert values_of(flat) == [at[p] for p in found]


def test_every_dtype_has_a_c_type() -> None:
    assert set(C_TYPES) == set(DTYPES)
