"""Tensors flipped, rolled and padded, joined, and triangles, against plain Python."""

import math
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_tensors import (
    NativeError,
    layouts,
    owned,
    positions,
    shape_of,
    shapes,
    tensor,
    values_of,
)

import autodiff as ad
from autodiff.native import NULL, lib

DTYPES = st.sampled_from(["bool", "float32", "int64", "float16"])
SIZES = shapes(max_dims=4, max_size=4)
HUGE = [2**63 - 1, -(2**63)]
DIAGONALS = st.integers(-7, 7) | st.sampled_from(HUGE)


@st.composite
def numbered(draw: st.DrawFn) -> tuple[Any, tuple[int, ...], dict[tuple[int, ...], int]]:
    """A tensor of any layout, its shape, and what is where in it."""
    shape, dtype = draw(SIZES), draw(DTYPES)
    values = [k % 2 if dtype == "bool" else k + 1 for k in range(math.prod(shape))]
    x = tensor(values, dtype, draw(layouts(shape)))
    return x, shape, dict(zip(positions(shape), values, strict=True))


def check(y: Any, at: dict[tuple[int, ...], int], places: list[list[int | None]]) -> None:
    """That y is made of what is at these places of each dimension; 0 where one is None."""
    y = owned(y)
    assert shape_of(y) == tuple(len(each) for each in places)
    assert values_of(y) == [at.get(place, 0) for place in product(*places)]


@settings(max_examples=40)
@given(st.data(), numbered())
def test_flip(data: st.DataObject, given: Any) -> None:
    x, shape, at = given
    dims = data.draw(st.lists(st.sampled_from(range(len(shape))), unique=True)) if shape else []
    named = [d - len(shape) if data.draw(st.booleans()) else d for d in dims]
    turned = [list(range(n))[:: -1 if d in dims else 1] for d, n in enumerate(shape)]
    check(lib.ad_flip(x, len(named), named), at, turned)


@settings(max_examples=40)
@given(st.data(), numbered())
def test_roll(data: st.DataObject, given: Any) -> None:
    x, shape, at = given
    shift = st.integers(-9, 9) | st.sampled_from(HUGE)
    moves = data.draw(st.lists(st.tuples(shift, st.sampled_from(range(len(shape)))), max_size=3)
                      if shape else st.just([]))  # fmt: skip
    places = [list(range(n)) for n in shape]
    for by, d in moves:
        n = len(places[d]) or 1
        places[d] = places[d][-by % n :] + places[d][: -by % n]
    check(lib.ad_roll(x, len(moves), [by for by, _ in moves], [d for _, d in moves]), at, places)
    by, flat = data.draw(shift), [at[p] for p in positions(shape)]
    y = owned(lib.ad_roll(x, 1, [by], NULL))
    cut = -by % (len(flat) or 1)
    assert (shape_of(y), values_of(y)) == (shape, flat[cut:] + flat[:cut])


def padded(n: int, low: int, high: int, how: int) -> list[int | None]:
    """Where the elements of a padded dimension are from, one by one."""
    first, end = max(0, -low), n + min(0, high)
    inside: list[int | None] = []
    for i in range(-low, n + high):
        if how == lib.AD_PAD_REFLECT:
            i = abs(i) if i < n else 2 * (n - 1) - i
        elif how == lib.AD_PAD_REPLICATE:
            i = min(max(i, 0), n - 1)
        elif how == lib.AD_PAD_CIRCULAR:
            i = first + (i - first) % (end - first)
        inside.append(i if 0 <= i < n else None)
    return inside


@settings(max_examples=80)
@given(st.data(), numbered(), st.integers(0, 3))
def test_pad(data: st.DataObject, given: Any, how: int) -> None:
    x, shape, at = given
    most = len(shape) if how == lib.AD_PAD_CONSTANT else min(3, len(shape) - 1)
    least = 0 if how == lib.AD_PAD_CONSTANT else max(1, len(shape) - 2)
    if most < least or (how and 0 in shape):
        return
    count = data.draw(st.integers(least, most))
    pads, places = [], [list[int | None](range(n)) for n in shape]
    for d in range(len(shape) - 1, len(shape) - 1 - count, -1):
        room = {0: 3, lib.AD_PAD_REFLECT: shape[d] - 1}.get(how, shape[d])
        low = data.draw(st.integers(-shape[d], room))
        high = data.draw(st.integers(-shape[d] - min(0, low), room))
        if how and shape[d] + min(0, low) + min(0, high) < 1:
            low = high = 0
        pads += [low, high]
        places[d] = padded(shape[d], low, high, how)
    check(lib.ad_pad(x, len(pads), pads, how, NULL), at, places)


