"""Operations of the model: elements one at a time, as the definitions have it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from sequences import scalars as s
from sequences.model import (
    CATEGORY,
    CONSTANT,
    RANK,
    RefusedError,
    Tensor,
    UnmodelledError,
    check_writable,
    made,
    sized,
    write,
)
from sequences.scalars import Number, Scalar, same, value_of

Shape = tuple[int, ...]

# ---- shapes ----


def indices(shape: Sequence[int]) -> list[Shape]:
    return list(itertools.product(*map(range, shape)))


def broadcast(*shapes: Shape) -> Shape:
    ndim = max(map(len, shapes), default=0)
    out = []
    for d in range(ndim):
        sizes = {sh[d - ndim + len(sh)] for sh in shapes if d - ndim + len(sh) >= 0} - {1}
        if len(sizes) > 1:
            raise RefusedError(RuntimeError)
        out.append(sizes.pop() if sizes else 1)
    return tuple(out)


def spread(items: list[Any], shape: Shape, out: Shape) -> list[Any]:
    """Items of a shape, repeated as broadcasting to `out` repeats them."""
    if shape == out:
        return items
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(0 if size == 1 else step)
        step *= size
    strides = [0] * (len(out) - len(shape)) + strides[::-1]
    return [items[sum(map(int.__mul__, index, strides))] for index in indices(out)]


# ---- dtypes ----


def kind_of_number(x: Any) -> str:
    return "bool" if isinstance(x, bool) else "int64" if isinstance(x, int) else "float32"


def promoted(*xs: Any) -> str:
    """Tensors with dimensions decide; 0-d tensors and then numbers only by a higher category."""
    best: dict[int, str] = {}
    for x in xs:
        tensor = isinstance(x, Tensor)
        level = (2 if x.shape else 1) if tensor else 0
        dtype = x.dtype if tensor else kind_of_number(x)
        if level not in best or RANK[dtype] > RANK[best[level]]:
            best[level] = dtype
    result = ""
    for level in (2, 1, 0):
        if level in best and (not result or CATEGORY[best[level]] > CATEGORY[result]):
            result = best[level]
    return result


# ---- pointwise ----


def _div(a: Number, b: Number) -> Number:
    if abs(value_of(b)) < 0.25:
        raise UnmodelledError
    return s.mul(a, s.inv(b))


def _exp(a: Number) -> Number:
    if abs(value_of(a)) > 4:
        raise UnmodelledError
    return s.exp(a)


def _abs(a: Number) -> Number:
    sign = (value_of(a) > 0) - (value_of(a) < 0)
    return s.mul(a, float(sign)) if type(a) is Scalar else abs(a)


def _maximum(a: Number, b: Number) -> Number:
    x, y = value_of(a), value_of(b)
    if type(a) is not Scalar and type(b) is not Scalar:
        return max(x, y)
    if x == y:
        return s.add(s.mul(a, 0.5), s.mul(b, 0.5))
    return same(a if x > y else b)


def _sigmoid(a: Number) -> Number:
    return s.inv(s.add(1.0, _exp(s.neg(a))))


# name: function, what is saved (0, 1: that input for the other's sake or its own, "y": the result)
UNARY: dict[str, tuple[Callable[[Number], Number], str]] = {
    "neg": (s.neg, ""),
    "exp": (_exp, "y"),
    "sin": (s.sin, "x"),
    "cos": (s.cos, "x"),
    "tanh": (s.tanh, "y"),
    "sigmoid": (_sigmoid, "y"),
    "square": (lambda a: s.mul(a, a), "x"),
    "abs": (_abs, "x"),
}
BINARY: dict[str, Callable[[Number, Number], Number]] = {
    "add": s.add,
    "sub": lambda a, b: s.add(a, s.neg(b)),
    "mul": s.mul,
    "div": _div,
    "maximum": _maximum,
}
TRANSCENDENTAL = {"exp", "sin", "cos", "tanh", "sigmoid"}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda a, b: a < b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
}


def parts(x: Any, out: Shape) -> list[Number]:
    if not isinstance(x, Tensor):
        return [x] * sized(out)
    return spread(x.elements(), x.shape, out)


def unary_result(name: str, x: Tensor) -> tuple[str, list[Number]]:
    f, _ = UNARY[name]
    if name == "neg" and x.dtype == "bool":
        raise RefusedError(RuntimeError)
    if name in ("square", "abs") and x.dtype == "bool":
        raise UnmodelledError
    dtype = "float32" if name in TRANSCENDENTAL and not x.is_float else x.dtype
    return dtype, [f(e) for e in x.elements()]


def unary(name: str, x: Tensor) -> Tensor:
    dtype, elements = unary_result(name, x)
    y = made(dtype, x.shape, elements, [x], [x.storage] if UNARY[name][1] == "x" else [])
    if UNARY[name][1] == "y" and y.family.node is not None:
        y.family.node.saves.append((y.storage, 0))
    return y


def saved_by(name: str, a: Tensor, b: Any) -> list[Any]:
    """The storages a binary operation keeps for backward; a number counts as one of its own."""
    wants = [isinstance(x, Tensor) and x.is_float and x.requires_grad for x in (a, b)]
    keep_a, keep_b = {
        "add": (False, False),
        "sub": (False, False),
        "mul": (wants[1], wants[0]),
        "div": (wants[1], wants[0] or wants[1]),
        "maximum": (any(wants), any(wants)),
    }[name]
    kept = [a.storage] if keep_a else []
    if keep_b:
        kept.append(b.storage if isinstance(b, Tensor) else CONSTANT)
    return kept


def binary_result(name: str, a: Tensor, b: Any) -> tuple[str, Shape, list[Number]]:
    dtype = promoted(a, b)
    if name == "sub" and "bool" in (a.dtype, b.dtype if isinstance(b, Tensor) else ""):
        raise RefusedError(RuntimeError)
    shape = broadcast(a.shape, b.shape if isinstance(b, Tensor) else ())
    if name == "div" and CATEGORY[dtype] < 2:
        dtype = "float32"
    f = BINARY[name]
    return dtype, shape, [f(x, y) for x, y in zip(parts(a, shape), parts(b, shape), strict=True)]


def binary(name: str, a: Tensor, b: Any) -> Tensor:
    dtype, shape, elements = binary_result(name, a, b)
    inputs = [x for x in (a, b) if isinstance(x, Tensor)]
    return made(dtype, shape, elements, inputs, saved_by(name, a, b))


def compare(name: str, a: Tensor, b: Any) -> Tensor:
    shape = broadcast(a.shape, b.shape if isinstance(b, Tensor) else ())
    pairs = zip(parts(a, shape), parts(b, shape), strict=True)
    return made("bool", shape, [COMPARISONS[name](value_of(x), value_of(y)) for x, y in pairs])


def where(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    shape = broadcast(c.shape, a.shape, b.shape)
    rows = zip(parts(c, shape), parts(a, shape), parts(b, shape), strict=True)
    if c.dtype != "bool":
        raise RefusedError(RuntimeError)
    elements = [same(x if test else y) for test, x, y in rows]
    return made(promoted(a, b), shape, elements, [a, b], [c.storage])


def convert(x: Tensor, dtype: str) -> Tensor:
    return made(dtype, x.shape, [same(e) for e in x.elements()], [x])


def clone(x: Tensor) -> Tensor:
    return made(x.dtype, x.shape, [same(e) for e in x.elements()], [x])


def flip(x: Tensor, dim: Any) -> Tensor:
    """The elements in the opposite order along a dimension, or as they are."""
    dims = dims_of(dim, len(x.shape))
    items = dict(zip(indices(x.shape), x.elements(), strict=True))
    places = [
        tuple(
            n - 1 - i if d in dims else i for d, (i, n) in enumerate(zip(at, x.shape, strict=True))
        )
        for at in indices(x.shape)
    ]
    return made(x.dtype, x.shape, [same(items[at]) for at in places], [x])


def repeat(x: Tensor, sizes: Shape) -> Tensor:
    """Several copies side by side, in each dimension."""
    lead = len(sizes) - len(x.shape)
    if lead < 0:
        raise RefusedError(RuntimeError)
    old = (1,) * lead + x.shape
    shape = tuple(n * times for n, times in zip(old, sizes, strict=True))
    items = dict(zip(indices(old), x.elements(), strict=True))
    places = (tuple(i % n for i, n in zip(at, old, strict=True)) for at in indices(shape))
    return made(x.dtype, shape, [same(items[at]) for at in places], [x])


# ---- reductions ----


def dims_of(dim: Any, ndim: int) -> list[int]:
    if dim is None or dim == ():
        return list(range(ndim))
    dims = list(dim) if isinstance(dim, tuple) else [dim]
    limit = max(ndim, 1)
    if not all(-limit <= d < limit for d in dims):
        raise RefusedError(IndexError)
    dims = [d % limit for d in dims]
    if len(set(dims)) < len(dims):
        raise RefusedError(RuntimeError)
    return [d for d in dims if d < ndim]


def _largest(xs: list[Number]) -> Number:
    top = max(map(value_of, xs))
    hits = [x for x in xs if value_of(x) == top]
    y: Number = 0.0
    for x in hits:
        y = s.add(y, s.mul(x, 1 / len(hits))) if type(x) is Scalar else top
    return y


def _sum(xs: list[Number]) -> Number:
    y: Number = 0
    for x in xs:
        y = s.add(y, x)
    return y


REDUCE: dict[str, Callable[[list[Number]], Number]] = {
    "sum": _sum,
    "mean": lambda xs: s.mul(_sum(xs), 1 / len(xs)),
    "prod": s.product,
    "amax": _largest,
}


def reduce(name: str, x: Tensor, dim: Any, keepdim: bool) -> Tensor:
    if name == "mean" and not x.is_float:
        raise RefusedError(RuntimeError)
    dims = dims_of(dim, len(x.shape))
    shape = tuple(1 if d in dims else n for d, n in enumerate(x.shape))
    groups: dict[Shape, list[Number]] = {index: [] for index in indices(shape)}
    for index, e in zip(indices(x.shape), x.elements(), strict=True):
        groups[tuple(0 if d in dims else i for d, i in enumerate(index))].append(e)
    if name in ("mean", "amax") and not all(groups.values()):
        raise UnmodelledError
    if name == "amax" and not groups:
        raise UnmodelledError
    elements = [REDUCE[name](group) for group in groups.values()]
    if not keepdim:
        shape = tuple(n for d, n in enumerate(shape) if d not in dims)
    dtype = "int64" if name in ("sum", "prod") and not x.is_float else x.dtype
    saves = {"prod": [x.storage], "amax": [x.storage]}.get(name, [])
    y = made(dtype, shape, elements, [x], saves)
    if name == "amax" and y.family.node is not None:
        y.family.node.saves.append((y.storage, 0))
    return y


# ---- contraction ----


def matmul(a: Tensor, b: Tensor) -> Tensor:
    if not a.shape or not b.shape or a.dtype != b.dtype or a.dtype == "bool":
        raise RefusedError(RuntimeError)
    sa = (1, *a.shape) if len(a.shape) == 1 else a.shape
    sb = (*b.shape, 1) if len(b.shape) == 1 else b.shape
    n, k, m = sa[-2], sa[-1], sb[-1]
    if sb[-2] != k:
        raise RefusedError(RuntimeError)
    batch = broadcast(sa[:-2], sb[:-2])
    xs = spread(a.elements(), sa, (*batch, n, k))
    ys = spread(b.elements(), sb, (*batch, k, m))
    elements = []
    for at in range(sized(batch)):
        for i in range(n):
            for j in range(m):
                row = xs[(at * n + i) * k : (at * n + i + 1) * k]
                column = ys[at * k * m + j : (at + 1) * k * m : m]
                elements.append(_sum([s.mul(x, y) for x, y in zip(row, column, strict=True)]))
    shape = batch + (() if len(a.shape) == 1 else (n,)) + (() if len(b.shape) == 1 else (m,))
    return made(a.dtype, shape, elements, [a, b], saved_by("mul", a, b))


# ---- joining ----


def cat(xs: list[Tensor], dim: int) -> Tensor:
    ndim = len(xs[0].shape)
    if any(not x.shape for x in xs):
        raise RefusedError(RuntimeError)
    (d,) = dims_of(dim, ndim)
    rests = {(*x.shape[:d], *x.shape[d + 1 :]) for x in xs}
    if any(x.shape == (0,) for x in xs) and len(rests) > 1:
        raise UnmodelledError
    if len(rests) > 1 or any(len(x.shape) != ndim for x in xs):
        raise RefusedError(RuntimeError)
    found: dict[Shape, Number] = {}
    start = 0
    for x in xs:
        for index, e in zip(indices(x.shape), x.elements(), strict=True):
            found[(*index[:d], index[d] + start, *index[d + 1 :])] = same(e)
        start += x.shape[d]
    shape = (*xs[0].shape[:d], start, *xs[0].shape[d + 1 :])
    dtype = max((x.dtype for x in xs), key=RANK.__getitem__)
    return made(dtype, shape, [found[i] for i in indices(shape)], xs)


def stack(xs: list[Tensor], dim: int) -> Tensor:
    (d,) = dims_of(dim, len(xs[0].shape) + 1)
    if len({x.shape for x in xs}) > 1:
        raise RefusedError(RuntimeError)
    found = {
        (*index[:d], k, *index[d:]): same(e)
        for k, x in enumerate(xs)
        for index, e in zip(indices(x.shape), x.elements(), strict=True)
    }
    shape = (*xs[0].shape[:d], len(xs), *xs[0].shape[d:])
    dtype = max((x.dtype for x in xs), key=RANK.__getitem__)
    return made(dtype, shape, [found[i] for i in indices(shape)], xs)


# ---- indexing by tensors ----


def picked(x: Tensor, index: Tensor) -> tuple[Shape, list[int]]:
    """What x[index] takes: its shape, and the places of its elements in x."""
    if index.dtype == "bool":
        if x.shape[: len(index.shape)] != index.shape:
            raise RefusedError(IndexError)
        rest = x.shape[len(index.shape) :]
        rows = [i for i, hit in enumerate(index.values()) if hit]
        lead: Shape = (len(rows),)
    elif index.dtype == "int64" and x.shape:
        n, rest = x.shape[0], x.shape[1:]
        if not all(-n <= i < n for i in index.values()):
            raise RefusedError(IndexError)
        rows = [i % n for i in index.values()]
        lead = index.shape
    else:
        raise RefusedError(IndexError)
    size = sized(rest)
    return (*lead, *rest), [row * size + k for row in rows for k in range(size)]


def index_get(x: Tensor, index: Tensor) -> Tensor:
    if not index.shape:
        raise UnmodelledError
    shape, places = picked(x, index)
    elements = x.elements()
    kept = [index.storage if index.dtype == "int64" else CONSTANT]  # a mask's positions are new
    return made(x.dtype, shape, [same(elements[i]) for i in places], [x], kept, vague=True)


def gather(x: Tensor, dim: int, index: Tensor) -> Tensor:
    row = {len(x.shape), len(index.shape)} == {0, 1}  # a number is a row of one
    if index.dtype == "int64" and not sized(index.shape):  # then nothing is asked of it
        dims_of(dim, len(x.shape))
        return made(x.dtype, index.shape, [], [x], [index.storage], vague=True)
    if index.dtype != "int64" or (len(index.shape) != len(x.shape) and not row):
        raise RefusedError(RuntimeError, IndexError)
    dims = dims_of(dim, len(x.shape))
    shape = index.shape
    sizes = shape if row else x.shape
    if any(n > m for d, (n, m) in enumerate(zip(shape, sizes, strict=True)) if d not in dims):
        raise RefusedError(RuntimeError)
    limit = x.shape[dims[0]] if x.shape else 1
    if not all(0 <= i < limit for i in index.values()):
        raise (
            UnmodelledError
            if any(-limit <= i < 0 for i in index.values())
            else RefusedError(RuntimeError)
        )
    by_place = dict(zip(indices(x.shape), x.elements(), strict=True))

    def place_of(place: tuple[int, ...], i: int) -> tuple[int, ...]:
        if row:
            return (i,) if x.shape else ()
        return tuple(i if d in dims else at for d, at in enumerate(place))

    elements = [
        same(by_place[place_of(place, i)])
        for place, i in zip(indices(shape), index.values(), strict=True)
    ]
    return made(x.dtype, shape, elements, [x], [index.storage], vague=True)


# ---- in place ----


def dense(x: Tensor) -> bool:
    """Whether the elements lie side by side."""
    return len(set(x.positions)) == max(x.positions) - min(x.positions) + 1 == len(x.positions)


def check_overlap(
    x: Tensor, others: Sequence[Any], refusal: type[Exception] | Exception = RefusedError
) -> None:
    """Refused where cells of x are one, or where another operand lies across the cells of x."""
    if len(set(x.positions)) < len(x.positions):
        raise RefusedError(RuntimeError)
    for other in others:
        if isinstance(other, Tensor) and other.storage is x.storage:
            if other.positions == x.positions and other.shape == x.shape:
                continue
            if not set(other.positions) & set(x.positions):
                continue
            if spread(other.positions, other.shape, x.shape) == x.positions:
                raise UnmodelledError  # strides of dimensions of size 1 decide
            many = len(other.positions) > 1 or refusal is UnmodelledError
            if many and dense(x) and dense(other):
                raise refusal  # else the operand is read before anything is written


def check_fits(x: Tensor, dtype: str, shape: Shape) -> None:
    if shape != x.shape or CATEGORY[dtype] > CATEGORY[x.dtype]:
        raise RefusedError(RuntimeError)


def unary_(name: str, x: Tensor) -> None:
    check_writable(x)
    dtype, elements = unary_result(name, x)
    check_fits(x, dtype, x.shape)
    check_overlap(x, [])
    write(x, elements, [x], [CONSTANT] if UNARY[name][1] == "x" else [], UNARY[name][1] == "y")


def binary_(name: str, x: Tensor, other: Any) -> None:
    check_writable(x)
    dtype, shape, elements = binary_result(name, x, other)
    check_fits(x, dtype, shape)
    check_overlap(x, [other])
    inputs = [t for t in (x, other) if isinstance(t, Tensor)]
    kept = saved_by(name, x, other)
    aliased = isinstance(other, Tensor) and other.storage is x.storage
    own = [CONSTANT if k is x.storage and not aliased else k for k in kept]  # a copy of x
    write(x, elements, inputs, own, vague=aliased)


def copy_(x: Tensor, src: Any) -> None:
    check_writable(x)
    check_overlap(x, [src] if isinstance(src, Tensor) and fits(src, x) else [], UnmodelledError)
    if isinstance(src, Tensor) and broadcast(x.shape, src.shape) != x.shape:
        raise RefusedError(RuntimeError)
    elements = [same(e) for e in parts(src, x.shape)]
    write(x, elements, [x, src] if isinstance(src, Tensor) else [x])


def fits(src: Tensor, x: Tensor) -> bool:
    try:
        return broadcast(x.shape, src.shape) == x.shape
    except RefusedError:
        return False


def index_put(x: Tensor, index: Tensor, value: Any) -> None:
    if not index.shape or index.storage is x.storage:
        raise UnmodelledError
    try:
        shape, places = picked(x, index)
    except RefusedError:
        raise RefusedError(IndexError, RuntimeError) from None
    check_writable(x)
    given = value.shape if isinstance(value, Tensor) else ()
    while len(given) > len(shape) and given[0] == 1:
        given = given[1:]
    if broadcast(shape, given) != shape:
        raise RefusedError(RuntimeError)
    if isinstance(value, Tensor) and value.dtype != x.dtype:
        raise UnmodelledError
    if len(set(places)) < len(places) or len(set(x.positions)) < len(x.positions):
        raise UnmodelledError  # which of the writes to a cell is last is open
    if isinstance(value, Tensor) and value.storage is x.storage:
        raise UnmodelledError
    news = (
        parts(value, shape)
        if not isinstance(value, Tensor)
        else spread(value.elements(), given, shape)
    )
    elements = [same(e) for e in x.elements()]
    for place, new in zip(places, news, strict=True):
        elements[place] = same(new)
    kept = [index.storage]
    write(x, elements, [x, value] if isinstance(value, Tensor) else [x], kept, vague=True)
