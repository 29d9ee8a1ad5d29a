"""What gather and scatter, writes and gradients do with a batch: see `rules`."""

from __future__ import annotations

from typing import Any

from autodiff import dtypes
from autodiff.func.batched import (
    Batched,
    BatchError,
    Level,
    found,
    is_batch,
    lifted,
    padded,
    shared_write,
    sizes,
)
from autodiff.func.dispatch import Rule, for_functions, for_operations
from autodiff.ops.base import Op
from autodiff.ops.create import ones_like
from autodiff.ops.gather import Indices, gather, write_at
from autodiff.ops.slices import index_select
from autodiff.ops.subscript import consumed, items_of
from autodiff.ops.views import expand, reshape, squeeze, transpose
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor, wrap

# ---- gather and scatter ----


def _behind(indices: Indices) -> Indices:
    """Indices of the next dimensions."""
    return Indices([wrap(p) for p in indices.checked()], indices.first + 1)


@for_operations("index", "index_clear")
def _indexed(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return Batched(op(tensors[0].value, _behind(args[0])), level)


@for_operations("index_scatter")
def _scattered(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    indices, shape = args
    return Batched(op(tensors[0].value, _behind(indices), sizes(level, shape)), level)


def _wide(indices: Indices, level: Level) -> Indices:
    """An index into a dimension of all samples."""
    places = wrap(indices.checked()[0])
    return Indices([expand(places, sizes(level, places.shape))], indices.first + 1)


@for_operations("gather")
def _gathered(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    return Batched(op(tensors[0].value, _wide(args[0], level)), level)


@for_operations("scatter_add")
def _added(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    indices, shape = args
    return Batched(op(tensors[0].value, _wide(indices, level), sizes(level, shape)), level)


@for_functions("gather")
def _gather(function: Rule, level: Level, input: Any, dim: int, index: Any, **named: Any) -> Any:
    if not input.ndim or input.ndim != index.ndim:
        return NotImplemented
    at = dim_index(dim, input.ndim) + 1
    return Batched(gather(lifted(input, level), at, lifted(index, level)), level)


@for_functions("index_select")
def _selected(function: Rule, level: Level, input: Any, dim: int, index: Any) -> Any:
    if is_batch(index, level) or not input.ndim:
        return NotImplemented
    return Batched(function(input.value, dim_index(dim, input.ndim) + 1, index), level)


@for_functions("index_along")
def _index_along(function: Rule, level: Level, x: Any, dim: int, *indices: Any) -> Any:
    """Slices that an index names: for a batch of indices, all of them at once."""
    if any(is_batch(each, level) for each in indices):
        if is_batch(x, level) or dim or len(indices) > 1:
            return NotImplemented
        (index,) = indices
        return Batched(function(x, 0, reshape(index.value, [-1])).reshape(
            [level.size, *index.shape, *x.shape[1:]]), level)  # fmt: skip
    return Batched(function(x.value, dim + 1, *indices), level)


def _dynamic(function: Rule, level: Level, *args: Any, **kwargs: Any) -> Any:
    raise BatchError(
        "vmap: We do not support batching operators that can output dynamic shape. Attempted to "
        f"vmap over {function.__name__}. Use where(), or a mask to multiply with."
    )


for_functions("nonzero", "masked_select", "unique", "unique_consecutive", "argwhere")(_dynamic)


@for_functions("_marked")
def _marked(function: Rule, level: Level, x: Any, count: int) -> Any:
    return Batched(function(x.value, count), level)


# ---- writes ----


@for_functions("copy_")
def _copied(function: Rule, level: Level, x: Any, src: Any, *rest: Any, **names: Any) -> Any:
    if not is_batch(x, level):
        raise shared_write("copy_")
    function(x.value, padded(src, level, x.ndim), *rest, **names)
    return x


@for_functions("write_at")
def _written(
    function: Rule, level: Level, x: Any, indices: Indices, values: Any, *rest: Any
) -> Any:
    if not is_batch(x, level):
        raise shared_write("an indexed write")
    ndim = len(indices.shape) + x.ndim - len(indices.ps)
    function(x.value, _behind(indices), padded(values, level, ndim), *rest)
    return x


@for_functions("write_along")
def _written_along(function: Rule, level: Level, x: Any, dim: int, index: Any, *rest: Any) -> Any:
    return write_at(x, Indices([index], dim), *rest)


@for_functions("index_add", "index_put", "index_copy", "index_fill", "scatter", "scatter_add",
               "scatter_reduce", "masked_scatter", "slice_scatter", "select_scatter",
               "diagonal_scatter", "index_reduce", "put")  # fmt: skip
def _written_to_a_copy(function: Rule, level: Level, input: Any, *args: Any, **kwargs: Any) -> Any:
    """What writes to a copy of its first operand needs one for each sample."""
    if is_batch(input, level) or not isinstance(input, Tensor):
        return NotImplemented
    return function(Batched(lifted(input, level), level), *args, **kwargs)


@for_functions("_plain")
def _not_plain(function: Rule, level: Level, *args: Any) -> None:
    """No short cut: views are taken one by one."""


@for_functions("getitem", "setitem")
def _by_index(function: Rule, level: Level, x: Any, index: Any, *value: Any) -> Any:
    """Views and plain indices as compositions; indices of a batch sample by sample."""
    items = index if isinstance(index, tuple) else (index,)
    if any(is_batch(i, level) and i.dtype is dtypes.bool for i in items):
        if not value:
            return _dynamic(function, level)
        if len(items) == 1 and items[0].shape == x.shape:
            x.copy_(_as(value[0], x).where(items[0], x))
            return None
    if value and not is_batch(x, level):
        raise shared_write("an assignment")
    if not value and any(_is_place(i, level) for i in items):
        return function(*_taken(x, items, level))
    return NotImplemented


def _is_place(item: Any, level: Level) -> bool:
    """Whether an item of an index is one integer, another for each sample."""
    return is_batch(item, level) and not item.ndim and item.dtype is not dtypes.bool


def _taken(x: Any, items: tuple[Any, ...], level: Level) -> tuple[Any, tuple[Any, ...]]:
    """x at the places of its own that each sample names, and the rest of the index."""
    left = items_of(x, items)
    dim = sum(map(consumed, left))
    for k in reversed(range(len(left))):
        dim -= consumed(left[k])
        if _is_place(left[k], level):
            x = squeeze(index_select(x, dim, reshape(left.pop(k), [1])), dim)
    return x, tuple(left)


def _as(value: Any, x: Tensor) -> Any:
    return value if isinstance(value, Tensor) else ones_like(x) * value


# ---- new tensors, and gradients ----


@for_functions("new_zeros", "new_ones", "new_empty", "new_full")
def _new(function: Rule, level: Level, x: Any, *size: Any, **kwargs: Any) -> Any:
    """A tensor for each sample, so that samples may be written to it."""
    shape = size[0] if size and isinstance(size[0], (tuple, list)) else size
    rest: tuple[Any, ...] = size[1:] if shape is not size else ()
    if function.__name__ != "new_full" and rest:
        return NotImplemented
    if "size" in kwargs:
        shape = kwargs.pop("size")
    return Batched(function(x.value, sizes(level, shape), *rest, **kwargs), level)


@for_functions("grad")
def _grad(function: Rule, level: Level, outputs: Any, inputs: Any, grad_outputs: Any = None,
          *args: Any, **kwargs: Any) -> Any:  # fmt: skip
    """Samples do not depend on each other: their gradients are those of the batch."""
    ys = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    xs = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    inner = found((ys, xs))
    if inner is None:
        return NotImplemented  # the cotangents alone are batched: rules run on them
    if not all(is_batch(x, inner) for x in xs):
        raise BatchError(
            "vmap: a gradient for a tensor from outside, which all samples share, would be their "
            "sum. Pass the tensor to the function, or use autodiff.func.grad inside vmap."
        )
    given = grad_outputs if isinstance(grad_outputs, (tuple, list)) else [grad_outputs] * len(ys)
    starts = [_start(y, g, inner) for y, g in zip(ys, given, strict=True)]
    values = [y.value if is_batch(y, inner) else y for y in ys]
    gs = function(values, [x.value for x in xs], starts, *args, **kwargs)
    return tuple(None if g is None else _closed(g, inner) for g in gs)


def _opened(x: Any, level: Level) -> Any:
    """x with a level's batch as a dimension in front; deeper levels stay hidden."""
    if type(x) is Batched and x.level is not level and x.level.depth > level.depth:
        return Batched(transpose(_opened(x.value, level), 0, 1), x.level)
    return lifted(x, level)


def _closed(x: Any, level: Level) -> Any:
    """The opposite."""
    if type(x) is Batched and x.level.depth > level.depth:
        return Batched(_closed(transpose(x.value, 0, 1), level), x.level)
    return Batched(x, level)


def _start(y: Any, g: Any, level: Level) -> Any:
    if not is_batch(y, level):
        return g
    if g is not None:
        return _opened(g, level)
    if y.numel() != 1:
        raise RuntimeError(
            "grad can be implicitly created only for scalar outputs, not for shape "
            f"{list(y.shape)}: pass grad_outputs"
        )
    return ones_like(y.value)


@for_functions("backward")
def _backward(function: Rule, level: Level, *args: Any, **kwargs: Any) -> Any:
    raise BatchError("vmap: backward() inside vmap is not supported: use autodiff.func.grad")
