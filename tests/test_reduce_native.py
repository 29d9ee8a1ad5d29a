"""Reductions against a plain reference of the documented order, bit for bit."""

import functools
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_tensors import (
    DTYPES,
    FLOATS,
    INTEGERS,
    REDUCTIONS,
    Layout,
    NativeError,
    Number,
    dtype_of,
    layouts,
    numbers,
    offsets,
    owned,
    plain,
    positions,
    same,
    shape_of,
    shapes,
    tensor,
    values_of,
    wrap,
)

import autodiff as ad
from autodiff.native import lib

CHUNK = 1024
Fold = Callable[[Number, Number], Number]


def greatest(a: Number, b: Number) -> Number:
    return a if a != a or a > b else b


def least(a: Number, b: Number) -> Number:
    return a if a != a or a < b else b


FOLDS: dict[str, tuple[Fold, Number]] = {
    "sum": (lambda a, b: a + b, 0),
    "prod": (lambda a, b: a * b, 1),
    "max": (greatest, -math.inf),
    "min": (least, math.inf),
}


def fold_reference(kind: str, values: Sequence[Number], dtype: str) -> Number:
    """The scheme at the top of reduce.c, in plain Python."""
    fold, identity = FOLDS[kind]
    n_lanes = 16 if dtype == "float32" else 8

    def join(a: Number, b: Number) -> Number:
        return wrap(fold(a, b), dtype) if dtype in FLOATS else fold(a, b)

    pending: list[tuple[int, Number]] = []  # (chunks, their fold), sizes falling
    for start in range(0, len(values), CHUNK):
        chunk, lanes = values[start : start + CHUNK], [identity] * n_lanes
        for first in range(0, len(chunk), 4 * n_lanes):
            for lane in range(n_lanes):
                four = chunk[first + lane : first + 4 * n_lanes : n_lanes]
                if four:
                    lanes[lane] = join(lanes[lane], functools.reduce(join, four))
        while len(lanes) > 1:
            half = len(lanes) // 2
            lanes = [join(lanes[i], lanes[i + half]) for i in range(half)]
        size, folded = 1, lanes[0]
        while pending and pending[-1][0] == size:
            folded = join(pending.pop()[1], folded)
            size *= 2
        pending.append((size, folded))
    total = pending.pop()[1]
    while pending:
        total = join(pending.pop()[1], total)
    return wrap(total, dtype)


def reduce(kind: str, x: Any, dims: Sequence[int], keepdim: bool, dtype: str) -> Any:
    mask = sum(1 << d for d in dims)
    return owned(lib.ad_reduce(REDUCTIONS[kind], x, mask, keepdim, DTYPES[dtype]))


def sequences(
    values: Sequence[Number], shape: Sequence[int], dims: Sequence[int]
) -> list[list[Number]]:
    """The inputs of each result element, in order."""
    groups: dict[tuple[int, ...], list[Number]] = {
        p: [] for p in positions([1 if d in dims else n for d, n in enumerate(shape)])
    }
    for position, value in zip(positions(shape), values, strict=True):
        groups[tuple(0 if d in dims else i for d, i in enumerate(position))].append(value)
    return list(groups.values())


@st.composite
def reductions(draw: st.DrawFn, dtypes: Sequence[str], min_size: int = 0) -> tuple[Any, ...]:
    """(dtype, layout, values, dims, keepdim)."""
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(shapes(max_size=4).filter(lambda s: math.prod(s) >= min_size))
    layout = draw(layouts(shape))
    n = math.prod(shape)
    values = draw(st.lists(numbers(dtype), min_size=n, max_size=n))
    dims = draw(st.sets(st.integers(0, len(shape) - 1))) if shape else set()
    return dtype, layout, values, sorted(dims), draw(st.booleans())


def check_shape(y: Any, layout: Layout, dims: Sequence[int], keepdim: bool) -> None:
    kept = [1 if d in dims else n for d, n in enumerate(layout.shape) if keepdim or d not in dims]
    assert shape_of(y) == tuple(kept)


