"""A case of every operation: one for each pointwise declaration, and a table for the rest.

The laws of the tests are tried on them with operands that Hypothesis draws, and
`python -m autodiff gradcheck` checks their gradients with pseudo-random ones.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import autodiff as ad
from autodiff import ops
from autodiff.expr import Primitive
from autodiff.ops.contraction import linear
from autodiff.ops.declare import FUNCTIONS, Function
from autodiff.ops.gated import glu
from autodiff.ops.layer_norm import layer_norm
from autodiff.ops.losses import cross_entropy, nll
from autodiff.ops.normalize import log_softmax, logsumexp, softmax
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.reduced import REDUCED
from autodiff.ops.statistics import std, std_mean, var, var_mean
from autodiff.testing.cases_composed import COMPOSED
from autodiff.testing.cases_convolution import ROWS as CONVOLUTION_ROWS
from autodiff.testing.cases_layers import LAYERS
from autodiff.testing.cases_linalg import LINEAR, PRODUCTS
from autodiff.testing.cases_linalg import Row as LinearRow
from autodiff.testing.cases_shapes import PLACED, REARRANGED, Row, read, written
from autodiff.testing.draw import Drawer, Maker, operand_dtypes
from autodiff.testing.reference import Array, Index, pointwise

for _module in pkgutil.iter_modules(ops.__path__):
    importlib.import_module(f"autodiff.ops.{_module.name}")  # so that every op is declared


@dataclass(frozen=True)
class Case:
    """A function of tensors, the operands to try it on, and an independent definition on Arrays."""

    name: str
    call: Callable[..., Any]
    operands: Maker
    reference: Callable[..., Array] | None
    differentiable: bool = True
    pointwise: PointwiseOp | None = None

    def __str__(self) -> str:
        return self.name


def pointwise_case(f: Function) -> Case:
    """The case of a declared pointwise function."""
    primitive = f.primitive
    given = primitive.reference
    return Case(
        f"{f.name}",
        f.op.call,
        pointwise_operands(primitive),
        None if given is None else lambda *xs: pointwise(given, *xs),
        differentiable=primitive.result not in ("bool", "bits"),
        pointwise=f.op,
    )


def pointwise_operands(primitive: Primitive) -> Maker:
    """Operands of a pointwise primitive: broadcastable, in its domain, each in its own layout."""
    kinds = operand_dtypes(primitive)

    def operands(draw: Drawer) -> list[ad.Tensor]:
        shapes = draw.broadcastable(primitive.arity)
        each = zip(shapes, kinds, primitive.domain, strict=True)
        return [draw.tensor(shape, d, domain) for shape, d, domain in each]

    return operands


def sized(
    *shapes: str, low: int = 0, high: int = 3, distinct: bool = False, small: bool = False
) -> Maker:
    """Tensors of shapes such as "m k": equal letters are equal sizes, drawn; digits are sizes.

    `small` ones stay so, whoever draws.
    """

    def operands(draw: Drawer) -> list[ad.Tensor]:
        size = draw.integer if small else draw.size
        sizes: dict[str, int] = {}
        xs = []
        for shape in shapes:
            for name in shape.split():
                if name not in sizes:
                    sizes[name] = int(name) if name.isdigit() else size(low, high)
            given = tuple(sizes[name] for name in shape.split())
            xs.append(draw.tensor(given, distinct=distinct))
        return xs

    return operands


def overwritten(where: Callable[..., Index | None]) -> Callable[[Array, Array], Array]:
    """A reference of a write: the element of v that lands at each index, or None for x's own."""

    def reference(x: Array, v: Array) -> Array:
        def value(i: Index) -> Any:
            at = where(*i)
            return x[i] if at is None else v[at]

        return Array(x.shape, value)

    return reference


def _extreme(pick: Callable[..., Any], *dims: int) -> Callable[[Array], Array]:
    return lambda x: x.fold(pick, dims or range(len(x.shape)))


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _variance(values: list[float], correction: float = 1.0) -> float:
    mean = _mean(values)
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - correction)


def _deviation(values: list[float]) -> float:
    return math.sqrt(_variance(values))


def _both(a: Array, b: Array) -> Array:
    return Array(a.shape, lambda i: a[i] + 2 * b[i])


def _with_mean(pair: tuple[ad.Tensor, ad.Tensor]) -> ad.Tensor:
    spread, mean = pair
    return spread + mean * 2


