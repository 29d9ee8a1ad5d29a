"""Data sets: what has samples by index, or in an order of its own."""

from __future__ import annotations

import itertools
import math
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from autodiff import dtypes
from autodiff.ops.convert import tensor
from autodiff.ops.gather import rows_of
from autodiff.ops.generator import Generator
from autodiff.ops.random import randperm
from autodiff.tensor import Tensor

__all__ = [
    "ChainDataset", "ConcatDataset", "Dataset", "IterableDataset", "StackDataset", "Subset",
    "TensorDataset", "random_split",
]  # fmt: skip

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Base of data sets. A subclass defines `__getitem__`, and `__len__` for most samplers.

    `__getitems__`, of a list of indices, is called in its place where there is one.

    >>> class Squares(data.Dataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, i):
    ...         return i * i
    >>> list(data.DataLoader(Squares(), batch_size=2))
    [tensor([0, 1]), tensor([4, 9])]
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Any) -> Any:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co], Iterable[T_co]):
    """Base of data sets without indices. A subclass defines `__iter__`.

    Where a loader has several workers, each iterates over all of it: `get_worker_info` tells a
    worker its share.

    >>> class Count(data.IterableDataset):
    ...     def __iter__(self):
    ...         return iter(range(3))
    >>> list(data.DataLoader(Count(), batch_size=2))
    [tensor([0, 1]), tensor([2])]
    """

    def __add__(self, other: Any) -> Any:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """The tuples of the elements of tensors along their first dimension.

    A loader makes its batches by one gather from each tensor. AssertionError for several lengths.

    >>> data.TensorDataset(ad.arange(3), ad.ones(3))[1]
    (tensor(1), tensor(1.))
    """

    def __init__(self, *tensors: Tensor) -> None:
        if any(tensors[0].size(0) != x.size(0) for x in tensors):
            raise AssertionError("Size mismatch between tensors")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(x[index] for x in self.tensors)

    def __len__(self) -> int:
        return int(self.tensors[0].size(0))


class StackDataset(Dataset[Any]):
    """The tuples, or the dicts, of the samples of several data sets of one length.

    >>> data.StackDataset(range(3), "abc")[1]
    (1, 'b')
    >>> data.StackDataset(x=range(3), y="abc")[1]
    {'x': 1, 'y': 'b'}
    """

    datasets: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ValueError(
                "Supported either ``tuple``- (via ``args``) or``dict``- (via ``kwargs``) like "
                "input/output, but both types are given."
            )
        parts = list(args or kwargs.values())
        if not parts:
            raise ValueError("At least one dataset should be passed")
        self._length = len(parts[0])
        if any(self._length != len(part) for part in parts):
            raise ValueError("Size mismatch between datasets")
        self.datasets = args or kwargs

    def _joined(self, of: Callable[[Any], Any]) -> Any:
        if isinstance(self.datasets, dict):
            return {name: of(part) for name, part in self.datasets.items()}
        return tuple(of(part) for part in self.datasets)

    def __getitem__(self, index: Any) -> Any:
        return self._joined(lambda part: part[index])

    def __getitems__(self, indices: list[Any]) -> list[Any]:
        def items(part: Any) -> Any:
            found = samples(part, indices)
            if len(found) != len(indices):
                raise ValueError(
                    f"Nested dataset's output size mismatch. Expected {len(indices)}, got "
                    f"{len(found)}"
                )
            return found

        columns = self._joined(items)
        if isinstance(columns, dict):
            return [
                {name: found[i] for name, found in columns.items()} for i in range(len(indices))
            ]
        return list(zip(*columns, strict=True))

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T_co]):
    """Data sets one after the other.

    >>> both = data.ConcatDataset([range(3), range(10, 12)])
    >>> len(both), both[3]
    (5, 10)
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(part, IterableDataset) for part in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = list(itertools.accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, idx: Any) -> Any:
        if idx < 0:
            if -idx > len(self):
                raise ValueError("absolute value of index should not exceed dataset length")
            idx = len(self) + idx
        part = bisect_right(self.cumulative_sizes, idx)
        before = self.cumulative_sizes[part - 1] if part else 0
        return self.datasets[part][idx - before]


class ChainDataset(IterableDataset[Any]):
    """Iterable data sets one after the other.

    >>> class Up(data.IterableDataset):
    ...     def __iter__(self):
    ...         return iter([1, 2])
    >>> list(data.ChainDataset([Up(), Up()]))
    [1, 2, 1, 2]
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def _parts(self) -> Iterator[Any]:
        for part in self.datasets:
            if not isinstance(part, IterableDataset):
                raise AssertionError("ChainDataset only supports IterableDataset")
            yield part

    def __iter__(self) -> Iterator[Any]:
        for part in self._parts():
            yield from part

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts())


