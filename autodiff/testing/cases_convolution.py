"""Convolutions, pooling, resampling: calls, shapes of their operands, naive definitions."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from statistics import fmean
from typing import Any

from autodiff.nn import functional as F
from autodiff.ops.convert import tensor
from autodiff.testing.case import Case, sized
from autodiff.testing.reference import Array, Index

Ints = Sequence[int]


def _met(
    at: Ints, taps: Ints, size: Ints, *, stride: Ints, padding: Ints, dilation: Ints
) -> Index | None:
    """Where in an image the tap of a window at a position lies; None outside."""
    each = zip(at, taps, stride, padding, dilation, strict=True)
    place = tuple(i * s - p + t * d for i, t, s, p, d in each)
    return place if all(0 <= i < n for i, n in zip(place, size, strict=True)) else None


def _windows(image: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> list[int]:
    each = zip(image, kernel, stride, padding, dilation, strict=True)
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in each]


def _steps(nd: int, **given: Any) -> dict[str, Any]:
    usual = {"stride": 1, "padding": 0, "dilation": 1}
    return {
        name: value if isinstance(value, tuple) else (value,) * nd
        for name, value in {name: given.get(name, usual[name]) for name in usual}.items()
    }


def _convolved(x: Array, w: Array, b: Array | None = None, groups: int = 1, **given: Any) -> Array:
    (n, _, *image), (m, c, *kernel) = x.shape, w.shape
    steps = _steps(len(kernel), **given)

    def value(i: Index) -> float:
        first = i[1] // (m // groups) * c
        terms = [0.0 if b is None else b[i[1:2]]]
        for k in range(c):
            for taps in product(*map(range, kernel)):
                place = _met(i[2:], taps, image, **steps)
                if place is not None:
                    terms.append(x[[i[0], first + k, *place]] * w[[i[1], k, *taps]])
        return math.fsum(terms)

    return Array((n, m, *_windows(image, kernel, **steps)), value)


def _transposed(
    y: Array, w: Array, b: Array | None = None, groups: int = 1, extra: int = 0, **given: Any
) -> Array:
    (n, channels, *sizes), (_, m, *kernel) = y.shape, w.shape
    steps = _steps(len(kernel), **given)
    each = zip(sizes, kernel, steps["stride"], steps["padding"], steps["dilation"], strict=True)
    image = [(r - 1) * s - 2 * p + d * (k - 1) + extra + 1 for r, k, s, p, d in each]

    def value(i: Index) -> float:
        c = channels // groups
        terms = [0.0 if b is None else b[i[1:2]]]
        for k in range(i[1] // m * c, (i[1] // m + 1) * c):
            for at in product(*map(range, sizes)):
                for taps in product(*map(range, kernel)):
                    if _met(at, taps, image, **steps) == i[2:]:
                        terms.append(y[[i[0], k, *at]] * w[[k, i[1] % m, *taps]])
        return math.fsum(terms)

    return Array((n, m * groups, *image), value)


def _pooled(
    fold: Callable[[list[float]], float], kernel: Ints, **given: Any
) -> Callable[[Array], Array]:
    """A reference that folds what each window meets of its operand."""

    def reference(x: Array) -> Array:
        nd = len(kernel)
        lead, image = x.shape[:-nd], x.shape[-nd:]
        steps = _steps(nd, **given)

        def value(i: Index) -> float:
            places = [
                _met(i[len(lead) :], taps, image, **steps) for taps in product(*map(range, kernel))
            ]
            return fold([x[[*i[: len(lead)], *place]] for place in places if place is not None])

        return Array((*lead, *_windows(image, kernel, **steps)), value)

    return reference


def _adapted(fold: Callable[[list[float]], float], count: int) -> Callable[[Array], Array]:
    def reference(x: Array) -> Array:
        size = x.shape[-1]

        def value(i: Index) -> float:
            start, end = i[-1] * size // count, -(-(i[-1] + 1) * size // count)
            return fold([x[[*i[:-1], k]] for k in range(start, end)])

        return Array((*x.shape[:-1], count), value)

    return reference


def _columns(x: Array) -> Array:
    """`unfold` by windows of 2x1, one row of zeros around."""
    n, c, h, w = x.shape

    def value(i: Index) -> float:
        row, column = i[2] // w + i[1] % 2 - 1, i[2] % w
        return float(x[i[0], i[1] // 2, row, column]) if 0 <= row < h else 0.0

    return Array((n, c * 2, (h + 1) * w), value)


def _interpolated(weights: Callable[[int], Sequence[tuple[int, float]]], count: int) -> Any:
    """A reference whose last dimension has `count` weighted sums of its operand's."""
    return lambda x: Array(
        (*x.shape[:-1], count),
        lambda i: math.fsum(x[[*i[:-1], k]] * weight for k, weight in weights(i[-1])),
    )


