"""Tensors as plain Python: slow and obvious, to compare the library with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import Any

from autodiff.tensor import Tensor

Index = tuple[int, ...]


class Array:
    """Numbers by index: what a tensor holds, without layout or dtype.

    >>> from autodiff.testing import Array
    >>> Array((2,), lambda index: 10 * index[0])[1,]
    10
    """

    def __init__(self, shape: Iterable[int], value: Callable[[Index], Any]) -> None:
        self.shape = tuple(shape)
        self.values = {index: value(index) for index in self.indices()}

    @classmethod
    def of(cls, x: Tensor) -> Array:
        """A tensor's elements."""
        flat = iter(x.detach().reshape(-1).tolist())
        return cls(x.shape, lambda _: next(flat))

    def indices(self) -> Iterator[Index]:
        """Every index, in row-major order."""
        return product(*map(range, self.shape))

    def __getitem__(self, index: Sequence[int]) -> Any:
        return self.values[tuple(index)]

    def flat(self) -> list[Any]:
        """The elements in row-major order."""
        return list(self.values.values())

    def broadcast(self, index: Sequence[int]) -> Any:
        """The element that an index of a broadcast result reads."""
        lead = len(index) - len(self.shape)
        own = zip(index[lead:], self.shape, strict=True)
        return self.values[tuple(i if size != 1 else 0 for i, size in own)]

    def fold(
        self, function: Callable[[list[Any]], Any], dims: Sequence[int], keepdim: bool = False
    ) -> Array:
        """The function of the elements that differ in `dims` alone."""
        inner = [range(self.shape[d]) for d in dims]

        def value(index: Index) -> Any:
            rest = iter(i for d, i in enumerate(index) if not (keepdim and d in dims))
            full = [0 if d in dims else next(rest) for d in range(len(self.shape))]
            items = []
            for place in product(*inner):
                for d, i in zip(dims, place, strict=True):
                    full[d] = i
                items.append(self[full])
            return function(items)

        kept = (1 if d in dims else size for d, size in enumerate(self.shape))
        shape = [size for d, size in enumerate(kept) if keepdim or d not in dims]
        return Array(shape, value)


def broadcast_shape(shapes: Sequence[Sequence[int]]) -> Index:
    """The shape that shapes broadcast to. ValueError where they do not."""
    ndim = max(map(len, shapes), default=0)
    out = []
    for d in range(-ndim, 0):
        sizes = {shape[d] for shape in shapes if -d <= len(shape)} - {1}
        if len(sizes) > 1:
            raise ValueError(f"sizes {sorted(sizes)} at dimension {d} do not broadcast")
        out.append(sizes.pop() if sizes else 1)
    return tuple(out)


def pointwise(function: Callable[..., Any], *operands: Array) -> Array:
    """A function of numbers, applied element by element with broadcasting.

    >>> from autodiff.testing import Array, pointwise
    >>> pointwise(max, Array((2,), lambda i: i[0]), Array((), lambda i: 0.5))[0,]
    0.5
    """
    shape = broadcast_shape([x.shape for x in operands])
    return Array(shape, lambda index: function(*(x.broadcast(index) for x in operands)))
