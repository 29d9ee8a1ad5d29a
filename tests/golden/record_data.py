"""Records PyTorch's data loading as data.json (see recording.py): orders, collations, errors.

The cases are of a library and its module of data, so both sides read alike.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from golden.recording import failure, plain, write

GOLDEN = Path(__file__).with_name("data.json")
Case = Callable[[Any, Any], Any]
Pair = collections.namedtuple("Pair", "x y")


class Odd(list[Any]):
    """A list of another class."""


def dataset_of(lib: Any, data: Any, n: int = 23) -> Any:
    """Numbers and their squares."""
    x = lib.arange(n)
    return data.TensorDataset(x, (x * x).double())


def squares(data: Any, n: int = 10) -> Any:
    """A data set of Python's numbers."""

    class Squares(data.Dataset):
        def __getitem__(self, index: Any) -> Any:
            if not 0 <= index < n:
                raise IndexError(f"no {index}")
            return {"index": index, "square": index * index + 0.5}

        def __len__(self) -> int:
            return n

    return Squares()


def counting(data: Any, n: int = 10) -> Any:
    """An iterable data set that shares its numbers out among workers."""

    class Counting(data.IterableDataset):
        def __iter__(self) -> Any:
            info = data.get_worker_info()
            first, step = (0, 1) if info is None else (info.id, info.num_workers)
            return iter(range(first, n, step))

        def __len__(self) -> int:
            return n

    return Counting()


LOADERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "batches": {"batch_size": 4},
    "shuffled": {"batch_size": 4, "shuffle": True},
    "dropping": {"batch_size": 4, "shuffle": True, "drop_last": True},
    "one batch": {"batch_size": 23, "shuffle": True},
    "longer": {"batch_size": 50, "shuffle": True},
    "own generator": {"batch_size": 4, "shuffle": True, "generator": 3},
    "own generator whole": {"batch_size": 23, "shuffle": True, "generator": 3},
    "own generator dropping": {"batch_size": 6, "shuffle": True, "generator": 3, "drop_last": True},
    "no batches": {"batch_size": None, "shuffle": True},
    "two workers": {"batch_size": 4, "shuffle": True, "num_workers": 2},
    "three workers": {"batch_size": 3, "num_workers": 3, "generator": 3, "prefetch_factor": 1},
    "workers that stay": {
        "batch_size": 4,
        "shuffle": True,
        "num_workers": 2,
        "persistent_workers": True,
    },
}


def load(lib: Any, data: Any, options: dict[str, Any], dataset: Any) -> list[Any]:
    """The batches of two passes, and a number drawn after each."""
    lib.manual_seed(5)
    if "generator" in options:
        options = {**options, "generator": lib.Generator().manual_seed(options["generator"])}
    loader, found = data.DataLoader(dataset, **options), []
    for _ in range(2):
        found.append([plain(batch) for batch in loader])
        found.append(lib.rand(1).item())
    return found


SAMPLERS: dict[str, Case] = {
    "sequential": lambda lib, data: data.SequentialSampler(range(5)),
    "random": lambda lib, data: data.RandomSampler(range(9)),
    "random more": lambda lib, data: data.RandomSampler(range(9), num_samples=22),
    "random fewer": lambda lib, data: data.RandomSampler(range(9), num_samples=4),
    "random again": lambda lib, data: data.RandomSampler(range(9), True, 70),
    "random own": lambda lib, data: data.RandomSampler(
        range(9), generator=lib.Generator().manual_seed(2)
    ),
    "subset": lambda lib, data: data.SubsetRandomSampler([3, 1, 7, 9]),
    "weighted": lambda lib, data: data.WeightedRandomSampler([0.1, 0.0, 0.7, 0.2], 12),
    "weighted once": lambda lib, data: data.WeightedRandomSampler([1, 2, 3, 4], 3, False),
    "distributed": lambda lib, data: data.DistributedSampler(range(11), 4, 3, seed=2),
    "distributed more": lambda lib, data: data.DistributedSampler(range(3), 8, 7),
    "distributed fewer": lambda lib, data: data.DistributedSampler(range(11), 4, 1, drop_last=True),
    "distributed in order": lambda lib, data: data.DistributedSampler(range(11), 4, 2, False),
    "batch": lambda lib, data: data.BatchSampler(range(8), 3, False),
    "batch dropping": lambda lib, data: data.BatchSampler(iter("abcdefgh"), 3, True),
    "batch random": lambda lib, data: data.BatchSampler(
        data.RandomSampler(range(9), num_samples=22), 4, False
    ),
}