def test_a_pad_of_a_value() -> None:
    x, value = ad.ones(2, 3), ad.tensor(7.0)
    y = owned(lib.ad_pad(x._p, 4, [1, 0, 0, 1], lib.AD_PAD_CONSTANT, value._p))
    assert values_of(y) == [7, 1, 1, 1] * 2 + [7] * 4
    for wrong in (ad.tensor(7), ad.ones(2)):
        with pytest.raises(NativeError):
            owned(lib.ad_pad(x._p, 2, [1, 1], lib.AD_PAD_CONSTANT, wrong._p))


@pytest.mark.parametrize(
    ("how", "pads"),
    [(0, [1]), (0, [0] * 6), (0, [-4, 0]), (0, [-2, -2]), (0, [2**62, 0]), (4, [1, 1]), (-1, [1]),
     (1, [3, 0]), (1, [0, 3]), (1, []), (1, [1, 1, 1, 1]), (2, [0, -4]), (3, [4, 0]), (3, [0, 4]),
     (0, [2**55, 2**55])],
)  # fmt: skip
def test_bad_pads(how: int, pads: list[int]) -> None:
    x = ad.ones(2, 3)
    with pytest.raises(NativeError):
        owned(lib.ad_pad(x._p, len(pads), pads, how, NULL))


def test_bad_dimensions() -> None:
    x = ad.ones(2, 3)
    for dims in ([2], [-3], [0, 0], [0, -2]):
        with pytest.raises(NativeError):
            owned(lib.ad_flip(x._p, len(dims), dims))
    for y, dims in ((x, [2]), (x, [-3]), (ad.tensor(1.0), [0])):
        with pytest.raises(NativeError):
            owned(lib.ad_roll(y._p, 1, [1], dims))
    with pytest.raises(NativeError):
        owned(lib.ad_roll(x._p, 2, [1, 1], NULL))


@settings(max_examples=20)
@given(st.data(), shapes(), st.integers(-4, 4) | st.sampled_from([-(2**63), 2**63 - 1]))
def test_triangle(data: st.DataObject, shape: tuple[int, ...], diagonal: int) -> None:
    shape = (*shape[:1], 3, 2)
    values = list(range(1, math.prod(shape) + 1))
    x = tensor(values, "float32", data.draw(layouts(shape)))
    for lower in (False, True):
        y = owned(lib.ad_triangle(x, diagonal, lower))
        kept = [
            v * ((at[-1] - at[-2] <= diagonal) if lower else (at[-1] - at[-2] >= diagonal))
            for at, v in zip(positions(shape), values, strict=True)
        ]
        assert values_of(y) == kept


@settings(max_examples=50)
@given(st.integers(0, 5), st.integers(0, 5), DIAGONALS, st.booleans())
def test_where_triangles_are(rows: int, columns: int, diagonal: int, lower: bool) -> None:
    places = [
        at
        for at in product(range(rows), range(columns))
        if (at[1] - at[0] <= diagonal if lower else at[1] - at[0] >= diagonal)
    ]
    found = owned(lib.ad_triangle_indices(rows, columns, diagonal, lower))
    assert shape_of(found) == (2, len(places))
    assert values_of(found) == [at[d] for d in (0, 1) for at in places]


def test_triangles_of_huge_matrices() -> None:
    """A corner of one place is found at once; more places than memory holds are an error."""
    n = 2**59
    assert values_of(owned(lib.ad_triangle_indices(n, 1, 1 - n, True))) == [n - 1, 0]
    assert values_of(owned(lib.ad_triangle_indices(1, n, n - 1, False))) == [0, n - 1]
    for rows, columns in ((2**63 - 1, 0), (0, 2**63 - 1)):
        for diagonal in (0, *HUGE):
            found = owned(lib.ad_triangle_indices(rows, columns, diagonal, True))
            assert shape_of(found) == (2, 0)
    for rows, columns in ((n, n), (2**63 - 1, 2**63 - 1), (2**63 - 1, 1), (-1, 1), (1, -1)):
        with pytest.raises((NativeError, MemoryError)):
            owned(lib.ad_triangle_indices(rows, columns, 2**63 - 1, True))


