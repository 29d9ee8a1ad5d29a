"""Whole Jacobians: backward passes of a batch of cotangents, or of tangents."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from autodiff import graph
from autodiff.func import trees
from autodiff.func.batched import Batched, lifted
from autodiff.func.batching import moved, new_level
from autodiff.func.transforms import (
    Argnums,
    Function,
    _aux,
    _Call,
    _Linear,
    _outward,
    _Run,
    _tensors,
)
from autodiff.ops.create import eye, zeros
from autodiff.ops.join import cat
from autodiff.ops.views import narrow, reshape
from autodiff.tensor import Tensor, live_node


def batched_gradients(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: Sequence[Any], *args: Any
) -> tuple[Any, ...]:
    """`autograd.grad` of cotangents that have a batch in front of the outputs' shapes."""
    for i, (y, g) in enumerate(zip(outputs, cotangents, strict=True)):
        if not isinstance(g, Tensor) or g.shape[1:] != y.shape or not g.ndim:
            got = f"a shape of {g.shape[1:]}" if isinstance(g, Tensor) else f"type {type(g)}"
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output "
                "as the batch dimension. The sizes of the remaining dimensions are expected to "
                "match the shape of corresponding output, but a mismatch was detected: "
                f"grad_output[{i}] has {got} and output[{i}] has a shape of {y.shape}."
            )
    sizes = [g.shape[0] for g in cotangents]
    if len(set(sizes)) > 1:
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sizes} for the mapped dimension"
        )
    with new_level(sizes[0]) as level:
        starts = [Batched(g, level) for g in cotangents]
        found = graph.grad(outputs, inputs, starts, *args)
        return tuple(None if g is None else lifted(g, level) for g in found)


def jacobian_rows(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], create: bool, chunk: int | None = None
) -> list[list[Tensor]]:
    """For each output and input, the derivatives: (*shape of the output, *shape of the input).

    One backward pass for all elements of the outputs, or for `chunk` of them at a time.
    """
    counts = [y.numel() for y in outputs]
    total = sum(counts)
    step = total if chunk is None else chunk
    blocks = [
        _rows(outputs, counts, inputs, start, min(step, total - start), create)
        for start in range(0, total, step or 1)
    ]
    if not blocks:
        return [[zeros([*y.shape, *x.shape], dtype=x.dtype) for x in inputs] for y in outputs]
    whole = [b[0] if len(b) == 1 else cat(list(b), 0) for b in zip(*blocks, strict=True)]
    table, start = [], 0
    for y, count in zip(outputs, counts, strict=True):
        table.append(
            [
                reshape(narrow(rows, 0, start, count), [*y.shape, *x.shape])
                for rows, x in zip(whole, inputs, strict=True)
            ]
        )
        start += count
    return table


def _rows(
    outputs: Sequence[Tensor],
    counts: Sequence[int],
    inputs: Sequence[Tensor],
    start: int,
    size: int,
    create: bool,
) -> list[Tensor]:
    """The derivatives of `size` elements of the outputs, counted through all from `start`."""
    ys, cotangents, first = [], [], 0
    with new_level(size) as level:
        for y, count in zip(outputs, counts, strict=True):
            if live_node(y) is not None:
                ys.append(y)
                rows = reshape(_unit_rows(size, count, first - start, y), [size, *y.shape])
                cotangents.append(Batched(rows, level))
            first += count
        found = graph.grad_of_some(ys, inputs, cotangents, create, True)
        return [
            zeros([size, *x.shape], dtype=x.dtype) if g is None else lifted(g, level)
            for x, g in zip(inputs, found, strict=True)
        ]


def _unit_rows(size: int, count: int, shift: int, like: Tensor) -> Tensor:
    """(size, count): ones where the column, counted from `shift`, is the row."""
    low, high = max(0, shift), min(size, shift + count)
    if low >= high:
        return zeros([size, count], dtype=like.dtype)
    if low == 0 and high == size == count:
        return eye(size, dtype=like.dtype)
    unit = zeros([size, count], dtype=like.dtype)
    narrow(narrow(unit, 0, low, high - low), 1, low - shift, high - low).copy_(
        eye(high - low, dtype=like.dtype)
    )
    return unit


def jacrev(
    func: Function,
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Function:
    """A function that returns the Jacobian of `func`, by backward passes over a batch of rows.

    For each output (a tree of tensors) and input, a tensor (*shape of the output, *shape of the
    input), in the form of the output and in each place that of the inputs. At most `chunk_size`
    rows are computed at a time. With `has_aux`, `func` returns (output, aux) and this (Jacobian,
    aux).

    >>> ad.func.jacrev(lambda x: x ** 2)(ad.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    def rows(run: _Run, ys: list[Tensor], create: bool) -> list[list[Tensor]]:
        return jacobian_rows(ys, run.inputs, create, chunk_size)

    return _jacobian("jacrev", "vjp(f, *primals)", func, argnums, has_aux, rows)


def _jacobian(
    name: str, what: str, func: Function, argnums: Argnums, has_aux: bool, table_of: Function
) -> Function:
    """A function that returns what a table of Jacobians of outputs and inputs holds."""

    @functools.wraps(func, updated=())
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        call = _Call(func, argnums, args, kwargs)
        output, aux = _aux(f"{name}(f)(*args)", call.output, has_aux)
        ys = _tensors(f"{what}: expected f(*primals)", output)
        tracked = call.run.is_tracked(ys)
        table = table_of(call.run, ys, tracked)
        found = trees.unflatten(output, [call.in_form(row) for row in table])
        found, aux = _outward((found, aux), tracked)
        return (found, aux) if has_aux else found

    return wrapped


def jacfwd(
    func: Function, argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Function:
    """A function that returns the Jacobian of `func` as `jacrev` does, by a batch of tangents.

    The function runs once: worth it where outputs have more elements than inputs.

    >>> ad.func.jacfwd(lambda x: x ** 2)(ad.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    def columns(run: _Run, ys: list[Tensor], create: bool) -> list[list[Tensor]]:
        return _columns(_Linear(run, ys), create)

    return _jacobian("jacfwd", "jvp(f, primals, tangents)", func, argnums, has_aux, columns)


def jacobian_columns(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], create: bool
) -> list[list[Tensor]]:
    """The same as `jacobian_rows`, by a batch of tangents."""
    run = _Run(())
    run.inputs = list(inputs)
    return _columns(_Linear(run, outputs), create)


def _columns(linear: _Linear, create: bool) -> list[list[Tensor]]:
    columns = jacobian_rows(linear.pulled, linear.duals, create)
    pairs = list(zip(columns, linear.run.inputs, strict=True))
    return [
        [_turned(column[i], x).to(y.dtype) for column, x in pairs] for i, y in enumerate(linear.ys)
    ]


def _turned(columns: Tensor, x: Tensor) -> Tensor:
    """(*shape of x, *shape of y) as (*shape of y, *shape of x)."""
    for _ in range(x.ndim):
        columns = moved(columns, 0, columns.ndim - 1)
    return columns


def hessian(func: Function, argnums: Argnums = 0) -> Function:
    """A function that returns the second derivatives of `func`: the Jacobian of its Jacobian.

    Two nested batches of backward passes, which cost less here than tangents of gradients.

    >>> ad.func.hessian(lambda x: (x ** 3).sum())(ad.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacrev(jacrev(func, argnums), argnums)
