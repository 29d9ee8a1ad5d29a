"""Views in the model: which element of the tensor each element of the view is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sequences.model import Family, RefusedError, Tensor, sized
from sequences.ops import Shape, clone, dims_of, indices
from sequences.scalars import same


def view_of(x: Tensor, shape: Shape, positions: list[int]) -> Tensor:
    """A view of x's family: with a history if x has one."""
    y = Tensor(x.family, positions, shape)
    y.is_view = True
    x.family.has_views = True
    return y


def remap(x: Tensor, shape: Shape, source: Callable[[Shape], Shape]) -> Tensor:
    """The view whose element at an index is x's at `source(index)`."""
    at = {index: k for k, index in enumerate(indices(x.shape))}
    picks = [at[source(index)] for index in indices(shape)]
    y = view_of(x, shape, [x.positions[k] for k in picks])
    node = x.live_node()
    y.seen = x.family.node
    if node is not None:
        history = x.history()
        y.node = type(node)([node])
        y.scalars = [same(history[k]) for k in picks]
    return y


def one_dim(d: int, ndim: int) -> int:
    if ndim == 0:
        raise RefusedError(IndexError, RuntimeError)
    return dims_of(d, ndim)[0]


def transpose(x: Tensor, a: int, b: int) -> Tensor:
    n = len(x.shape)
    dims_of(a, n), dims_of(b, n)
    if n == 0:
        return remap(x, (), tuple)
    order = list(range(n))
    order[a], order[b] = order[b], order[a]
    return permute(x, order)


def permute(x: Tensor, order: list[int]) -> Tensor:
    n = len(x.shape)
    if len(order) != n:
        raise RefusedError(RuntimeError)
    for d in order:
        dims_of(d, n)
    order = [d % n for d in order]
    if len(set(order)) < n:
        raise RefusedError(RuntimeError)
    back = [order.index(d) for d in range(n)]
    return remap(x, tuple(x.shape[d] for d in order), lambda i: tuple(i[k] for k in back))


def select(x: Tensor, dim: int, i: int) -> Tensor:
    d = one_dim(dim, len(x.shape))
    n = x.shape[d]
    if not -n <= i < n:
        raise RefusedError(IndexError)
    return remap(x, (*x.shape[:d], *x.shape[d + 1 :]), lambda at: (*at[:d], i % n, *at[d:]))


