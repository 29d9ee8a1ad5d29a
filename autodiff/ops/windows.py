"""Windows of signals: of `window_length` samples, symmetric, or one period of a longer one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from autodiff.dtypes import float64, get_default_dtype
from autodiff.ops.convert import Dtype
from autodiff.ops.create import arange
from autodiff.ops.guard import strict
from autodiff.tensor import Tensor

Shape = Callable[[Any], Any]


def _window(
    name: str, n: int, periodic: bool, shape: Shape, dtype: Dtype, requires_grad: bool
) -> Tensor:
    """A function of places from 0 to 1 along the window, computed in float64."""
    d = dtype or get_default_dtype()
    if not d.is_floating_point:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {d.title}")
    if n < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={n}")
    places = arange(n, dtype=float64) / max(n - 1 + periodic, 1)
    y: Tensor = shape(places) if n != 1 else places + 1
    return y.to(d).requires_grad_(requires_grad)


@strict
def hann_window(
    window_length: int, periodic: bool = True, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """(1 - cos(2 pi x)) / 2 for x from 0 to 1.

    >>> ad.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    shape = _cosines(0.5, 0.5, 0.0)
    return _window("hann_window", window_length, periodic, shape, dtype, requires_grad)


@strict
def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Dtype = None,
    requires_grad: bool = False,
) -> Tensor:
    """alpha - beta cos(2 pi x) for x from 0 to 1.

    >>> ad.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    shape = _cosines(alpha, beta, 0.0)
    return _window("hamming_window", window_length, periodic, shape, dtype, requires_grad)


@strict
def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """0.42 - 0.5 cos(2 pi x) + 0.08 cos(4 pi x) for x from 0 to 1.

    >>> ad.blackman_window(4)[1:]
    tensor([0.3400, 1.0000, 0.3400])
    """
    shape = _cosines(0.42, 0.5, 0.08)
    return _window("blackman_window", window_length, periodic, shape, dtype, requires_grad)


def _cosines(a: float, b: float, c: float) -> Shape:
    return lambda x: a - b * (x * (2 * math.pi)).cos() + c * (x * (4 * math.pi)).cos()


@strict
def bartlett_window(
    window_length: int, periodic: bool = True, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """1 - |2 x - 1| for x from 0 to 1.

    >>> ad.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """

    def shape(x: Any) -> Any:
        return 1 - (2 * x - 1).abs()

    return _window("bartlett_window", window_length, periodic, shape, dtype, requires_grad)


@strict
def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: Dtype = None,
    requires_grad: bool = False,
) -> Tensor:
    """i0(beta sqrt(1 - (2 x - 1)^2)) / i0(beta) for x from 0 to 1.

    >>> ad.kaiser_window(3, False, 2.0)
    tensor([0.4387, 1.0000, 0.4387])
    """

    def shape(x: Any) -> Any:
        inner = (1 - (2 * x - 1).square()).clamp_min(0).sqrt()
        return (inner * beta).i0() / (x * 0 + beta).i0()

    return _window("kaiser_window", window_length, periodic, shape, dtype, requires_grad)
