"""Cases of what layers are made of: norms by channel, recurrent layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import groupby, product
from statistics import fmean, pvariance
from typing import Any

import autodiff as ad
from autodiff.nn import functional
from autodiff.ops.attention import attend_parts
from autodiff.ops.recurrent import scan
from autodiff.ops.steps import Steps
from autodiff.testing.case import Case, sized
from autodiff.testing.reference import Array


def _fixed(x: Array, w: Array, b: Array) -> Array:
    """Less 0.25 or -0.5, over 1.5 or 2, by channel."""
    less, over = (0.25, -0.5), (1.5, 2.0)
    return Array(x.shape, lambda i: (x[i] - less[i[1]]) / over[i[1]] * w[i[1],] + b[i[1],])


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


SIZES = [2, 2, 1]  # of the steps of a packed sequence


def _scanned(kind: str, reverse: bool, biased: bool = True) -> Callable[..., ad.Tensor]:
    """The output rows and last states of a scan in one row; a reverse LSTM projects."""

    def call(gates: ad.Tensor, w: ad.Tensor, *rest: ad.Tensor) -> ad.Tensor:
        projected = kind == "LSTM" and reverse
        steps = Steps(kind, SIZES, reverse, biased, projected)
        return ad.cat([x.reshape(-1) for x in scan(gates, steps, w, *rest)])

    return call


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _cell(kind: str, x: list[float], u: list[float], old: float) -> list[float]:
    """A unit's new state, from its gates' sums of inputs and of states, and its old state."""
    if kind == "GRU":
        r, z = _sigmoid(x[0] + u[0]), _sigmoid(x[1] + u[1])
        return [(1 - z) * math.tanh(x[2] + r * u[2]) + z * old]
    z0, *rest = (a + b for a, b in zip(x, u, strict=True))
    if kind != "LSTM":
        return [math.tanh(z0)]
    c = _sigmoid(rest[0]) * old + _sigmoid(z0) * math.tanh(rest[1])
    return [_sigmoid(rest[2]) * math.tanh(c), c]


def _scan(kind: str, reverse: bool) -> Callable[..., Array]:
    def reference(gates: Array, w: Array, *rest: Array) -> Array:
        first = rest[: 2 if kind == "LSTM" else 1]
        more = list(rest[len(first) :])
        proj = more.pop() if kind == "LSTM" and reverse else None
        b = more[0].flat() if more else [0.0] * w.shape[0]
        rows, starts, n = len(b), [0, 2, 4], first[-1].shape[1]
        outs: list[list[float]] = [[] for _ in range(sum(SIZES))]
        state = [[[x[j, k] for k in range(x.shape[1])] for x in first] for j in range(SIZES[0])]
        for t in reversed(range(3)) if reverse else range(3):
            for j in range(SIZES[t]):
                x = [gates[starts[t] + j, k] for k in range(rows)]
                u = [b[k] + _dot(w, k, state[j][0]) for k in range(rows)]
                old = state[j][-1]
                units = [_cell(kind, x[k::n], u[k::n], old[k]) for k in range(n)]
                new = [[unit[s] for unit in units] for s in range(len(first))]
                if proj is not None:
                    new[0] = [_dot(proj, k, new[0]) for k in range(proj.shape[0])]
                state[j], outs[starts[t] + j] = new, new[0]
        flat = [v for row in outs for v in row]
        flat += [v for s in range(len(first)) for one in state for v in one[s]]
        return Array((len(flat),), lambda i: flat[i[0]])

    return reference


def _dot(w: Array, row: int, x: list[float]) -> float:
    return math.fsum(w[row, i] * v for i, v in enumerate(x))


def _leaning(q: ad.Tensor, k: ad.Tensor) -> ad.Tensor:
    """A mask to add: (query - key) / 4."""
    queries, keys = ad.arange(q.shape[1], dtype=q.dtype), ad.arange(k.shape[1], dtype=q.dtype)
    return (queries.reshape(-1, 1) - keys) / 4


def _attention(causal: bool) -> Callable[..., Array]:
    def reference(q: Array, k: Array, v: Array) -> Array:
        b, queries, width = q.shape
        rows: dict[tuple[int, int], list[float]] = {}
        for n in range(b):
            for i in range(queries):
                seen = range(min(i + 1, k.shape[1]) if causal else k.shape[1])
                scores = [
                    math.fsum(q[n, i, e] * k[n, j, e] for e in range(width)) * 0.5
                    + (0.0 if causal else (i - j) / 4)
                    for j in seen
                ]
                shares = [math.exp(s - max(scores)) for s in scores]
                total = math.fsum(shares)
                rows[n, i] = [
                    math.fsum(shares[j] / total * v[n, j, e] for j in seen)
                    for e in range(v.shape[2])
                ]
        return Array((b, queries, v.shape[2]), lambda i: rows[i[0], i[1]][i[2]])

    return reference


def _part(x: Array, k: int) -> Array:
    def element(i: tuple[int, ...]) -> Any:
        place = (k, *i)
        return x[place]

    return Array(x.shape[1:], element)


def _attention_of_parts(causal: bool) -> Callable[..., Array]:
    return lambda x: _attention(causal)(*[_part(x, k) for k in range(3)])


def _ctc(x: Array) -> Array:
    """Minus the logarithm of the summed weights of all paths that spell 1, 2."""
    paths = product(range(3), repeat=x.shape[0])
    spelled = [p for p in paths if [k for k, _ in groupby(p) if k] == [1, 2]]
    sums = [math.fsum(x[t, k] for t, k in enumerate(p)) for p in spelled]
    return Array((), lambda _: -math.log(math.fsum(map(math.exp, sums))))


def _short(x: Array, row: int, label: int, others: list[int], power: int) -> float:
    """What a label falls short of 9 more than the others, to a power: no element is so far."""
    return math.fsum((9 + x[row, k] - x[row, label]) ** power for k in others)


def _multi_margin(power: int) -> Callable[[Array], Array]:
    others = [[0, 1], [1, 2]]  # than 2 and 0
    return lambda x: Array((2,), lambda i: (
        (3.0, 1.0)[i[0]] * _short(x, i[0], (2, 0)[i[0]], others[i[0]], power) / 3))  # fmt: skip


def _multilabel_margin(x: Array) -> Array:
    """Of labels 2 and 0 of the first row, where elements are less than 1 apart, and 1."""
    first = math.fsum(1 + x[0, 1] - x[0, k] for k in (2, 0))
    second = math.fsum(1 + x[1, k] - x[1, 1] for k in (0, 2))
    return Array((), lambda _: (first + second) / 6)


LAYERS = [
    Case("batch_norm", lambda x, w, b: functional.batch_norm(x, None, None, w, b, True, eps=0.5),
         sized("n 2 m", "2", "2", low=2), _channels),
    Case("batch_norm_fixed", lambda x, w, b: functional.batch_norm(
        x, ad.tensor([0.25, -0.5]).to(x.dtype), ad.tensor([1.75, 3.5]).to(x.dtype), w, b, eps=0.5),
         sized("1 2 8", "2", "2", low=1), _fixed),
    Case("instance_norm", lambda x, w, b: functional.instance_norm(x, weight=w, bias=b, eps=0.5),
         sized("n 2 m", "2", "2", low=2), lambda x, w, b: _channels(x, w, b, 2)),
    Case("group_norm", lambda x, w, b: functional.group_norm(x, 2, w, b, 0.5),
         sized("n 4 m", "4", "4", low=1), lambda x, w, b: _channels(x, w, b, 2)),
    Case("rms_norm", lambda x, w: functional.rms_norm(x, w.shape, w, 0.5),
         sized("m n", "n", low=1), _rms),
    Case("rms_norm_plain", lambda x: functional.rms_norm(x, x.shape[1:], None, 0.5),
         sized("m n", low=1), lambda x: _rms(x, Array(x.shape[1:], lambda i: 1.0))),
    Case("local_response_norm", lambda x: functional.local_response_norm(x, 2, 0.5, 0.75, 2.0),
         sized("l m n", low=1), _response),
    Case("attention", lambda q, k, v: functional.scaled_dot_product_attention(
        q, k, v, is_causal=True, scale=0.5),
         sized("2 l 4", "2 s 4", "2 s 3", low=1), _attention(True)),
    Case("attention_masked", lambda q, k, v: functional.scaled_dot_product_attention(
        q, k, v, _leaning(q, k), scale=0.5),
         sized("2 l 2", "2 s 2", "2 s 3", low=1), _attention(False)),
    Case("attention_of_parts", lambda x: attend_parts(x, None, True, 0.5, 0.0),
         sized("3 2 9 4", low=1), _attention_of_parts(True)),
    Case("attention_of_parts_masked",
         lambda x: attend_parts(x, _leaning(x[0], x[1]), False, 0.5, 0.0),
         sized("3 2 5 2", low=1), _attention_of_parts(False)),
    Case("ctc_loss", lambda x: functional.ctc_loss(x, ad.tensor([1, 2]), 4, 2, reduction="sum"),
         sized("4 3", low=1), _ctc),
    *[Case(f"multi_margin_{power}", lambda x, power=power: functional.multi_margin_loss(
        x, ad.tensor([2, 0]), power, 9.0, ad.tensor([1.0, 2.0, 3.0]).to(x.dtype),
        reduction="none"), sized("2 3", low=1), _multi_margin(power)) for power in (1, 2)],
    Case("multilabel_margin", lambda x: functional.multilabel_margin_loss(
            x / 9, ad.tensor([[2, 0, -1], [1, -1, 0]])), sized("2 3", low=1),
         lambda x: _multilabel_margin(Array(x.shape, lambda i: x[i] / 9))),
    Case("lstm", _scanned("LSTM", False),
         sized("5 8", "8 2", "2 2", "2 2", "8", low=1), _scan("LSTM", False)),
    Case("lstm_projected", _scanned("LSTM", True),
         sized("5 8", "8 1", "2 1", "2 2", "8", "1 2", low=1), _scan("LSTM", True)),
    Case("gru", _scanned("GRU", True), sized("5 6", "6 2", "2 2", "6", low=1), _scan("GRU", True)),
    Case("rnn", _scanned("RNN_TANH", False, False),
         sized("5 2", "2 2", "2 2", low=1), _scan("RNN", False)),
]  # fmt: skip