@given(reductions((*FLOATS, *INTEGERS)), st.sampled_from(["sum", "prod"]))
def test_sums_and_products(case: tuple[Any, ...], kind: str) -> None:
    dtype, layout, values, dims, keepdim = case
    y = reduce(kind, tensor(values, dtype, layout), dims, keepdim, dtype)
    check_shape(y, layout, dims, keepdim)
    expected = [
        fold_reference(kind, s, dtype) if s else FOLDS[kind][1]
        for s in sequences(values, layout.shape, dims)
    ]
    assert same(values_of(y), [wrap(v, dtype) for v in expected])


@given(reductions((*FLOATS, *INTEGERS, "bool"), 1), st.sampled_from(["max", "min"]))
def test_extremes(case: tuple[Any, ...], kind: str) -> None:
    dtype, layout, values, dims, keepdim = case
    y = reduce(kind, tensor(values, dtype, layout), dims, keepdim, dtype)
    check_shape(y, layout, dims, keepdim)
    expected = [fold_reference(kind, s, dtype) for s in sequences(values, layout.shape, dims)]
    assert same(values_of(y), expected)


@given(reductions(FLOATS, 1), st.sampled_from(["sum", "max", "min"]))
def test_folds_of_magnitudes(case: tuple[Any, ...], kind: str) -> None:
    dtype, layout, values, dims, keepdim = case
    y = reduce(f"{kind}_abs", tensor(values, dtype, layout), dims, keepdim, dtype)
    check_shape(y, layout, dims, keepdim)
    magnitudes = tensor([abs(v) for v in values], dtype, layout)
    assert same(values_of(y), values_of(reduce(kind, magnitudes, dims, keepdim, dtype)))


@given(reductions((*FLOATS, *INTEGERS, "bool")), st.sampled_from(["any", "all"]))
def test_truths(case: tuple[Any, ...], kind: str) -> None:
    dtype, layout, values, dims, keepdim = case
    y = reduce(kind, tensor(values, dtype, layout), dims, keepdim, "bool")
    check_shape(y, layout, dims, keepdim)
    test = any if kind == "any" else all
    assert values_of(y) == [int(test(s)) for s in sequences(values, layout.shape, dims)]


@given(reductions((*FLOATS, *INTEGERS, "bool"), 1), st.sampled_from(["max", "min"]), st.data())
def test_places_of_extremes(case: tuple[Any, ...], kind: str, data: st.DataObject) -> None:
    dtype, layout, values, _, keepdim = case
    n = len(layout.shape)
    dims = data.draw(st.sampled_from([[d] for d in range(n)] + [list(range(n))]))
    y = reduce("arg" + kind, tensor(values, dtype, layout), dims, keepdim, "int64")
    check_shape(y, layout, dims, keepdim)
    expected = []
    for s in sequences(values, layout.shape, dims):
        nans = [i for i, v in enumerate(s) if v != v]
        expected.append(nans[0] if nans else s.index(max(s) if kind == "max" else min(s)))
    assert values_of(y) == expected


@given(reductions((*FLOATS, "int64", "bool")), st.sampled_from(FLOATS))
def test_mean(case: tuple[Any, ...], result: str) -> None:
    dtype, layout, values, dims, keepdim = case
    y = reduce("mean", tensor(values, dtype, layout), dims, keepdim, result)
    expected = []
    for s in sequences([wrap(v, result) for v in values], layout.shape, dims):
        total = fold_reference("sum", s, result) if s else math.nan
        expected.append(wrap(total / max(1, len(s)), result))
    assert same(values_of(y), expected)


@given(reductions((*FLOATS, *INTEGERS, "bool")), st.sampled_from(["float64", "int64"]))
def test_sum_in_another_dtype(case: tuple[Any, ...], result: str) -> None:
    dtype, layout, values, dims, _ = case
    values = [v if math.isfinite(v) and abs(v) < 2**62 else 5 for v in values]
    y = reduce("sum", tensor(values, dtype, layout), dims, False, result)
    converted = [wrap(wrap(v, dtype), result) for v in values]
    expected = [
        fold_reference("sum", s, result) if s else 0
        for s in sequences(converted, layout.shape, dims)
    ]
    assert same(values_of(y), [wrap(v, result) for v in expected])


