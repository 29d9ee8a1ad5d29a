"""Images of bytes at another size, in integers: one axis after the other, with rounded weights."""

from __future__ import annotations

from typing import Any

from autodiff.dtypes import float64, uint8
from autodiff.ops.convert import tensor
from autodiff.ops.create import zeros
from autodiff.ops.pooling import Sums
from autodiff.tensor import Tensor, wrap

_MOST = 2**15  # weights are below: of 16 bits


def resized(images: Tensor, plan: Sums) -> Tensor:
    """What a plan for float64 makes of uint8 (n, c, h, w): widths first, then heights.

    Weights are multiples of 2^-bits, for as many bits as the largest of them leaves, and each axis
    rounds to bytes: all of it is exact in float64, so the matrix products are sums of integers.
    """
    y: Any = images.to(float64)
    numbers, shares, axes = list(plan.numbers), wrap(plan.weights), []
    places = tensor(numbers[15:])
    for n_in, n, count in (numbers[3:6], numbers[9:12]):
        (here, places), (share, shares) = [
            (x[: n * count].reshape(count, n).t(), x[n * count :]) for x in (places, shares)
        ]
        axes.append(zeros(n, n_in + 1, dtype=float64).scatter_add(1, here, share)[:, :n_in])
    for dim, weights in ((3, axes[1]), (2, axes[0])):
        if weights.shape[0] == weights.shape[1]:
            continue
        bits, largest = 0, float(weights.max())
        while bits < 22 and int(0.5 + largest * 2 ** (bits + 1)) < _MOST:
            bits += 1
        whole = (weights * 2**bits + weights.sign() / 2).trunc()
        sums = y @ whole.t() if dim == 3 else whole @ y
        y = ((sums + 2 ** (bits - 1)) / 2**bits).floor().clamp(0, 255)
    found: Tensor = y.to(uint8)
    return found
