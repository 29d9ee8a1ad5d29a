"""vmap: a function of one sample, run on a batch of them at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from autodiff.func import draws as draws  # registers what it knows
from autodiff.func import rules as rules
from autodiff.func import rules_indexing as rules_indexing
from autodiff.func import rules_products as rules_products
from autodiff.func import trees
from autodiff.func import windows as windows
from autodiff.func.batched import Batched, Level, is_batch, levels, lifted
from autodiff.func.looking import looking, worded
from autodiff.ops.join import cat
from autodiff.ops.views import narrow, permute
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor


@contextmanager
def new_level(size: int, randomness: str = "error") -> Iterator[Level]:
    """A batch of samples, while this lasts."""
    stack = levels.stack
    level = Level(size, randomness, len(stack))
    with looking():
        stack.append(level)
        try:
            yield level
        finally:
            stack.remove(level)


@contextmanager
def resumed(stack: list[Level]) -> Iterator[None]:
    """The vmaps that were running once, while this lasts."""
    if not stack:
        yield
        return
    before = levels.stack
    with looking():
        levels.stack = list(stack)
        try:
            yield
        finally:
            levels.stack = before


def moved(x: Tensor, source: int, target: int) -> Tensor:
    """A view with one dimension in another place."""
    if source == target:
        return x
    order = [d for d in range(x.ndim) if d != source]
    order.insert(target, source)
    return permute(x, order)


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """`func`, written for one sample, as a function of a batch of them.

    `in_dims` says which dimension of each input (a tree of tensors) counts the samples, None that
    an input is the same for all, as are those given by name; `out_dims` where it goes in each
    output. Operations run on the whole batch; those that have no way to do so run sample by sample.
    Random numbers are refused, or with `randomness` "same" or "different" for all samples. At most
    `chunk_size` samples run at a time.

    ValueError where dimensions do not fit; RuntimeError where `func` needs the value of a
    sample (`.item()`, `if`), or a result has a shape that depends on values.

    >>> ad.func.vmap(lambda x, y: (x * y).sum())(ad.tensor([[1., 2.], [3., 4.]]), ad.ones(2, 2))
    tensor([3., 7.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            "Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}"
        )
    if chunk_size is not None and not chunk_size > 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")
    call = _Vmap(func, in_dims, out_dims, randomness)

    @functools.wraps(func, updated=())
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return call.run(args, kwargs, chunk_size)

    return wrapped


class _Vmap:
    """A function and its dimensions."""

    def __init__(
        self, func: Callable[..., Any], in_dims: Any, out_dims: Any, randomness: str
    ) -> None:
        self.func = func
        self.name = getattr(func, "__name__", repr(func))
        self.in_dims = in_dims
        self.out_dims = out_dims
        self.randomness = randomness

    def run(self, args: Any, kwargs: Any, chunk_size: int | None) -> Any:
        """The outputs of all samples."""
        inputs, form = trees.flatten(args)
        dims = self._input_dims(args, inputs)
        size = self._size(inputs, dims)
        fronts = [
            x if d is None else moved(x, dim_index(d, x.ndim), 0)
            for x, d in zip(inputs, dims, strict=True)
        ]
        step = max(size, 1) if chunk_size is None else chunk_size
        pieces: list[tuple[list[Tensor], Any]] = []
        for start in range(0, max(size, 1), step):
            length = min(step, size - start)
            part = [
                x if d is None or length == size else narrow(x, 0, start, length)
                for x, d in zip(fronts, dims, strict=True)
            ]
            with new_level(length, self.randomness) as level:
                given = [
                    x if d is None else Batched(x, level) for x, d in zip(part, dims, strict=True)
                ]
                with worded(self.name):
                    out = self.func(*trees.unflatten(form, given), **kwargs)
                pieces.append(self._unwrapped(out, level))
        results = [
            column[0] if len(column) == 1 else cat(list(column), 0)
            for column in zip(*(values for values, _ in pieces), strict=True)
        ]
        return self._placed(results, pieces[0][1])

    def _input_dims(self, args: Any, inputs: list[Any]) -> list[Any]:
        what = f"vmap({self.name}, in_dims={self.in_dims}, ...)(<inputs>):"
        if not isinstance(self.in_dims, (int, tuple)):
            raise ValueError(
                f"{what} expected `in_dims` to be int or a (potentially nested) tuple matching the "
                f"structure of inputs, got: {type(self.in_dims)}."
            )
        if not inputs:
            raise ValueError(
                f"vmap({self.name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or "
                "you are trying to vmap over a function with no inputs. The latter is unsupported."
            )
        dims = trees.broadcast(self.in_dims, args)
        if dims is None:
            raise ValueError(
                f"{what} in_dims is not compatible with the structure of `inputs`: it must be an "
                f"int, or a tuple for the {len(args)} input(s) like them in form."
            )
        for x, d in zip(inputs, dims, strict=True):
            if not isinstance(d, int) and d is not None:
                raise ValueError(
                    f"{what} Got in_dim={d} for an input but in_dim must be either an integer "
                    "dimension or None."
                )
            if d is None:
                continue
            if not isinstance(x, Tensor):
                raise ValueError(
                    f"{what} Got in_dim={d} for an input but the input is of type {type(x)}. We "
                    "cannot vmap over non-Tensor arguments, please use None as the respective "
                    "in_dim"
                )
            if not -x.ndim <= d < x.ndim:
                raise ValueError(
                    f"{what} Got in_dim={d} for some input, but that input is a Tensor of "
                    f"dimensionality {x.ndim} so expected in_dim to satisfy -{x.ndim} <= in_dim < "
                    f"{x.ndim}."
                )
        return dims

    def _size(self, inputs: list[Any], dims: list[Any]) -> int:
        found = [x.shape[d] for x, d in zip(inputs, dims, strict=True) if d is not None]
        if not found:
            raise ValueError(
                f"vmap({self.name}, in_dims={self.in_dims}, ...)(<inputs>): at least one input "
                "must have a dimension to map over"
            )
        if len(set(found)) > 1:
            raise ValueError(
                "vmap: Expected all tensors to have the same size in the mapped dimension, got "
                f"sizes {found} for the mapped dimension"
            )
        return int(found[0])

    def _unwrapped(self, out: Any, level: Level) -> tuple[list[Any], Any]:
        """The outputs with the samples in front, and their form."""
        results, form = trees.flatten(out)
        dims = self._output_dims(out)
        values = []
        for y, d in zip(results, dims, strict=True):
            if not isinstance(y, Tensor):
                raise ValueError(
                    f"vmap({self.name}, ...): `{self.name}` must only return Tensors, got type "
                    f"{type(y)}. Did you mean to set out_dims= to None for output?"
                )
            if d is None and is_batch(y, level):
                raise ValueError(
                    f"vmap({self.name}, ...): `{self.name}` can not return a BatchedTensor when "
                    "out_dim is None"
                )
            values.append(y if d is None else lifted(y, level))
        return values, form

    def _output_dims(self, out: Any) -> list[Any]:
        dims = trees.broadcast(self.out_dims, out)
        alone = isinstance(self.out_dims, tuple) and len(self.out_dims) == 1
        if alone and dims is None and trees.is_leaf(out):
            dims = trees.broadcast(self.out_dims[0], out)
        if any(not isinstance(d, int) and d is not None for d in trees.leaves(self.out_dims)):
            raise ValueError(
                f"vmap({self.name}, ..., out_dims={self.out_dims}): `out_dims` must be an int, "
                "None or a python collection of ints representing where in the outputs the vmapped "
                "dimension should appear."
            )
        if dims is None:
            raise ValueError(
                f"vmap({self.name}, ..., out_dims={self.out_dims})(<inputs>): out_dims is not "
                "compatible with the structure of `outputs`: it must be an int, or like them in "
                "form."
            )
        return dims

    def _placed(self, results: list[Any], form: Any) -> Any:
        dims = self._output_dims(form)
        return trees.unflatten(
            form,
            [
                y if d is None else moved(y, 0, dim_index(d, y.ndim))
                for y, d in zip(results, dims, strict=True)
            ],
        )