LENGTHS = [1, 7, 8, 9, 15, 16, 17, 64, 1000, 1023, 1024, 1025, 2049, 5000, 70001]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("kind", ["sum", "max"])
def test_every_path_gives_the_same_bits(kind: str, length: int, dtype: str) -> None:
    draw = random.Random(length)
    values = [wrap(draw.gauss(0, 1) * 10 ** draw.randint(-3, 3), dtype) for _ in range(length)]
    expected = [fold_reference(kind, values, dtype)]
    row = tensor(values, dtype)
    assert values_of(reduce(kind, row, [0], False, dtype)) == expected
    if length > 5000:
        return
    spread = tensor(values, dtype, Layout((length,), (0,), (3,), 1))
    assert values_of(reduce(kind, spread, [0], False, dtype)) == expected
    for cols in (1, 3, 4, 5, 8, 130):
        wide = owned(lib.ad_expand(owned(lib.ad_unsqueeze(row, 1)), 2, [length, cols]))
        packed = owned(lib.ad_contiguous(wide, wide.dtype))
        for columns in (wide, packed):
            assert values_of(reduce(kind, columns, [0], False, dtype)) == expected * cols
        rows = owned(lib.ad_contiguous(owned(lib.ad_transpose(packed, 0, 1)), packed.dtype))
        assert values_of(reduce(kind, rows, [1], False, dtype)) == expected * cols