class Subset(Dataset[T_co]):
    """The samples of a data set at some indices.

    >>> list(data.Subset("abcd", [3, 0]))
    ['d', 'a']
    """

    def __init__(self, dataset: Any, indices: Sequence[Any]) -> None:
        self.dataset = dataset
        self.indices = indices
        kind = type(self)
        if kind.__getitem__ is not Subset.__getitem__ and kind.__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{kind.__name__} overrides __getitem__ but not __getitems__, which a DataLoader "
                "calls: define it too, for example by\n\n"
                "def __getitems__(self, indices):\n"
                "    return [self.__getitem__(idx) for idx in indices]"
            )

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, list):
            return self.dataset[[self.indices[i] for i in idx]]
        return self.dataset[self.indices[idx]]

    def __getitems__(self, indices: list[Any]) -> Any:
        return samples(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)


def samples(dataset: Any, indices: Sequence[Any]) -> Any:
    """The samples of several indices, by the data set's own way where it has one."""
    if callable(getattr(dataset, "__getitems__", None)):
        return dataset.__getitems__(indices)
    return [dataset[i] for i in indices]


def random_split(
    dataset: Dataset[T_co], lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset[T_co]]:
    """Random subsets of the given lengths, or of the given fractions where these sum to 1.

    What fractions leave over goes to the first subsets, one each. ValueError for lengths that do
    not sum to the data set's.

    >>> [len(part) for part in data.random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    size = len(dataset)  # type: ignore[arg-type]
    total = sum(lengths)
    if math.isclose(total, 1) and total <= 1:
        lengths = _lengths(size, lengths)
        for i, length in enumerate(lengths):
            if length == 0:
                warnings.warn(
                    f"Length of split at index {i} is 0. This might result in an empty dataset.",
                    stacklevel=2,
                )
        total = sum(lengths)
    if total != size:
        raise ValueError("Sum of input lengths does not equal the length of the input dataset!")
    order = randperm(size, generator=generator).tolist()
    ends = itertools.accumulate(lengths)
    return [
        Subset(dataset, order[int(end - length) : int(end)])
        for end, length in zip(ends, lengths, strict=True)
    ]


def _lengths(size: int, shares: Sequence[float]) -> list[int]:
    for i, share in enumerate(shares):
        if share < 0 or share > 1:
            raise ValueError(f"Fraction at index {i} is not between 0 and 1")
    found = [math.floor(size * share) for share in shares]
    for i in range(size - sum(found)):
        found[i % len(found)] += 1
    return found


def gatherer(dataset: Any) -> Callable[[Tensor, int, int], list[Tensor]] | None:
    """What makes the collated samples of a stretch of an index by one gather from each tensor.

    None where the samples do not lie in memory as they are.
    """
    kind = type(dataset)
    if isinstance(dataset, TensorDataset) and kind.__getitem__ is TensorDataset.__getitem__:
        if hasattr(dataset, "__getitems__"):
            return None
        return lambda index, start, end: rows_of(dataset.tensors, index, start, end)
    if isinstance(dataset, Subset) and kind.__getitems__ is Subset.__getitems__:
        within = gatherer(dataset.dataset)
        if within is not None and (chosen := index_of(dataset.indices)) is not None:
            return lambda index, start, end: within(chosen[index[start:end]], 0, end - start)
    return None


_INT64 = dtypes.int64.code


def index_of(indices: Any) -> Tensor | None:
    """Indices as an int64 tensor; None where they are no integers, or there are none."""
    if isinstance(indices, Tensor):
        p = indices._p
        return indices if p.dtype == _INT64 and p.ndim == 1 else None
    if not isinstance(indices, (list, tuple, range)) or not all(type(i) is int for i in indices):
        return None
    return tensor(indices, dtype=dtypes.int64) if indices else None
