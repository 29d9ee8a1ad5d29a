"""Cases of reductions, and of what is computed row by row."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import autodiff as ad
from autodiff.nn import functional
from autodiff.ops.gated import glu
from autodiff.ops.layer_norm import layer_norm
from autodiff.ops.losses import cross_entropy, nll
from autodiff.ops.normalize import log_softmax, logsumexp, softmax
from autodiff.ops.statistics import std, std_mean, var, var_mean
from autodiff.testing.case import Case, sized
from autodiff.testing.reference import Array, Index


def over(fold: Callable[..., Any], *dims: int, keepdim: bool = False) -> Callable[[Array], Array]:
    """The fold of the elements over some dimensions, or over all."""
    return lambda x: x.fold(fold, dims or range(len(x.shape)), keepdim)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _variance(values: list[float], correction: float = 1.0) -> float:
    mean = _mean(values)
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - correction)


def _deviation(values: list[float]) -> float:
    return math.sqrt(_variance(values))


def _log_of_sum(values: list[float]) -> float:
    return math.log(math.fsum(map(math.exp, values)))


def _median(values: list[float]) -> float:
    return sorted(values)[(len(values) - 1) // 2]


def _quantile(values: list[float]) -> float:
    rank = 0.4 * (len(values) - 1)
    below, above = (sorted(values)[f(rank)] for f in (math.floor, math.ceil))
    return below + (above - below) * (rank - math.floor(rank))


def _argmax(values: list[float]) -> int:
    return max(range(len(values)), key=values.__getitem__)


def _both(a: Array, b: Array) -> Array:
    return Array(a.shape, lambda i: a[i] + 2 * b[i])


def _with_mean(pair: tuple[ad.Tensor, ad.Tensor]) -> ad.Tensor:
    spread, mean = pair
    return spread + mean * 2


def _running(fold: Callable[[list[float]], float]) -> Callable[[Array], Array]:
    """At each index, the fold of the elements up to it along dimension 1."""
    return lambda x: Array(x.shape, lambda i: fold([x[i[0], j, i[2]] for j in range(i[1] + 1)]))


def _entropies(x: Array, target: list[int], weight: list[float]) -> Array:
    """The losses of the rows, times a weight each."""

    def value(i: Index) -> float:
        row = [x[i[0], k] for k in range(x.shape[1])]
        return weight[i[0]] * float(math.log(math.fsum(map(math.exp, row))) - row[target[i[0]]])

    return Array(x.shape[:1], value)


def _along(x: Array, dim: int, function: Callable[[list[float], float], float]) -> Array:
    """At each index, the function of its row along dim and of its own element."""

    def value(i: Index) -> float:
        row = [x[[*i[:dim], k, *i[dim + 1 :]]] for k in range(x.shape[dim])]
        return function(row, x[i])

    return Array(x.shape, value)


def _normal(x: Array) -> Array:
    """Rows less their mean, over the root of their variance plus a half."""
    return _along(x, 1, lambda row, v: (v - _mean(row)) / math.sqrt(_variance(row, 0.0) + 0.5))


REDUCTIONS = [
    Case("sum", lambda x: x.sum(), sized("m n"), over(math.fsum)),
    Case("sum_dim", lambda x: x.sum((0, -1)), sized("l m n"), over(math.fsum, 0, 2)),
    Case("sum_keepdim", lambda x: x.sum(1, keepdim=True), sized("l m n"),
         over(math.fsum, 1, keepdim=True)),
    Case("mean", lambda x: x.mean(), sized("m n", low=1), over(_mean)),
    Case("mean_dim", lambda x: x.mean(1), sized("l m n", low=1), over(_mean, 1)),
    Case("prod", lambda x: x.prod(), sized("m n"), over(math.prod)),
    Case("prod_dim", lambda x: x.prod(1), sized("m n"), over(math.prod, 1)),
    Case("max", lambda x: x.max(), sized("m n", low=1, distinct=True), over(max)),
    Case("min", lambda x: x.min(), sized("m n", low=1, distinct=True), over(min)),
    Case("max_dim", lambda x: x.max(0).values, sized("m n", low=1, distinct=True),
         over(max, 0)),
    Case("min_dim", lambda x: x.min(1)[0], sized("m n", low=1, distinct=True), over(min, 1)),
    Case("amax", lambda x: x.amax((0, 2)), sized("l m n", low=1, distinct=True),
         over(max, 0, 2)),
    Case("amin", lambda x: x.amin(1), sized("l m n", low=1, distinct=True), over(min, 1)),
    Case("cumsum", lambda x: x.cumsum(1), sized("l m n"), _running(math.fsum)),
    Case("cumprod", lambda x: x.cumprod(1), sized("l m n"), _running(math.prod)),
    Case("logcumsumexp", lambda x: x.logcumsumexp(1), sized("l m n"), _running(_log_of_sum)),
    Case("cummax", lambda x: x.cummax(1).values, sized("l m n", distinct=True), _running(max)),
    Case("cummin", lambda x: x.cummin(1).values, sized("l m n", distinct=True), _running(min)),
    Case("median", lambda x: x.median(), sized("m n", low=1, distinct=True), over(_median)),
    Case("median_dim", lambda x: x.median(0).values, sized("m n", low=1, distinct=True),
         over(_median, 0)),
    Case("nanmedian", lambda x: x.nanmedian(), sized("m n", low=1, distinct=True),
         over(_median)),
    Case("nanmedian_dim", lambda x: x.nanmedian(1, keepdim=True)[0],
         sized("m n", low=1, distinct=True), over(_median, 1, keepdim=True)),
    Case("kthvalue", lambda x: x.kthvalue(1, 1).values, sized("m n", low=1, distinct=True),
         over(min, 1)),
    Case("mode", lambda x: x.mode(1).values, sized("m n", low=1, distinct=True), over(min, 1)),
    Case("quantile", lambda x: x.quantile(0.4, 1), sized("m n", low=1, distinct=True),
         over(_quantile, 1)),
    Case("argmax", lambda x: x.argmax(1), sized("m n", low=1), over(_argmax, 1), False),
    Case("any", lambda x: x.any(0), sized("m n"), over(any, 0), False),
    Case("all", lambda x: x.all(), sized("m n"), over(all), False),
    Case("var", var, sized("m n", low=2), over(_variance)),
    Case("var_dims", lambda x: var(x, (0, 2), correction=0.5), sized("l m n", low=1),
         over(lambda values: _variance(values, 0.5), 0, 2)),
    Case("std", lambda x: std(x, 1, keepdim=True), sized("m n", low=2, distinct=True),
         over(_deviation, 1, keepdim=True)),
    Case("var_mean", lambda x: _with_mean(var_mean(x, 0)), sized("m n", low=2),
         lambda x: _both(x.fold(_variance, (0,)), x.fold(_mean, (0,)))),
    Case("std_mean", lambda x: _with_mean(std_mean(x, 1)), sized("m n", low=2, distinct=True),
         lambda x: _both(x.fold(_deviation, (1,)), x.fold(_mean, (1,)))),
    Case("logsumexp", lambda x: logsumexp(x, (0, 2)), sized("l m n", low=1),
         over(_log_of_sum, 0, 2)),
    Case("sum_to_size", lambda x: x.sum_to_size(1, x.shape[2]), sized("l m n"),
         lambda x: Array((1, x.shape[2]), lambda i: over(math.fsum, 0, 1)(x)[i[1:]])),
]  # fmt: skip


ROWWISE = [
    Case("glu", lambda x: glu(x, 1), sized("l 4 n"), lambda x: Array(
        (x.shape[0], 2, x.shape[2]),
        lambda i: x[i] / (1 + math.exp(-x[i[0], i[1] + 2, i[2]])))),
    Case("softmax", lambda x: softmax(x, 1), sized("l m n"),
         lambda x: _along(x, 1, lambda row, v: math.exp(v) / math.fsum(map(math.exp, row)))),
    Case("log_softmax", lambda x: log_softmax(x, -1), sized("m n"),
         lambda x: _along(x, 1, lambda row, v: v - math.log(math.fsum(map(math.exp, row))))),
    Case("nll", lambda x: nll(x, ad.tensor([2, 0, 1]), None, 0, "none"), sized("3 3"),
         lambda x: Array((3,), lambda i: (-x[0, 2], 0.0, -x[2, 1])[i[0]])),
    Case("nll_mean", lambda x: nll(x, ad.tensor([2, 0]), ad.tensor([1.0, 2.0, 3.0]).to(x.dtype),
                                   -100, "mean"), sized("2 3"),
         lambda x: Array((), lambda _: -(3 * x[0, 2] + x[1, 0]) / 4)),
    Case("nll_places", lambda x: nll(x, ad.tensor([2, 0, 1, 2]), None, 1, "mean"), sized("2 3 2"),
         lambda x: Array((), lambda _: -(x[0, 2, 0] + x[0, 0, 1] + x[1, 2, 1]) / 3)),
    Case("cross_entropy", lambda x: cross_entropy(x, ad.tensor([2, 0, 1]), None, 0, "none"),
         sized("3 3"), lambda x: _entropies(x, [2, 0, 1], [1.0, 0.0, 1.0])),
    Case("linear_cross_entropy", lambda x: functional.linear_cross_entropy(
        x, ad.eye(3, dtype=x.dtype), ad.tensor([2, 0, 1]), reduction="none", ignore_index=0),
         sized("3 3"), lambda x: _entropies(x, [2, 0, 1], [1.0, 0.0, 1.0])),
    Case("cross_entropy_mean", lambda x: cross_entropy(
        x, ad.tensor([2, 0]), ad.tensor([1.0, 2.0, 3.0]).to(x.dtype), -100, "mean"), sized("2 3"),
         lambda x: Array((), lambda _: math.fsum(_entropies(x, [2, 0], [3.0, 1.0]).flat()) / 4)),
    Case("cross_entropy_places", lambda x: cross_entropy(
        x, ad.tensor([2, 0, 1, 2]), None, 1, "none"), sized("2 3 2"),
         lambda x: Array((4,), lambda i: 0.0 if i[0] == 2 else math.log(math.fsum(
             math.exp(x[i[0] // 2, c, i[0] % 2]) for c in range(3)
         )) - x[i[0] // 2, (2, 0, 1, 2)[i[0]], i[0] % 2])),
    Case("cross_entropy_sum", lambda x: cross_entropy(x, ad.tensor([1, 1]), None, -100, "sum"),
         sized("2 n", low=2),
         lambda x: Array((), lambda _: math.fsum(_entropies(x, [1, 1], [1.0, 1.0]).flat()))),
    Case("layer_norm", lambda x: layer_norm(x, x.shape[1:], None, None, 0.5), sized("m n", low=1),
         _normal),
    Case("layer_norm_weight", lambda x, w: layer_norm(x, w.shape, w, None, 0.5),
         sized("m n", "n", low=1),
         lambda x, w: Array(x.shape, lambda i: _normal(x)[i] * w[i[1:]])),
    Case("layer_norm_bias", lambda x, w, b: layer_norm(x, w.shape, w, b, 0.5),
         sized("1 m n", "m n", "m n", low=1),
         lambda x, w, b: Array(x.shape, lambda i: _normal(Array(
             (1, x.shape[1] * x.shape[2]), lambda j: x.flat()[j[1]]))[
                 0, i[1] * x.shape[2] + i[2]] * w[i[1:]] + b[i[1:]])),
]  # fmt: skip