def sampled(lib: Any, data: Any, case: Case) -> list[Any]:
    """Two passes over a sampler, its length if it has one, and a number drawn afterwards."""
    lib.manual_seed(4)
    sampler = case(lib, data)
    passes = [list(sampler), list(sampler)]
    try:
        passes.append(len(sampler))
    except TypeError:
        passes.append(None)
    return [*passes, lib.rand(1).item()]


SPLITS: dict[str, Any] = {
    "lengths": [5, 0, 3, 2],
    "shares": [0.3, 0.3, 0.4],
    "leftovers": [0.25, 0.25, 0.5],
    "many": [0.35, 0.35, 0.15, 0.15],
}


def split(lib: Any, data: Any, lengths: list[Any]) -> list[Any]:
    """The indices of subsets, with the default and with another generator."""
    lib.manual_seed(4)
    own = lib.Generator().manual_seed(1)
    kinds = ({}, {"generator": own})
    return [[part.indices for part in data.random_split(range(10), lengths, **k)] for k in kinds]


COLLATIONS: dict[str, Case] = {
    "tensors": lambda lib, data: [lib.ones(2), lib.zeros(2)],
    "whole tensors": lambda lib, data: [lib.tensor(3), lib.tensor(4)],
    "numbers": lambda lib, data: [1.5, 2.0],
    "ints": lambda lib, data: [1, 2],
    "bools": lambda lib, data: [True, False],
    "texts": lambda lib, data: ["a", "b"],
    "bytes": lambda lib, data: (b"a", b"b"),
    "tuples": lambda lib, data: [(1, lib.ones(1)), (2, lib.zeros(1))],
    "lists": lambda lib, data: [[1, "a"], [2, "b"]],
    "other lists": lambda lib, data: [Odd([1, 2.5]), Odd([3, 4.5])],
    "ranges": lambda lib, data: [range(2), range(2, 4)],
    "named": lambda lib, data: [Pair(1, 2.5), Pair(3, 4.5)],
    "dicts": lambda lib, data: [{"a": 1, "b": [{"c": 2.5}]}, {"a": 3, "b": [{"c": 4.5}]}],
    "ordered": lambda lib, data: [collections.OrderedDict(a=1), collections.OrderedDict(a=2)],
    "arrays": lambda lib, data: [np.ones(2, dtype=np.float32), np.zeros(2, dtype=np.float32)],
    "array scalars": lambda lib, data: [np.float32(1.5), np.float32(2)],
    "wide scalars": lambda lib, data: [np.float64(1.5), np.float64(2)],
    "int scalars": lambda lib, data: [np.int32(1), np.int32(2)],
    "0-d arrays": lambda lib, data: [np.array(1.5), np.array(2.5)],
}


def described(value: Any) -> Any:
    """Types, dtypes, shapes and values."""
    if hasattr(value, "tolist"):
        return [str(value.dtype), list(value.shape), value.tolist()]
    if isinstance(value, dict):
        return [type(value).__name__, {key: described(item) for key, item in value.items()}]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, [described(item) for item in value]]
    return [type(value).__name__, str(value)]


def _loader(**options: Any) -> Case:
    return lambda lib, data: data.DataLoader(dataset_of(lib, data), **options)