def narrow(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    d = one_dim(dim, len(x.shape))
    n = x.shape[d]
    if not -n <= start <= n:
        raise RefusedError(IndexError)
    first = start + n if start < 0 else start
    if length < 0 or first + length > n:
        raise RefusedError(RuntimeError)
    shape = (*x.shape[:d], length, *x.shape[d + 1 :])
    return remap(x, shape, lambda at: (*at[:d], at[d] + first, *at[d + 1 :]))


def sliced(x: Tensor, start: int | None, stop: int | None, step: int) -> Tensor:
    """x[start:stop:step] along the first dimension."""
    if not x.shape:
        raise RefusedError(IndexError, ValueError)
    if step <= 0:
        raise RefusedError(ValueError)
    rows = range(x.shape[0])[start:stop:step]
    return remap(x, (len(rows), *x.shape[1:]), lambda at: (rows[at[0]], *at[1:]))


def unsqueeze(x: Tensor, dim: int) -> Tensor:
    (d,) = dims_of(dim, len(x.shape) + 1)
    return remap(x, (*x.shape[:d], 1, *x.shape[d:]), lambda at: (*at[:d], *at[d + 1 :]))


def squeeze(x: Tensor, dim: int | None) -> Tensor:
    dims = [d for d in dims_of(dim, len(x.shape)) if x.shape[d] == 1]
    shape = tuple(n for d, n in enumerate(x.shape) if d not in dims)

    def source(at: Shape) -> Shape:
        rest = iter(at)
        return tuple(0 if d in dims else next(rest) for d in range(len(x.shape)))

    return remap(x, shape, source)


def expand(x: Tensor, sizes: Shape) -> Tensor:
    lead = len(sizes) - len(x.shape)
    if lead < 0:
        raise RefusedError(RuntimeError)
    for d, n in enumerate(sizes):
        if n < 0 if d < lead else x.shape[d - lead] not in (1, n) and n != -1:
            raise RefusedError(RuntimeError)
    shape = tuple(n if n != -1 else x.shape[d - lead] for d, n in enumerate(sizes))
    return remap(
        x,
        shape,
        lambda at: tuple(0 if n == 1 else i for i, n in zip(at[lead:], x.shape, strict=True)),
    )


def movedim(x: Tensor, a: int, b: int) -> Tensor:
    n = len(x.shape)
    dims_of(a, n), dims_of(b, n)
    order = list(range(n))
    if n:
        order.insert(b % n, order.pop(a % n))
    return permute(x, order)


def diagonal(x: Tensor, offset: int, a: int, b: int) -> Tensor:
    """The elements whose index along b is that along a, plus offset, by a new last dimension."""
    n = len(x.shape)
    a, b = one_dim(a, n), one_dim(b, n)
    if a == b:
        raise RefusedError(RuntimeError)
    pairs = [(i, i + offset) for i in range(x.shape[a]) if 0 <= i + offset < x.shape[b]]
    rest = [d for d in range(n) if d not in (a, b)]

    def source(at: Shape) -> Shape:
        where = dict(zip(rest, at, strict=False))
        where[a], where[b] = pairs[at[-1]]
        return tuple(where[d] for d in range(n))

    return remap(x, (*(x.shape[d] for d in rest), len(pairs)), source)


def unfold(x: Tensor, dim: int, size: int, step: int) -> Tensor:
    """Windows along a dimension, by a new last one."""
    (d,) = dims_of(dim, len(x.shape))
    n = x.shape[d]
    if not 0 <= size <= n or step <= 0:
        raise RefusedError(RuntimeError)
    shape = (*x.shape[:d], (n - size) // step + 1, *x.shape[d + 1 :], size)
    return remap(x, shape, lambda at: (*at[:d], at[d] * step + at[-1], *at[d + 1 : -1]))


def unflatten(x: Tensor, dim: int, sizes: Shape) -> Tensor:
    d = one_dim(dim, len(x.shape))
    n, known = x.shape[d], sized([size for size in sizes if size != -1])
    if n != known if -1 not in sizes else known == 0 or n % known:
        raise RefusedError(RuntimeError)
    sizes = tuple(n // known if size == -1 else size for size in sizes)
    return view(x, (*x.shape[:d], *sizes, *x.shape[d + 1 :]))


def completed(x: Tensor, sizes: Shape) -> Shape:
    """A shape with -1 worked out. RefusedError where it does not hold x's elements."""
    n, known = sized(x.shape), sized([size for size in sizes if size != -1])
    if sizes.count(-1) > 1 or any(size < -1 for size in sizes):
        raise RefusedError(RuntimeError)
    if -1 in sizes:
        if known == 0 or n % known:
            raise RefusedError(RuntimeError)
        return tuple(n // known if size == -1 else size for size in sizes)
    if known != n:
        raise RefusedError(RuntimeError)
    return sizes


def expressible(positions: list[int], shape: Shape) -> bool:
    """Whether positions in a shape are a start plus a stride for each dimension."""
    where = dict(zip(indices(shape), positions, strict=True))
    if not where:
        return True
    origin = (0,) * len(shape)
    units = [tuple(int(e == d) for e in range(len(shape))) for d in range(len(shape))]
    steps = [where[u] - where[origin] if shape[d] > 1 else 0 for d, u in enumerate(units)]
    return all(p == where[origin] + sum(map(int.__mul__, i, steps)) for i, p in where.items())


def view(x: Tensor, sizes: Shape) -> Tensor:
    shape = completed(x, sizes)
    if not expressible(x.positions, shape):
        raise RefusedError(RuntimeError)
    places = dict(zip(indices(shape), indices(x.shape), strict=True))
    return remap(x, shape, places.__getitem__)


def reshape(x: Tensor, sizes: Shape) -> Tensor:
    """A view where that can be, else a copy."""
    shape = completed(x, sizes)
    if expressible(x.positions, shape):
        return view(x, shape)
    y = clone(x)
    y.shape = shape
    return y


def detach(x: Tensor) -> Tensor:
    """The same cells as a family of their own."""
    return Tensor(Family(x.storage, x.positions), x.positions, x.shape)


def alias(x: Tensor) -> Any:
    return remap(x, x.shape, lambda at: at)