VIEWS: dict[str, Callable[[ad.Tensor], ad.Tensor]] = {
    "windows": lambda x: x.unfold(0, 2048, 1024),
    "windows of a chunk": lambda x: x.unfold(0, 1024, 512),
    "short windows": lambda x: x.unfold(0, 10, 5),
    "repeated": lambda x: x.expand(3, 24_000),
    "cut": lambda x: x.view(20, 1200)[:, :1024],
    "inner and outer": lambda x: x.view(3, 4, 2000)[:, :, :1024].transpose(0, 1),
    "turned": lambda x: x.view(20, 1200).T,
    "turned in several blocks": lambda x: x.repeat(7).view(140, 1200).T,
    "rolled": lambda x: x.view(20, 30, 40).permute(2, 0, 1),
    "every other": lambda x: x.view(20, 1200)[:, ::2],
    "few": lambda x: x.view(12, 2000)[:, ::2],
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int64", "uint8", "bool"])
@pytest.mark.parametrize("name", VIEWS)
def test_views_give_the_bits_of_their_copies(name: str, dtype: str) -> None:
    draw = random.Random(name)
    numbers = [draw.choice([0, 1, 3, 7, 100]) * draw.random() for _ in range(24_000)]
    x = ad.tensor(numbers).to(getattr(ad, dtype))
    if dtype.startswith("f"):
        x[5000] = math.nan
    view = VIEWS[name](x)
    for kind in ("sum", "nansum", "amax", "any"):
        for dims in [(), *((d,) for d in range(view.ndim)), (0, view.ndim - 1)]:
            results = [getattr(y, kind)(dims) for y in (view, view.contiguous())]
            assert ad.equal(*(y.nan_to_num(-1.0) for y in results)), (kind, dims)


@pytest.mark.parametrize("shape", [(70000,), (9000, 40), (40, 9000), (3, 5000, 7)])
@pytest.mark.parametrize("dims", [[0], [0, 1], [1], [0, 1, 2]])
def test_threads_change_nothing(shape: tuple[int, ...], dims: list[int]) -> None:
    dims = [d for d in dims if d < len(shape)] or [0]
    draw = random.Random(1)
    x = tensor([draw.random() for _ in range(math.prod(shape))], "float32", plain(*shape))
    threads, results = lib.ad_get_num_threads(), []
    try:
        for n in (1, 2, 3):
            lib.ad_set_num_threads(n)
            results.append(values_of(reduce("sum", x, dims, False, "float32")))
    finally:
        lib.ad_set_num_threads(threads)
    assert results[0] == results[1] == results[2]


def test_inner_and_outer_dimensions_together() -> None:
    """As a batch normalisation reduces: the sequence of one result is in many runs."""
    draw = random.Random(2)
    shape = (5, 3, 20, 30)
    values = [wrap(draw.gauss(0, 1), "float32") for _ in range(math.prod(shape))]
    y = reduce("sum", tensor(values, "float32", plain(*shape)), [0, 2, 3], False, "float32")
    expected = [fold_reference("sum", s, "float32") for s in sequences(values, shape, [0, 2, 3])]
    assert values_of(y) == expected


def test_argmax_of_a_long_sequence_takes_the_first() -> None:
    values = [0.0] * 5000
    values[1030] = values[1031] = values[4000] = 2.0
    x = tensor(values, "float32")
    assert values_of(reduce("argmax", x, [0], False, "int64")) == [1030]
    values[3000] = values[4500] = math.nan
    x = tensor(values, "float64")
    assert values_of(reduce("argmin", x, [0], False, "int64")) == [3000]


@given(st.data(), st.sampled_from([*FLOATS, *INTEGERS]))
def test_sum_to_undoes_a_broadcast(data: st.DataObject, dtype: str) -> None:
    shape = data.draw(shapes(max_size=3))
    target = [data.draw(st.sampled_from([1, n])) for n in shape]
    drop = data.draw(st.integers(0, len(shape)))
    values = [wrap(v % 7, dtype) for v in range(math.prod(shape))]
    x = tensor(values, dtype, data.draw(layouts(shape)))
    y = owned(lib.ad_sum_to(x, len(shape) - drop, target[drop:]))
    summed = [d for d, n in enumerate(shape) if d < drop or target[d] != n]
    assert shape_of(y) == tuple(target[drop:])
    assert dtype_of(y) == dtype
    assert values_of(y) == [wrap(sum(s), dtype) for s in sequences(values, shape, summed)]


def test_sum_to_the_same_shape_is_a_view() -> None:
    x = tensor(range(6), "float32", plain(1, 2, 3))
    for shape in ([1, 2, 3], [2, 3]):
        y = owned(lib.ad_sum_to(x, len(shape), shape))
        assert lib.ad_storage_id(y) == lib.ad_storage_id(x)
        assert shape_of(y) == tuple(shape)


@pytest.mark.parametrize("kind", REDUCTIONS)
def test_of_nothing(kind: str) -> None:
    dtype = {"any": "bool", "all": "bool", "argmax": "int64", "argmin": "int64"}.get(
        kind, "float32"
    )
    x = tensor([], "float32", plain(2, 0, 3))
    empty = reduce(kind, x, [0], False, dtype)
    assert shape_of(empty) == (0, 3)
    expected = {"sum": 0, "mean": math.nan, "prod": 1, "any": 0, "all": 1}
    expected |= {"sum_abs": 0, "norm": 0, "nansum": 0}
    if kind in expected:
        assert same(
            values_of(reduce(kind, x, [1], False, dtype)), [wrap(expected[kind], dtype)] * 6
        )
    else:
        with pytest.raises(NativeError, match="EMPTY"):
            reduce(kind, x, [1], False, dtype)


@pytest.mark.parametrize(
    ("kind", "dims", "dtype", "error"),
    [
        ("sum", [2], "float32", ("BAD_DIM", 2, 2)),
        ("sum", [31], "float32", ("BAD_DIM", 31, 2)),
        ("mean", [0], "int64", ("BAD_DTYPE", DTYPES["int64"])),
        ("max", [0], "float64", ("BAD_DTYPE", DTYPES["float64"])),
        ("any", [0], "float32", ("BAD_DTYPE", DTYPES["float32"])),
        ("argmax", [0], "int32", ("BAD_DTYPE", DTYPES["int32"])),
        ("argmax", [], "int64", ("BAD_ARG",)),
    ],
)
def test_errors(kind: str, dims: list[int], dtype: str, error: tuple[Any, ...]) -> None:
    x = tensor(range(6), "float32", plain(2, 3))
    with pytest.raises(NativeError) as raised:
        reduce(kind, x, dims, False, dtype)
    assert raised.value.args[: len(error)] == error


def test_errors_of_codes() -> None:
    x = tensor([1.0], "float32")
    for kind, dtype in ((-1, 4), (len(REDUCTIONS), 4), (0, -1), (0, len(DTYPES))):
        assert not lib.ad_reduce(kind, x, 1, 0, dtype)
    with pytest.raises(NativeError, match="BAD_SHAPE"):
        owned(lib.ad_sum_to(x, 1, [2]))
    with pytest.raises(NativeError, match="BAD_DIM"):
        owned(lib.ad_sum_to(x, 2, [1, 1]))


def test_offsets_of_the_helper() -> None:
    """The layouts above are only worth something if they differ."""
    assert offsets((2, 2), Layout((2, 2), (1, 0), (1, 2), 0).strides()) == [0, 4, 1, 5]
