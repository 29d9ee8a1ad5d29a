"""Cases of what layers are made of: norms by channel."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean, pvariance
from typing import Any

from autodiff.nn import functional
from autodiff.testing.reference import Array

__all__ = ["LAYERS"]


def _channels(x: Array, w: Array, b: Array, groups: int = 0) -> Array:
    """(n, channels, m) normalized by channel, or by element and group, with eps 0.5."""
    n, channels, m = x.shape
    members = channels // (groups or channels)

    def value(i: tuple[int, ...]) -> float:
        first = i[1] // members * members
        rows = [i[0]] if groups else range(n)
        row = [x[r, c, k] for r in rows for c in range(first, first + members) for k in range(m)]
        return float((x[i] - fmean(row)) / math.sqrt(pvariance(row) + 0.5) * w[i[1:2]] + b[i[1:2]])

    return Array(x.shape, value)


def _rms(x: Array, w: Array) -> Array:
    def value(i: tuple[int, ...]) -> float:
        mean = fmean([x[i[0], k] ** 2 for k in range(x.shape[1])])
        return float(x[i] / math.sqrt(mean + 0.5) * w[i[1:]])

    return Array(x.shape, value)


def _response(x: Array) -> Array:
    def value(i: tuple[int, ...]) -> float:
        near = range(max(0, i[1] - 1), i[1] + 1)
        total = math.fsum(x[i[0], c, i[2]] ** 2 for c in near) / 2
        return float(x[i] / (2 + 0.5 * total) ** 0.75)

    return Array(x.shape, value)


# Name, call, the shapes of its operands, their least size, reference.
LAYERS: list[tuple[str, Callable[..., Any], tuple[str, ...], int, Callable[..., Array]]] = [
    ("batch_norm", lambda x, w, b: functional.batch_norm(x, None, None, w, b, True, eps=0.5),
     ("n 2 m", "2", "2"), 2, _channels),
    ("instance_norm", lambda x, w, b: functional.instance_norm(x, weight=w, bias=b, eps=0.5),
     ("n 2 m", "2", "2"), 2, lambda x, w, b: _channels(x, w, b, 2)),
    ("group_norm", lambda x, w, b: functional.group_norm(x, 2, w, b, 0.5),
     ("n 4 m", "4", "4"), 1, lambda x, w, b: _channels(x, w, b, 2)),
    ("rms_norm", lambda x, w: functional.rms_norm(x, w.shape, w, 0.5), ("m n", "n"), 1, _rms),
    ("local_response_norm", lambda x: functional.local_response_norm(x, 2, 0.5, 0.75, 2.0),
     ("l m n",), 1, _response),
]  # fmt: skip