def _corners(i: int) -> Iterator[tuple[int, float]]:
    """Three pixels drawn out to five."""
    low = min(i // 2, 1)
    share = i / 2 - low
    return iter([(low, 1 - share), (low + 1, share)])


def _shuffled(x: Array) -> Array:
    n, c, h, w = x.shape
    return Array(
        (n, c // 4, 2 * h, 2 * w),
        lambda i: x[i[0], 4 * i[1] + 2 * (i[2] % 2) + i[3] % 2, i[2] // 2, i[3] // 2],
    )


images = functools.partial(sized, low=2)

CONVOLUTIONS = [
    Case("conv1d", lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1),
         images("n 2 w", "3 2 2", "3"), lambda x, w, b: _convolved(x, w, b, stride=2, padding=1)),
    Case("conv2d_groups", lambda x, w: F.conv2d(x, w, groups=2, dilation=(2, 1)),
         images("n 4 3 w", "2 2 2 2"), lambda x, w: _convolved(x, w, groups=2, dilation=(2, 1))),
    Case("conv2d_channels", lambda x, w, b: F.conv2d(x, w, b, padding=1),
         images("n 2 2 w", "9 2 2 2", "9"), lambda x, w, b: _convolved(x, w, b, padding=1)),
    Case("conv2d_pointwise", F.conv2d, images("n 2 4 w", "8 2 1 1"), _convolved),
    Case("conv2d_depthwise", lambda x, w: F.conv2d(x, w, padding=1, groups=2, stride=(1, 2)),
         images("n 2 3 w", "2 1 3 3"),
         lambda x, w: _convolved(x, w, padding=1, groups=2, stride=(1, 2))),
    Case("conv3d", F.conv3d, images("n 1 2 2 w", "2 1 2 1 2"), _convolved),
    Case("conv_transpose1d", lambda y, w, b: F.conv_transpose1d(y, w, b, stride=2, groups=2),
         images("n 2 w", "2 2 3", "4"), lambda y, w, b: _transposed(y, w, b, stride=2, groups=2)),
    Case("conv_transpose2d", lambda y, w: F.conv_transpose2d(y, w, None, 2, (0, 1), 1),
         images("n 2 1 w", "2 8 1 3"),
         lambda y, w: _transposed(y, w, stride=2, padding=(0, 1), extra=1)),
    Case("max_pool2d", lambda x: F.max_pool2d(x, 2, 1, 1), images("n 2 2 w", distinct=True),
         _pooled(max, (2, 2), padding=1)),
    Case("avg_pool1d", lambda x: F.avg_pool1d(x, 2, 2, 1, count_include_pad=False), images("n 2 w"),
         _pooled(fmean, (2,), stride=2, padding=1)),
    Case("adaptive_avg_pool1d", lambda x: F.adaptive_avg_pool1d(x, 3), images("n 1 5"),
         _adapted(fmean, 3)),
    Case("adaptive_max_pool1d", lambda x: F.adaptive_max_pool1d(x, 2),
         images("n 1 5", distinct=True), _adapted(max, 2)),
    Case("fractional_max_pool2d", lambda x: F.fractional_max_pool2d(
            x, (1, 2), (1, 2), _random_samples=x.new_zeros(*x.shape[:2], 2)),
         images("n 1 1 4", distinct=True), _pooled(max, (1, 2), stride=2)),
    Case("interpolate", lambda x: F.interpolate(x, 5, mode="linear", align_corners=True),
         images("n 1 3"), _interpolated(lambda i: list(_corners(i)), 5)),
    Case("interpolate_nearest", lambda x: F.interpolate(x, scale_factor=2), images("n 1 3"),
         _interpolated(lambda i: [(i // 2, 1.0)], 6)),
    Case("interpolate_antialias",
         lambda x: F.interpolate(x, (1, 2), mode="bilinear", antialias=True), images("n 1 1 4"),
         _interpolated(
             lambda i: [(k + i, w / 7) for k, w in enumerate((3 - 2 * i, 3, 1 + 2 * i))], 2)),
    Case("grid_sample", lambda x: F.grid_sample(
            x, tensor([[[[-0.5, 0.0], [1.0, 0.0]]]]).to(x.dtype).expand(x.shape[0], 1, 2, 2),
            align_corners=True), images("n 1 1 3"),
         _interpolated(lambda i: [(2, 1.0)] if i else [(0, 0.5), (1, 0.5)], 2)),
    Case("max_unpool1d",
         lambda x: F.max_unpool1d(x, tensor([0, 3, 4]).expand(x.shape), 2, output_size=(5,)),
         images("n 1 3"),
         _interpolated(lambda i: [((0, 0, 0, 1, 2)[i], float(i in (0, 3, 4)))], 5)),
    Case("unfold", lambda x: F.unfold(x, (2, 1), padding=(1, 0)), images("n 2 2 3"), _columns),
    Case("pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), images("n 4 1 w"), _shuffled),
]  # fmt: skip