def _endless(**options: Any) -> Case:
    return lambda lib, data: data.DataLoader(counting(data), **options)


ERRORS: dict[str, Case] = {
    "workers": _loader(num_workers=-1),
    "timeout": _loader(timeout=-1),
    "prefetch": _loader(prefetch_factor=2),
    "negative prefetch": _loader(prefetch_factor=-2, num_workers=1),
    "persistent": _loader(persistent_workers=True),
    "sampler": _loader(sampler=[0], shuffle=True),
    "batch sampler": _loader(batch_sampler=[[0]], batch_size=3),
    "drop": _loader(batch_size=None, drop_last=True),
    "size": _loader(batch_size=0),
    "context": _loader(multiprocessing_context="fork"),
    "context kind": _loader(multiprocessing_context="thread", num_workers=1),
    "context type": _loader(multiprocessing_context=3, num_workers=1),
    "iterable shuffle": _endless(shuffle=True),
    "iterable sampler": _endless(sampler=3),
    "iterable batch sampler": _endless(batch_sampler=3),
    "fixed": lambda lib, data: setattr(_loader()(lib, data), "batch_size", 3),
    "no items": lambda lib, data: data.Dataset()[0],
    "no order": lambda lib, data: iter(data.Sampler()),
    "tensor sizes": lambda lib, data: data.TensorDataset(lib.ones(2), lib.ones(3)),
    "no stack": lambda lib, data: data.StackDataset(),
    "two stacks": lambda lib, data: data.StackDataset([1], a=[2]),
    "stack sizes": lambda lib, data: data.StackDataset([1], [1, 2]),
    "no parts": lambda lib, data: data.ConcatDataset([]),
    "iterable part": lambda lib, data: data.ConcatDataset([counting(data)]),
    "below": lambda lib, data: data.ConcatDataset([[1, 2], [3]])[-4],
    "chained lists": lambda lib, data: list(data.ChainDataset([[1]])),
    "share": lambda lib, data: data.random_split(range(4), [1.5, -0.5]),
    "lengths": lambda lib, data: data.random_split(range(4), [1, 2]),
    "replacement": lambda lib, data: data.RandomSampler([1], replacement=3),
    "samples": lambda lib, data: data.RandomSampler([]),
    "weights": lambda lib, data: data.WeightedRandomSampler([[1.0]], 3),
    "weighted samples": lambda lib, data: data.WeightedRandomSampler([1.0], 0),
    "weighted replacement": lambda lib, data: data.WeightedRandomSampler([1.0], 1, None),
    "batch size": lambda lib, data: data.BatchSampler([1], True, False),
    "batch drop": lambda lib, data: data.BatchSampler([1], 1, 0),
    "collate sizes": lambda lib, data: data.default_collate([[1], [1, 2]]),
    "collate object": lambda lib, data: data.default_collate([object]),
    "collate texts": lambda lib, data: data.default_collate([np.array(["a"])]),
}


def main() -> None:
    """Writes data.json."""
    import torch
    import torch.utils.data as data

    write(
        GOLDEN,
        loaders={n: load(torch, data, o, dataset_of(torch, data)) for n, o in LOADERS.items()},
        generic={
            n: load(torch, data, o, squares(data)) for n, o in itertools.islice(LOADERS.items(), 5)
        },
        iterable={
            n: load(torch, data, o, counting(data))
            for n, o in LOADERS.items()
            if not o.get("shuffle")
        },
        samplers={n: sampled(torch, data, case) for n, case in SAMPLERS.items()},
        splits={n: split(torch, data, lengths) for n, lengths in SPLITS.items()},
        collations={
            n: described(data.default_collate(case(torch, data))) for n, case in COLLATIONS.items()
        },
        conversions={
            n: described(data.default_convert(case(torch, data))) for n, case in COLLATIONS.items()
        },
        errors={n: failure(case, torch, data) for n, case in ERRORS.items()},
    )


if __name__ == "__main__":
    main()
