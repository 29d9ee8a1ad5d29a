"""Integers of 8, 16 and 32 bits: each element is what Python computes, wrapped around."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable
from typing import Any

import pytest

import autodiff as ad

DTYPES = (ad.uint8, ad.int8, ad.int16, ad.int32)
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "and_", "or_", "xor")},
    **{name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
    "maximum": lambda x, y: ad.maximum(x, y) if isinstance(x, ad.Tensor) else max(x, y),
    "minimum": lambda x, y: ad.minimum(x, y) if isinstance(x, ad.Tensor) else min(x, y),
}
LENGTHS = (1, 63, 64, 65, 1024, 1030, 16_400)


def wrapped(value: int, d: ad.dtype) -> int:
    bits = 8 * d.itemsize
    return (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1) if d.is_signed else value % 2**bits


def drawn(n: int, d: ad.dtype, seed: int) -> list[int]:
    """Ends of the range, numbers that are equal often, and any."""
    draw = random.Random(f"{n} {seed} {d}")
    lowest, size = -(2 ** (8 * d.itemsize - 1)) if d.is_signed else 0, 2 ** (8 * d.itemsize)
    kinds = (lambda: lowest, lambda: lowest + size - 1, lambda: draw.randrange(3),
             lambda: lowest + draw.randrange(size))  # fmt: skip
    return [draw.choice(kinds)() for _ in range(n)]


def expected(name: str, a: list[int], b: list[int], d: ad.dtype) -> list[int | bool]:
    found = [OPERATORS[name](x, y) for x, y in zip(a, b, strict=True)]
    return [x if isinstance(x, bool) else wrapped(x, d) for x in found]


@pytest.mark.parametrize("d", DTYPES, ids=str)
@pytest.mark.parametrize("name", OPERATORS)
def test_operators_wrap_around(name: str, d: ad.dtype) -> None:
    of = OPERATORS[name]
    for n in LENGTHS:
        a, b = drawn(n, d, 0), drawn(n, d, 1)
        x, y = ad.tensor(a, dtype=d), ad.tensor(b, dtype=d)
        assert of(x, y).tolist() == expected(name, a, b, d)
        assert of(x[:], x).tolist() == expected(name, a, a, d)
        for number in (3, b[0], b[-1]):
            one = ad.tensor(number, dtype=d)
            assert of(x, one).tolist() == expected(name, a, [number] * n, d)
            assert of(one, x).tolist() == expected(name, [number] * n, a, d)
            if "imum" not in name:
                assert of(x, number).tolist() == expected(name, a, [number] * n, d)
                assert of(number, x).tolist() == expected(name, [number] * n, a, d)


@pytest.mark.parametrize("d", DTYPES, ids=str)
@pytest.mark.parametrize("name", OPERATORS)
def test_layouts_and_numbers_that_differ_by_row(name: str, d: ad.dtype) -> None:
    of = OPERATORS[name]
    a, b = drawn(40 * 100, d, 2), drawn(40 * 100, d, 3)
    x, y = ad.tensor(a, dtype=d).view(40, 100), ad.tensor(b, dtype=d).view(40, 100)
    for left, right in ((x[:, 3:90], y[:, 5:92]), (x[:, 3:90], y[:, :1]), (x[:, :70], y[0, :70]),
                        (x[:, ::2], y[:, ::2]), (x.T, y.T), (x[:1, :1], y)):  # fmt: skip
        full, other = ad.broadcast_tensors(left, right)
        wanted = expected(name, full.flatten().tolist(), other.flatten().tolist(), d)
        assert of(left, right).flatten().tolist() == wanted


@pytest.mark.parametrize("d", DTYPES, ids=str)
def test_wider_numbers_wrap_and_results_go_in_place(d: ad.dtype) -> None:
    a = drawn(3000, d, 4)
    x = ad.tensor(a, dtype=d)
    for number in (1000, -(2**40) - 7):
        wide = ad.tensor(number)
        for name in ("add", "sub", "mul"):
            assert OPERATORS[name](x, wide).tolist() == expected(name, a, [number] * 3000, d)
        inside = [wrapped(number, d)] * 3000
        assert ad.minimum(x, wide).tolist() == expected("minimum", a, inside, d)
    assert (-x).tolist() == [wrapped(-v, d) for v in a]
    assert (~x).tolist() == [wrapped(~v, d) for v in a]
    assert x.mul_(x).add_(3).sub_(7).tolist() == [wrapped(v * v - 4, d) for v in a]


@pytest.mark.parametrize("d", DTYPES, ids=str)
def test_operands_of_several_dtypes_are_compared_as_numbers(d: ad.dtype) -> None:
    a = drawn(1500, d, 5)
    x, far = ad.tensor(a, dtype=d), ad.tensor([2**40]).expand(1500)
    assert (x < far).all()
    assert not (x == far).any()
    assert (x + far).tolist() == [v + 2**40 for v in a]
    truths = ad.tensor([v > 1 for v in a])
    assert (x + truths).tolist() == [wrapped(v + (v > 1), d) for v in a]


def test_results_too_large_for_the_caches() -> None:
    n = 2**23 + 37
    x = ad.arange(n, dtype=ad.int32)
    for y, at in ((x + x, 2 * (n - 1)), (x * 3, 3 * (n - 1)), (-x, 1 - n)):
        assert y[-1].item() == at
        assert y.to(ad.int64).sum().item() == at * n // 2
    assert ((x < n - 5).sum().item(), (x != 9).sum().item()) == (n - 5, n - 1)


# One operation after another, of which the second takes a number.
CHAINS: dict[str, Callable[[Any], Any]] = {
    "add, mul": lambda x: (x + 3) * 5,
    "mul, sub": lambda x: 7 - x * 3,
    "and, or": lambda x: (x & 12) | 1,
    "sub, abs": lambda x: abs(x - 9),
    "abs, neg": lambda x: -abs(x),
    "add, limited": lambda x: ad.clamp(x + 1, 2, 7),
    "add, both": lambda x: (x + 1) * (x + 1),
    "add, less": lambda x: x + 100 < 3,
}


@pytest.mark.parametrize("d", DTYPES, ids=str)
@pytest.mark.parametrize("name", CHAINS)
def test_two_operations_in_one_program_are_what_they_are_apart(name: str, d: ad.dtype) -> None:
    of = CHAINS[name]
    fused = ad.pointwise(of)
    for n in LENGTHS:
        x = ad.tensor(drawn(n, d, 5), dtype=d)
        assert fused(x).tolist() == of(x).tolist()
        grid = x.expand(3, n)[:, ::2]
        assert fused(grid).tolist() == of(grid).tolist()


@pytest.mark.parametrize("d", DTYPES, ids=str)
def test_clamp_and_abs(d: ad.dtype) -> None:
    least = min(-5, 0) if d.is_signed else 2
    for n in LENGTHS:
        a = drawn(n, d, 6)
        x = ad.tensor(a, dtype=d)
        assert x.clamp(least, 9).tolist() == [min(max(v, least), 9) for v in a]
        assert x.clamp(9, least).tolist() == [least] * n
        limit = ad.tensor(drawn(n, d, 7), dtype=d)
        assert x.clamp(limit, limit).tolist() == limit.tolist()
        assert x.abs().tolist() == [wrapped(abs(v), d) for v in a]
        wide = ad.full((n,), 99, dtype=d)
        assert ad.clamp(x, wide, 3, out=wide).tolist() == [3] * n
        assert x.clamp_(least, 9).tolist() == [min(max(v, least), 9) for v in a]


@pytest.mark.parametrize("d", DTYPES, ids=str)
def test_signs_shifts_and_truths(d: ad.dtype) -> None:
    for n in LENGTHS:
        a, counts = drawn(n, d, 8), [i % 70 - 3 if d.is_signed else i % 70 for i in range(n)]
        x, by = ad.tensor(a, dtype=d), ad.tensor(counts, dtype=d)
        assert x.sign().tolist() == [(v > 0) - (v < 0) for v in a]
        assert x.logical_not().tolist() == [v == 0 for v in a]
        left = [wrapped(v << c, d) if 0 <= c < 64 else 0 for v, c in zip(a, counts, strict=True)]
        assert (x << by).tolist() == left
        right = [v >> (c if 0 <= c < 64 else 63) for v, c in zip(a, counts, strict=True)]
        assert (x >> by).tolist() == right
        assert (x << 3).tolist() == [wrapped(v << 3, d) for v in a]
        assert (x >> 9).tolist() == [v >> 9 for v in a]
        scaled = [wrapped(v + 3 * c, d) for v, c in zip(a, counts, strict=True)]
        assert ad.add(x, by, alpha=3).tolist() == scaled
        assert x.clone().add_(by, alpha=3).tolist() == scaled
        assert ad.add(x, by.clone(), alpha=3, out=(out := by.clone())).tolist() == scaled
        assert ad.add(x, out, alpha=0, out=out).tolist() == a
        truths = x > 1
        assert (truths == x.bool()).tolist() == [(v > 1) == (v != 0) for v in a]
        assert (truths < x.bool()).tolist() == [(v > 1) < (v != 0) for v in a]


@pytest.mark.parametrize("to", [ad.bool, *DTYPES, ad.int64], ids=str)
@pytest.mark.parametrize("d", [ad.bool, *DTYPES, ad.int64], ids=str)
def test_conversions_wrap_around(d: ad.dtype, to: ad.dtype) -> None:
    a = [v % 2 for v in range(5000)] if d is ad.bool else drawn(5000, d, 9)
    x = ad.tensor(a, dtype=d)
    wanted = [v != 0 for v in a] if to is ad.bool else [wrapped(v, to) for v in a]
    for n in LENGTHS[:-1]:
        assert x[1 : n + 1].to(to).tolist() == wanted[1 : n + 1]
        assert x[1 : n + 1 : 2].to(to).tolist() == wanted[1 : n + 1 : 2]
    assert x.view(50, 100).T.to(to).flatten().tolist() == [
        wanted[r * 100 + c] for c in range(100) for r in range(50)
    ]


@pytest.mark.parametrize("d", [ad.bool, *DTYPES], ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (3, 1000), (1000, 3), (67, 129), (2, 5000), (5, 1025)])
def test_extremes_and_truths(d: ad.dtype, shape: tuple[int, int]) -> None:
    rows, cols = shape
    a = [v % 3 > 0 for v in range(rows * cols)] if d is ad.bool else drawn(rows * cols, d, rows)
    x = ad.tensor(a, dtype=d).view(shape)
    for y in (x, x.T, x[:, ::2], x[::2], x.flip(0), x[:, :1].expand(shape), x * 0):
        lists = y.tolist()
        for fold, of in ((ad.amax, max), (ad.amin, min), (ad.any, any), (ad.all, all)):
            assert fold(y, 1).tolist() == [of(row) for row in lists]
            assert fold(y, 0).tolist() == [of(column) for column in zip(*lists, strict=True)]
            assert fold(y).item() == of(of(row) for row in lists)


@pytest.mark.parametrize("d", [*DTYPES, ad.int64], ids=str)
def test_quotients_of_small_and_large_numbers(d: ad.dtype) -> None:
    a, b = drawn(3000, d, 10), [v or 3 for v in drawn(3000, d, 11)]
    small = [wrapped(v, ad.int8) if d.is_signed else v for v in b]
    for divisors in (b, [v or 7 for v in small], [7] * 3000, [max(b)] * 3000):
        x, y = ad.tensor(a, dtype=d), ad.tensor(divisors, dtype=d)
        pairs = list(zip(a, divisors, strict=True))
        assert (x // y).tolist() == [wrapped(v // w, d) for v, w in pairs]
        assert (x % y).tolist() == [wrapped(v % w, d) for v, w in pairs]
    with pytest.raises(RuntimeError):
        x // ad.tensor([*divisors[:-1], 0], dtype=d)