def _matmul(a: Array, b: Array) -> Array:
    batch = a.shape[:-2] if len(a.shape) >= len(b.shape) else b.shape[:-2]
    *_, m, inner = a.shape

    def value(index: Index) -> float:
        *lead, i, j = index
        return math.fsum(
            a.broadcast([*lead, i, k]) * b.broadcast([*lead, k, j]) for k in range(inner)
        )

    return Array((*batch, m, b.shape[-1]), value)


def _linear(x: Array, w: Array, b: Array) -> Array:
    def value(index: Index) -> float:
        *lead, j = index
        return math.fsum([b[[j]], *(x[[*lead, k]] * w[[j, k]] for k in range(w.shape[1]))])

    return Array((*x.shape[:-1], w.shape[0]), value)


def _running(fold: Callable[[list[float]], float]) -> Callable[[Array], Array]:
    """At each index, the fold of the elements up to it along dimension 1."""
    return lambda x: Array(x.shape, lambda i: fold([x[i[0], j, i[2]] for j in range(i[1] + 1)]))


def _log_of_sum(values: list[float]) -> float:
    return math.log(math.fsum(map(math.exp, values)))


def _median(values: list[float]) -> float:
    return sorted(values)[(len(values) - 1) // 2]


def _quantile(values: list[float]) -> float:
    rank = 0.4 * (len(values) - 1)
    below, above = (sorted(values)[f(rank)] for f in (math.floor, math.ceil))
    return below + (above - below) * (rank - math.floor(rank))


def _sorted(k: int | None) -> Callable[[Array], Array]:
    """The first k of each column in order."""

    def reference(x: Array) -> Array:
        rows, cols = x.shape
        columns = [sorted(x[r, c] for r in range(rows)) for c in range(cols)]
        return Array((rows if k is None else k, cols), lambda i: columns[i[1]][i[0]])

    return reference


def _argmax(values: list[float]) -> int:
    return max(range(len(values)), key=values.__getitem__)


def _cat(a: Array, b: Array, c: Array) -> Array:
    rows = [(x, j) for x in (a, b, c) for j in range(x.shape[1])]
    return Array((a.shape[0], len(rows)), lambda i: rows[i[1]][0][i[0], rows[i[1]][1]])


def _prod_over(*dims: int) -> Callable[[Array], Array]:
    return lambda x: x.fold(math.prod, dims or range(len(x.shape)))


def _sum_over(*dims: int, keepdim: bool = False) -> Callable[[Array], Array]:
    return lambda x: x.fold(math.fsum, dims or range(len(x.shape)), keepdim)


def _mask() -> ad.Tensor:
    return ad.tensor([True, False, True])


ROWS = ad.tensor([[1, 0], [2, 2]])
SHIFTED = [(0, 0), (1, 2), (0, 1)]

VIEWS = [
    Case("view", lambda x: x.contiguous().view(-1, 2), sized("m 2 n", low=1),
         lambda x: _flat(x, 2)),
    Case("reshape", lambda x: x.reshape(-1, 2), sized("m 2 n", low=1), lambda x: _flat(x, 2)),
    Case("flatten", lambda x: x.t().flatten(), sized("m n"), lambda x: _flat_of(_t(x))),
    Case("expand", lambda x: x.expand(2, 3, -1), sized("1 n"), read(
        lambda x: (2, 3, x.shape[1]), lambda i, j, k: (0, k))),
    Case("permute", lambda x: x.permute(2, 0, 1), sized("l m n", low=1), read(
        lambda x: (x.shape[2], x.shape[0], x.shape[1]), lambda i, j, k: (j, k, i))),
    Case("transpose", lambda x: x.transpose(0, -1), sized("l m n"), read(
        lambda x: x.shape[::-1], lambda i, j, k: (k, j, i))),
    Case("t", lambda x: x.t(), sized("m n"), lambda x: _t(x)),
    Case("T", lambda x: x.T, sized("m n"), lambda x: _t(x)),
    Case("mT", lambda x: x.mT, sized("l m n"), read(
        lambda x: (x.shape[0], x.shape[2], x.shape[1]), lambda i, j, k: (i, k, j))),
    Case("select", lambda x: x.select(1, -1), sized("l 3 n"), read(
        lambda x: (x.shape[0], x.shape[2]), lambda i, k: (i, 2, k))),
    Case("slice", lambda x: x[1:, ::2], sized("3 5 n"), read(
        lambda x: (2, 3, x.shape[2]), lambda i, j, k: (i + 1, 2 * j, k))),
    Case("narrow", lambda x: x.narrow(0, 1, 2), sized("4 n"), read(
        lambda x: (2, x.shape[1]), lambda i, j: (i + 1, j))),
    Case("squeeze", lambda x: x.squeeze(1), sized("m 1 n"), read(
        lambda x: (x.shape[0], x.shape[2]), lambda i, k: (i, 0, k))),
    Case("unsqueeze", lambda x: x.unsqueeze(-1), sized("m n"), read(
        lambda x: (*x.shape, 1), lambda i, j, k: (i, j))),
    Case("alias", lambda x: x[...], sized("m n"), lambda x: x),
    Case("chunk", lambda x: x.chunk(2, 1)[1], sized("m 5"), read(
        lambda x: (x.shape[0], 2), lambda i, j: (i, j + 3))),
    Case("unbind", lambda x: x.unbind(1)[1], sized("m 2"), read(
        lambda x: x.shape[:1], lambda i: (i, 1))),
    Case("as_strided", lambda x: x.clone().reshape(-1).as_strided((2, 3), (1, 1), 1), sized("2 3"),
         read(lambda x: (2, 3), lambda i, j: divmod(i + j + 1, 3))),
    Case("as_strided_shared", lambda x: x.clone().unfold(0, 3, 1).as_strided((2, 2), (1, 2)),
         sized("5"), read(lambda x: (2, 2), lambda i, j: (i + 2 * j,))),
    Case("clone", lambda x: x.clone(), sized("m n"), lambda x: x),
    Case("contiguous", lambda x: x.t().contiguous(), sized("m n"), lambda x: _t(x)),
]  # fmt: skip


def _t(x: Array) -> Array:
    return Array(x.shape[::-1], lambda i: x[i[::-1]])


def _flat(x: Array, columns: int) -> Array:
    values = x.flat()
    return Array((len(values) // columns, columns), lambda i: values[i[0] * columns + i[1]])


def _flat_of(x: Array) -> Array:
    values = x.flat()
    return Array((len(values),), lambda i: values[i[0]])


REDUCTIONS = [
    Case("sum", lambda x: x.sum(), sized("m n"), _sum_over()),
    Case("sum_dim", lambda x: x.sum((0, -1)), sized("l m n"), _sum_over(0, 2)),
    Case("sum_keepdim", lambda x: x.sum(1, keepdim=True), sized("l m n"),
         _sum_over(1, keepdim=True)),
    Case("mean", lambda x: x.mean(), sized("m n", low=1), lambda x: x.fold(_mean, (0, 1))),
    Case("mean_dim", lambda x: x.mean(1), sized("l m n", low=1), lambda x: x.fold(_mean, (1,))),
    Case("prod", lambda x: x.prod(), sized("m n"), _prod_over()),
    Case("prod_dim", lambda x: x.prod(1), sized("m n"), _prod_over(1)),
    Case("max", lambda x: x.max(), sized("m n", low=1, distinct=True), _extreme(max)),
    Case("min", lambda x: x.min(), sized("m n", low=1, distinct=True), _extreme(min)),
    Case("max_dim", lambda x: x.max(0).values, sized("m n", low=1, distinct=True),
         _extreme(max, 0)),
    Case("min_dim", lambda x: x.min(1)[0], sized("m n", low=1, distinct=True), _extreme(min, 1)),
    Case("amax", lambda x: x.amax((0, 2)), sized("l m n", low=1, distinct=True),
         _extreme(max, 0, 2)),
    Case("amin", lambda x: x.amin(1), sized("l m n", low=1, distinct=True), _extreme(min, 1)),
    Case("cumsum", lambda x: x.cumsum(1), sized("l m n"), _running(math.fsum)),
    Case("cumprod", lambda x: x.cumprod(1), sized("l m n"), _running(math.prod)),
    Case("logcumsumexp", lambda x: x.logcumsumexp(1), sized("l m n"), _running(_log_of_sum)),
    Case("cummax", lambda x: x.cummax(1).values, sized("l m n", distinct=True), _running(max)),
    Case("cummin", lambda x: x.cummin(1).values, sized("l m n", distinct=True), _running(min)),
    Case("median", lambda x: x.median(), sized("m n", low=1, distinct=True), _extreme(_median)),
    Case("median_dim", lambda x: x.median(0).values, sized("m n", low=1, distinct=True),
         _extreme(_median, 0)),
    Case("nanmedian", lambda x: x.nanmedian(), sized("m n", low=1, distinct=True),
         _extreme(_median)),
    Case("nanmedian_dim", lambda x: x.nanmedian(1, keepdim=True)[0],
         sized("m n", low=1, distinct=True), lambda x: x.fold(_median, (1,), True)),
    Case("kthvalue", lambda x: x.kthvalue(1, 1).values, sized("m n", low=1, distinct=True),
         _extreme(min, 1)),
    Case("mode", lambda x: x.mode(1).values, sized("m n", low=1, distinct=True), _extreme(min, 1)),
    Case("quantile", lambda x: x.quantile(0.4, 1), sized("m n", low=1, distinct=True),
         _extreme(_quantile, 1)),
    Case("argmax", lambda x: x.argmax(1), sized("m n", low=1), _extreme(_argmax, 1), False),
    Case("any", lambda x: x.any(0), sized("m n"), lambda x: x.fold(any, (0,)), False),
    Case("all", lambda x: x.all(), sized("m n"), lambda x: x.fold(all, (0, 1)), False),
    Case("var", lambda x: var(x), sized("m n", low=2), lambda x: x.fold(_variance, (0, 1))),
    Case("var_dims", lambda x: var(x, (0, 2), correction=0.5), sized("l m n", low=1),
         lambda x: x.fold(lambda values: _variance(values, 0.5), (0, 2))),
    Case("std", lambda x: std(x, 1, keepdim=True), sized("m n", low=2, distinct=True),
         lambda x: x.fold(_deviation, (1,), True)),
    Case("var_mean", lambda x: _with_mean(var_mean(x, 0)), sized("m n", low=2),
         lambda x: _both(x.fold(_variance, (0,)), x.fold(_mean, (0,)))),
    Case("std_mean", lambda x: _with_mean(std_mean(x, 1)), sized("m n", low=2, distinct=True),
         lambda x: _both(x.fold(_deviation, (1,)), x.fold(_mean, (1,)))),
    Case("logsumexp", lambda x: logsumexp(x, (0, 2)), sized("l m n", low=1),
         lambda x: x.fold(_log_of_sum, (0, 2))),
    Case("sum_to_size", lambda x: x.sum_to_size(1, x.shape[2]), sized("l m n"),
         lambda x: Array((1, x.shape[2]), lambda i: _sum_over(0, 1)(x)[i[1:]])),
]  # fmt: skip

CONTRACTIONS = [
    Case("matmul", lambda a, b: a @ b, sized("m k", "k n"), _matmul),
    Case("matmul_batched", lambda a, b: a @ b, sized("b m k", "b k n"), _matmul),
    Case("matmul_broadcast", lambda a, b: a @ b, sized("2 m k", "k n"), _matmul),
    Case("matmul_broadcast_left", lambda a, b: a @ b, sized("m k", "2 k n"), _matmul),
    Case("mv", lambda a, b: a.mv(b), sized("m k", "k"),
         lambda a, b: Array(a.shape[:1], lambda i: math.fsum(
             a[[*i, k]] * b[[k]] for k in range(b.shape[0])))),
    Case("dot", lambda a, b: a.dot(b), sized("k", "k"),
         lambda a, b: Array((), lambda _: math.fsum(
             p * q for p, q in zip(a.flat(), b.flat(), strict=True)))),
    Case("outer", lambda a, b: a.outer(b), sized("m", "n"),
         lambda a, b: Array((*a.shape, *b.shape), lambda i: a[i[:1]] * b[i[1:]])),
    Case("linear", linear, sized("m k", "n k", "n"), _linear),
    Case("linear_batched", linear, sized("b m k", "n k", "n"), _linear),
    Case("linear_plain", lambda x, w: linear(x, w), sized("m k", "n k"),
         lambda x, w: _linear(x, w, Array(w.shape[:1], lambda _: 0.0))),
]  # fmt: skip

CONVOLUTIONS = [
    Case(name, call, sized(*shapes, low=2, distinct=distinct), reference)
    for name, call, shapes, reference, distinct in CONVOLUTION_ROWS
]

INDEXING = [
    Case("index", lambda x: x[ROWS], sized("3 n"), read(
        lambda x: (2, 2, x.shape[1]), lambda i, j, k: ([[1, 0], [2, 2]][i][j], k))),
    Case("index_pair", lambda x: x[:, [0, 1, 0], [0, 2, 1]], sized("m 2 3"), read(
        lambda x: (x.shape[0], 3), lambda i, j: (i, *SHIFTED[j]))),
    Case("index_mask", lambda x: x[_mask()], sized("3 n"), read(
        lambda x: (2, x.shape[1]), lambda i, j: (2 * i, j))),
    Case("index_put", written(lambda x, v: x.__setitem__(([1, 2],), v)), sized("3 n", "2 n"),
         overwritten(lambda i, j: None if i == 0 else (i - 1, j))),
    Case("index_put_broadcast", written(lambda x, v: x.__setitem__(_mask(), v)), sized("3 n", "n"),
         overwritten(lambda i, j: None if i == 1 else (j,))),
    Case("index_add", written(lambda x, v: x.index_put_((ad.tensor([0, 0]),), v, accumulate=True)),
         sized("2 n", "2 n"), lambda x, v: Array(
             x.shape, lambda i: x[i] if i[0] else x[i] + v[0, i[1]] + v[1, i[1]])),
    Case("index_select", lambda x: x.index_select(1, ad.tensor([2, 0, 2])), sized("m 3"), read(
        lambda x: x.shape, lambda i, j: (i, [2, 0, 2][j]))),
    Case("gather", lambda x: x.gather(0, ROWS), sized("3 2"), read(
        lambda x: (2, 2), lambda i, j: ([[1, 0], [2, 2]][i][j], j))),
    Case("index_add_dim", lambda x, v: x.index_add(1, ad.tensor([1, 1]), v, alpha=2),
         sized("m 3", "m 2"), lambda x, v: Array(
             x.shape, lambda i: x[i] if i[1] != 1 else x[i] + 2 * (v[i[0], 0] + v[i[0], 1]))),
    Case("sort", lambda x: x.sort(0).values, sized("m n", low=1, distinct=True), _sorted(None)),
    Case("unique", lambda x: x.unique(), sized("m n", distinct=True),
         lambda x: _flat_of(Array((len(x.flat()),), lambda i: sorted(x.flat())[i[0]]))),
    Case("argsort", lambda x: x.argsort(1, descending=True), sized("m n", low=1, distinct=True),
         lambda x: Array(x.shape, lambda i: sorted(
             range(x.shape[1]), key=lambda j: -x[i[0], j])[i[1]]), False),
    Case("scatter_amax", lambda x: x.scatter_reduce(0, ad.tensor([[1, 0]]), x[2:], "amax"),
         sized("3 2", distinct=True), lambda x: Array(x.shape, lambda i: max(
             x[i], x[2, i[1]] if i[0] == 1 - i[1] else x[i]))),
    Case("topk", lambda x: x.topk(1, 0, largest=False)[0], sized("m n", low=1, distinct=True),
         _sorted(1)),
    Case("masked_fill", lambda x: x.masked_fill(_mask(), 2.0), sized("m 3"),
         lambda x: Array(x.shape, lambda i: x[i] if i[1] == 1 else 2.0)),
    Case("masked_select", lambda x: x.masked_select(_mask()), sized("2 3"), read(
        lambda x: (4,), lambda i: (i // 2, i % 2 * 2))),
    Case("copy", written(lambda x, v: x.copy_(v)), sized("m n", "n"),
         overwritten(lambda i, j: (j,))),
    Case("write_slice", written(lambda x, v: x.__setitem__((slice(None), slice(1, None)), v)),
         sized("m 3", "m 2"), overwritten(lambda i, j: None if j == 0 else (i, j - 1))),
    Case("write_product", written(lambda x, v: x.t()[1:].mul_(v)), sized("m 3", "m"),
         lambda x, v: Array(x.shape, lambda i: x[i] if i[1] == 0 else x[i] * v[i[:1]])),
    Case("cat", lambda a, b, c: ad.cat([a, b, c], 1), sized("m j", "m k", "m l"), _cat),
    Case("stack", lambda a, b: ad.stack([a, b], 1), sized("m n", "m n", low=1),
         lambda a, b: Array((a.shape[0], 2, a.shape[1]), lambda i: (a, b)[i[1]][i[0], i[2]])),
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
    Case("linear_cross_entropy", lambda x: ad.nn.functional.linear_cross_entropy(
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
         lambda x: _normal(x)),
    Case("layer_norm_weight", lambda x, w: layer_norm(x, w.shape, w, None, 0.5),
         sized("m n", "n", low=1),
         lambda x, w: Array(x.shape, lambda i: _normal(x)[i] * w[i[1:]])),
    Case("layer_norm_bias", lambda x, w, b: layer_norm(x, w.shape, w, b, 0.5),
         sized("1 m n", "m n", "m n", low=1),
         lambda x, w, b: Array(x.shape, lambda i: _normal(Array(
             (1, x.shape[1] * x.shape[2]), lambda j: x.flat()[j[1]]))[
                 0, i[1] * x.shape[2] + i[2]] * w[i[1:]] + b[i[1:]])),
]  # fmt: skip


def _entropies(x: Array, target: list[int], weight: list[float]) -> Array:
    """The losses of the rows, times a weight each."""

    def value(i: Index) -> float:
        row = [x[i[0], k] for k in range(x.shape[1])]
        return weight[i[0]] * float(math.log(math.fsum(map(math.exp, row))) - row[target[i[0]]])

    return Array(x.shape[:1], value)


def _normal(x: Array) -> Array:
    """Rows less their mean, over the root of their variance plus a half."""
    return _along(x, 1, lambda row, v: (v - _mean(row)) / math.sqrt(_variance(row, 0.0) + 0.5))


def _along(x: Array, dim: int, function: Callable[[list[float], float], float]) -> Array:
    """At each index, the function of its row along dim and of its own element."""

    def value(i: Index) -> float:
        row = [x[[*i[:dim], k, *i[dim + 1 :]]] for k in range(x.shape[dim])]
        return function(row, x[i])

    return Array(x.shape, value)


def reduced_case(name: str, kind: str) -> Case:
    """The mean or sum of a loss of elements, of tensors alike in shape; a weight multiplies it."""
    loss, weighted = REDUCED[name], name.startswith("weighted_")
    primitive = FUNCTIONS[name.removeprefix("weighted_")].primitive
    domains = primitive.domain + (((0.1, 3.0),),) * weighted
    each = primitive.reference
    assert each is not None

    def operands(draw: Drawer) -> list[ad.Tensor]:
        shape = draw.shape(max_dims=2, min_size=1)
        return [draw.tensor(shape, domain=domain) for domain in domains]

    def reference(*xs: Array) -> Array:
        terms = xs[: primitive.arity]
        values = [each(*numbers) for numbers in zip(*(x.flat() for x in terms), strict=True)]
        if weighted:
            values = [w * value for w, value in zip(xs[-1].flat(), values, strict=True)]
        total = math.fsum(values)
        return Array((), lambda _: total / len(values) if kind == "mean" else total)

    return Case(f"{name}_{kind}", lambda *xs: loss(kind, *xs), operands, reference)


def linear_case(row: LinearRow) -> Case:
    """The case of a row of cases_linalg."""
    operands = sized(*row.shapes, low=row.low, high=row.high, distinct=row.distinct, small=True)
    return Case(row.name, row.call, operands, row.reference)


def of_row(row: Row) -> Case:
    """The case of a row of cases_shapes."""
    name, call, shapes, low, reference = row
    return Case(name, call, sized(*shapes, low=low), reference)


POINTWISE = [pointwise_case(f) for f in FUNCTIONS.values()]
REDUCED_LOSSES = [reduced_case(name, kind) for name in REDUCED for kind in ("mean", "sum")]
FAMILIES = {
    "pointwise": POINTWISE,
    "view": [*VIEWS, *map(of_row, REARRANGED)],
    "reduction": REDUCTIONS,
    "contraction": CONTRACTIONS + list(map(linear_case, PRODUCTS)),
    "linear algebra": list(map(linear_case, LINEAR)),
    "composed": list(map(linear_case, COMPOSED)),
    "convolution": CONVOLUTIONS,
    "gather": [*INDEXING, *map(of_row, PLACED)],
    "row-wise": ROWWISE,
    "layer": [
        Case(name, call, sized(*shapes, low=low), reference)
        for name, call, shapes, low, reference in LAYERS
    ],
    "loss": REDUCED_LOSSES,
}
CASES = [case for cases in FAMILIES.values() for case in cases]
OTHERS = CASES[len(POINTWISE) :]
