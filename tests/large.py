"""Operands of cases at sizes that kernels cut into chunks, and the bits of results."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

import autodiff as ad
from autodiff.expr import Interval
from autodiff.native import lib
from autodiff.testing import Layout
from autodiff.testing.cases import Case
from autodiff.testing.draw import GRID, REAL, Random

QUADRATIC = {"prod"}  # its gradient takes memory by the square
Operands = Sequence[ad.Tensor]
VOLUMES = (1 << 17, 1 << 20, 1 << 35)  # the product of all sizes that a case draws
LIMIT = 1 << 21  # elements of an operand


class Counting(Random):
    """Counts the sizes a case draws: those that can be made large."""

    def __init__(self) -> None:
        super().__init__("count")
        self.sizes = 0

    def size(self, low: int, high: int) -> int:
        self.sizes += 1
        return super().size(low, high)


def sizes_drawn(case: Case) -> int:
    """How many sizes a case leaves open; pointwise operands and losses have a whole shape open."""
    counting = Counting()
    case.operands(counting)
    return counting.sizes


class Large(Random):
    """Draws sizes whose product is about `volume`, and fills tensors without a Python loop.

    Numbers lie all over the domain, in an order that is each tensor's own. Contiguous unless
    `scattered`: then permuted, spread, offset and expanded.
    """

    def __init__(self, seed: str, volume: int, sizes: int, scattered: bool = False) -> None:
        super().__init__(seed)
        self.base = max(4, round(volume ** (1 / max(sizes, 1))))
        self.rows = max(4, round(volume**0.5) - 4)
        self.scattered = scattered
        self.turn = 0

    def size(self, low: int, high: int) -> int:
        return self.base + self.random.randint(0, self.base // 16)

    def shape(self, max_dims: int = 3, min_size: int = 0) -> tuple[int, ...]:
        return self.rows, self.rows + 3

    def broadcastable(self, n: int) -> tuple[tuple[int, ...], ...]:
        whole = self.shape()
        others = [whole, whole[1:], (whole[0], 1)]
        return (whole, *(self.random.choice(others) for _ in range(n - 1)))

    def tensor(
        self,
        shape: tuple[int, ...],
        dtype: ad.dtype = ad.float64,
        domain: Sequence[Interval] = REAL,
        distinct: bool = False,
    ) -> ad.Tensor:
        self.turn += 1
        assert math.prod(shape) <= LIMIT, f"an operand of shape {shape} is not for a test"
        layout = self.layout(len(shape), distinct)
        core = layout.core(shape)
        values = spread(math.prod(core), self.turn, dtype, domain, distinct).reshape(core)
        x = ad.from_numpy(values).to(dtype)
        return layout.place(x, shape) if self.scattered else x

    def layout(self, ndim: int, distinct: bool) -> Layout:
        if not self.scattered:
            return Layout(tuple(range(ndim)), (1,) * ndim)
        order = self.random.sample(range(ndim), ndim)
        steps = [self.random.choice((1, 1, 2) if distinct else (1, 1, 2, 0)) for _ in order]
        return Layout(tuple(order), tuple(steps), self.random.choice((0, 3)))


def spread(
    n: int, turn: int, dtype: ad.dtype, domain: Sequence[Interval] = REAL, distinct: bool = False
) -> np.ndarray[Any, Any]:
    """n numbers from a union of intervals, made of integers alone: the same on every machine."""
    k = np.arange(n, dtype=np.int64)
    steps = n - 1 if distinct else GRID * 8
    walk = k * prime_to(n, 7919 * turn) if distinct else k * (7919 * turn) + k // 977
    at = walk - walk // (steps + 1) * (steps + 1)  # walk % (steps + 1), which NumPy is slow at
    if dtype is ad.bool:
        return np.asarray(at % 3 > 0)
    which = (k * 31 + turn) % len(domain) if len(domain) > 1 else 0
    low, high = (np.array([ends[i] for ends in domain], dtype=np.float64)[which] for i in (0, 1))
    width = np.where(low < high, high - np.where(low < high, low, 0), 0)  # none at an infinite end
    if not dtype.is_floating_point:
        return np.asarray(np.maximum(1, np.floor(low + width * at / steps))).astype(np.int64)
    return np.asarray(low + width * at / max(steps, 1))


def numbers(
    shape: tuple[int, ...], turn: int, d: ad.dtype, domain: Sequence[Interval] = REAL
) -> ad.Tensor:
    """A tensor of such numbers."""
    kind = d if d is ad.bool or not d.is_floating_point else ad.float64
    return ad.from_numpy(spread(math.prod(shape), turn, kind, domain)).to(d).reshape(shape)


def prime_to(n: int, k: int) -> int:
    """The first number from k on that shares no factor with n."""
    while math.gcd(n, k) != 1:
        k += 1
    return k


def payload(x: ad.Tensor) -> bytes:
    """The elements in memory's own form, but that every nan is the same."""
    y = x.float() if x.dtype is ad.bfloat16 else x  # which NumPy has not
    return canonical(y.detach().contiguous().numpy())


def canonical(values: np.ndarray[Any, Any]) -> bytes:
    """The bytes of an array with but one nan: machines differ in the sign of those they make."""
    if values.dtype.kind == "f":
        missing = np.isnan(values)
        if missing.any():
            values = np.where(missing, np.array(np.nan, values.dtype), values)
    return values.tobytes()


def title(x: ad.Tensor) -> str:
    """What a hash of bits says of a tensor besides."""
    return f"{x.dtype} {tuple(x.shape)} "


def digest(xs: Iterable[ad.Tensor]) -> str:
    """A hash of dtypes, shapes and bits."""
    return digest_of((title(x), payload(x)) for x in xs)


def digest_of(parts: Iterable[tuple[str, bytes]]) -> str:
    """The hash of titles and payloads."""
    found = hashlib.sha256()
    for text, raw in parts:
        found.update(text.encode() + raw)
    return found.hexdigest()[:16]


@lru_cache(maxsize=4)  # a test that asks for the same results again and again asks for these
def cotangent(shape: tuple[int, ...], d: ad.dtype) -> ad.Tensor:
    """A number for each element of a result, none of them alike nearby."""
    return numbers(shape, 5, d)


def results(case: Case, xs: Operands) -> Iterator[ad.Tensor]:
    """The result, and the gradient of each operand that has one."""
    grad = case.name not in QUADRATIC or max(x.numel() for x in xs) < 1000
    leaves = [x.detach().requires_grad_(grad and x.is_floating_point()) for x in xs]
    y = case.call(*leaves)
    yield y
    if y.requires_grad:
        wanted = [x for x in leaves if x.requires_grad]
        for g in ad.autograd.grad(y, wanted, cotangent(tuple(y.shape), y.dtype), allow_unused=True):
            if g is not None:
                yield g


def in_dtype(xs: Operands, d: ad.dtype) -> list[ad.Tensor]:
    """The operands, those of numbers in this dtype."""
    return [x.to(d) if x.is_floating_point() else x for x in xs]


def regions(run: Callable[[], Any]) -> int:
    """How often a run offers its work to other threads."""
    before = lib.ad_spread_regions()
    run()
    return int(lib.ad_spread_regions() - before)
