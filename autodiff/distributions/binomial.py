"""Draws from binomial distributions, as PyTorch makes them of uniform numbers."""

from __future__ import annotations

import math
from collections.abc import Callable

from autodiff import dtypes
from autodiff.functions import broadcast_tensors, empty, tensor
from autodiff.ops.generator import Generator
from autodiff.ops.guard import guarded
from autodiff.tensor import Tensor


@guarded
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """The numbers of successes in `count` trials of probability `prob`, drawn for each pair.

    >>> ad.binomial(ad.tensor([3.0, 2.0]), ad.tensor([0.0, 1.0]))
    tensor([0., 2.])
    """
    if not (count.is_floating_point() and prob.is_floating_point()):
        kinds = f"{count.dtype!r} and {prob.dtype!r}"
        raise ValueError(f"binomial only supports floating-point dtypes, got: {kinds}")
    if prob.dtype is not count.dtype:
        raise RuntimeError(f"Found dtype {prob.dtype!r} but expected {count.dtype!r}")
    n, p = broadcast_tensors(count, prob)
    return draw(n, p, generator)


def draw(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """The numbers of successes in `count` trials of probability `prob`."""
    place = empty((), dtype=dtypes.float64)

    def uniform() -> float:
        value: float = place.uniform_(generator=generator).item()
        return value

    pairs = zip(count.flatten().tolist(), prob.flatten().tolist(), strict=True)
    drawn = [_binomial(n, p, uniform) for n, p in pairs]
    return tensor(drawn, dtype=count.dtype).reshape(count.shape)


def _binomial(n: float, p: float, uniform: Callable[[], float]) -> float:
    if n <= 0 or p <= 0:
        return 0.0
    if p >= 1:
        return n
    if math.isnan(p) or math.isnan(n):
        return math.nan
    rare = min(p, 1 - p)
    few = _by_rejection(n, rare, uniform) if n * rare >= 10 else _by_waiting(n, rare, uniform)
    return few if p <= 0.5 else n - few


def _by_waiting(n: float, p: float, uniform: Callable[[], float]) -> float:
    """As many geometric waits as fit into n trials."""
    trials, successes = 0.0, 0
    while True:
        u = uniform()
        wait = math.log(u) / math.log1p(-p) if u else math.inf
        trials += math.ceil(wait) if wait <= n else math.inf
        if trials > n:
            return float(successes)
        successes += 1


def _by_rejection(n: float, p: float, uniform: Callable[[], float]) -> float:
    """Hormann, The generation of binomial random variates (1993): the algorithm BTRS."""
    deviation, odds = math.sqrt(n * p * (1 - p)), p / (1 - p)
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    alpha = (2.83 + 5.1 / b) * deviation
    mode = math.floor((n + 1) * p)
    while True:
        u, v = uniform() - 0.5, uniform()
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + n * p + 0.5) if us else -1
        if us >= 0.07 and v <= 0.92 - 4.2 / b:
            return float(k)
        if not 0 <= k <= n:
            continue
        ratio = math.lgamma(mode + 1) + math.lgamma(n - mode + 1)
        ratio -= math.lgamma(k + 1) + math.lgamma(n - k + 1) - (k - mode) * math.log(odds)
        if v * alpha / (a / (us * us) + b) <= math.exp(ratio):
            return float(k)