@pytest.mark.parametrize("dtype", [ad.bool, ad.float32, ad.float64])
def test_long_rows(dtype: ad.dtype) -> None:
    """Rows that are moved in parts, to every place of a cache line."""
    x = (ad.arange(3 * 5000).reshape(3, 5000) * 7919 % 251).to(dtype)
    rows = x.tolist()
    for shift in (1, 17, 63, 2500):
        assert x.roll(shift, 1).tolist() == [row[-shift:] + row[:-shift] for row in rows]
    assert x.t().flip(1).tolist() == [list(row)[::-1] for row in zip(*rows, strict=True)]


def test_more_than_a_thread_takes() -> None:
    """Many rows, rows so long that threads share them, and tensors that are joined by rows."""
    x = ad.arange(300 * 200).reshape(300, 200)
    rows = ad.tensor([*range(293, 300), *range(293)])
    assert x.roll(7, 0).equal(x[rows])
    assert x.flip(0, 1).equal(x[ad.arange(299, -1, -1)][:, ad.arange(199, -1, -1)])
    assert ad.cat([x, x.t().contiguous().t()], 1).equal(ad.cat([x.t(), x.t()]).t())
    assert ad.cat([x, x], 1).equal(x.repeat(1, 2))
    assert ad.stack([x, x], 1).flatten(0, 1).equal(x.repeat_interleave(2, 0))
    reflected = [*range(3, 0, -1), *range(300), *range(298, 293, -1)]
    padded = ad.nn.functional.pad(x[None], (2, 1, 3, 5), "reflect")[0]
    assert padded[:, 2:-1].equal(x[ad.tensor(reflected)])
    assert padded[:, :2].equal(padded[:, 2:5].flip(1)[:, :2])
    long = ad.arange(70_000)
    assert long.roll(5).equal(ad.cat([long[-5:], long[:-5]]))
    assert long.flip(0).equal(69_999 - long)
    wrapped = ad.nn.functional.pad(long[None], (2, 1), "circular")[0]
    assert wrapped.equal(ad.cat([long[-2:], long, long[:1]]))


def test_lookup() -> None:
    """Rows of a table of any layout, each by a number that is not negative."""
    table = ad.arange(12.0).reshape(4, 3)
    for x in (table, table.t().contiguous().t(), ad.ones(4, 0)):
        for at in (
            ad.tensor([[3, 0], [1, 1]]),
            ad.tensor([1, 2, 3, 0]).view(2, 2).t(),
            ad.tensor(2),
        ):
            y = owned(lib.ad_lookup(x._p, at._p))
            assert (shape_of(y), values_of(y)) == (x[at].shape, x[at].flatten().tolist())
    wrong = [ad.tensor([0, 4]), ad.tensor([-1]), ad.tensor([0], dtype=ad.int32)]
    for x, at in [(table, at) for at in wrong] + [(table[0], ad.tensor([0]))]:
        with pytest.raises(NativeError):
            owned(lib.ad_lookup(x._p, at._p))


@settings(max_examples=60)
@given(st.data(), st.lists(st.integers(1, 3), max_size=3), DTYPES, st.booleans())
def test_join(data: st.DataObject, shape: list[int], dtype: str, new: bool) -> None:
    """Tensors of any layouts, along a dimension of theirs or a new one."""
    if not shape and not new:
        return
    dim = data.draw(st.integers(0, len(shape) - (not new)))
    tensors, rows = [], []
    for k in range(data.draw(st.sampled_from([1, 2, 3, 10]))):
        size = list(shape)
        if not new:
            size[dim] = data.draw(st.integers(0, 3))
        values = [(k + i) % 2 if dtype == "bool" else 7 * k + i for i in range(math.prod(size))]
        tensors.append(tensor(values, dtype, data.draw(layouts(size))))
        step = math.prod(size[dim:])
        rows.append([values[i : i + step] for i in range(0, len(values), step)] if step else [])
    join = lib.ad_stack if new else lib.ad_cat
    y = owned(
        join(len(tensors), tensors, dim - data.draw(st.sampled_from([0, len(shape) + new])), -1)
    )
    lead = math.prod(shape[:dim])
    assert values_of(y) == [v for r in range(lead) for each in rows if each for v in each[r]]


@pytest.mark.parametrize("d", [ad.uint8, ad.bool, ad.int16, ad.float32, ad.int64], ids=str)
def test_lines_of_every_length_are_turned(d: ad.dtype) -> None:
    for n in range(1, 40):
        x = ad.randint(0, 100, (3, n)).to(d)
        assert x.flip(1).tolist() == [row[::-1] for row in x.tolist()]
        assert x[:, 1:].flip(1).tolist() == [row[:0:-1] for row in x.tolist()]
