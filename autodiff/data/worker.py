"""What runs in a loader's workers, be they threads or processes: fetching of batches."""

from __future__ import annotations

import copy
import multiprocessing
import queue
import random
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.reduction import ForkingPickler
from typing import Any

from autodiff.data.dataset import Dataset, gatherer, index_of, samples
from autodiff.native import set_num_threads
from autodiff.ops.generator import Generator, manual_seed, use_in_this_thread
from autodiff.tensor import Tensor


@dataclass(frozen=True)
class RandomGenerators:
    """Generators of random numbers that are a worker's own."""

    random_generator: random.Random
    torch_generator: Generator
    numpy_generator: Any = None


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker this is; `rng` is for threads, whose modules' generators are shared."""

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: RandomGenerators | None = None
    worker_method: str | None = "multiprocessing"


class _Here(threading.local):
    info: WorkerInfo | None = None


_here = _Here()


def get_worker_info() -> WorkerInfo | None:
    """What a worker of a DataLoader is told of itself; None elsewhere.

    >>> data.get_worker_info() is None
    True
    """
    return _here.info


# ---- batches ----


@dataclass(frozen=True)
class Source:
    """What a loader makes batches of, and how."""

    dataset: Any
    iterable: bool
    batched: bool
    collate: Callable[[Any], Any]
    drop_last: bool
    plain: bool  # whether `collate` is the default one

    def of_a_thread(self, init: Any) -> Source:
        """As a process has it: what a worker writes to its data set, no other worker sees."""
        if isinstance(self.dataset, Dataset) and (self.iterable or init is not None):
            return replace(self, dataset=copy.copy(self.dataset))
        return self

    def gatherer(self) -> Callable[[Tensor, int, int], Any] | None:
        """What makes the batch of a stretch of an index, where that is a gather."""
        return gatherer(self.dataset) if self.batched and self.plain else None

    def fetcher(self) -> Callable[[Any], Any]:
        """What makes the batch of indices; StopIteration where an iterable data set ends."""
        if self.iterable:
            return _Iterating(self, iter(self.dataset)).fetch
        if not self.batched:
            return lambda index: self.collate(self.dataset[index])
        gather = self.gatherer()

        def fetch(indices: Any) -> Any:
            if gather is not None and (index := index_of(indices)) is not None:
                return gather(index, 0, len(index))
            indices = indices.tolist() if isinstance(indices, Tensor) else indices
            return self.collate(samples(self.dataset, indices))

        return fetch


@dataclass
class _Iterating:
    source: Source
    items: Iterator[Any]
    ended: bool = False

    def fetch(self, indices: Any) -> Any:
        if self.ended:
            raise StopIteration
        if not self.source.batched:
            return self.source.collate(next(self.items))
        found = []
        for _ in indices:
            try:
                found.append(next(self.items))
            except StopIteration:
                self.ended = True
                break
        if not found or (self.source.drop_last and len(found) < len(indices)):
            raise StopIteration
        return self.source.collate(found)


# ---- exceptions ----


class Packed(bytes):
    """An answer on its way from a process: not bytes of the data."""


class Ended:
    """Instead of a batch: the worker's data set has no more."""


class _Message(str):
    """A text that is its own repr: KeyError shows its argument by repr."""

    def __repr__(self) -> str:
        return str(self)


class Failed:
    """Instead of a batch: the exception that a worker met, with its traceback as text."""

    def __init__(self, where: str) -> None:
        kind, error, trace = sys.exc_info()
        self.kind: Any = kind if isinstance(error, Exception) else RuntimeError  # no exit of ours
        self.text = "".join(traceback.format_exception(kind, error, trace))
        self.where = where

    def reraise(self) -> None:
        """Raise an exception of that type here; RuntimeError where it cannot be made of a text."""
        text = _Message(f"Caught {self.kind.__name__} in {self.where}.\nOriginal {self.text}")
        try:
            error = self.kind(text if self.kind is KeyError else str(text))
        except Exception:
            raise RuntimeError(str(text)) from None
        raise error


# ---- the loop ----


@dataclass(frozen=True)
class Place:
    """Which worker of how many this is, and what its random numbers begin with."""

    id: int
    count: int
    base_seed: int
    is_process: bool
    init: Callable[[int], Any] | None

    @property
    def caught(self) -> type[BaseException]:
        """What a worker answers with: a process that exits is missed, but not a thread."""
        return Exception if self.is_process else BaseException

    @property
    def seed(self) -> int:
        """The seed of this worker."""
        return self.base_seed + self.id

    def settle(self, dataset: Any) -> None:
        """Seed what is this worker's own, and tell it who it is."""
        rng = None
        if not self.is_process:
            rng = RandomGenerators(random.Random(self.seed), Generator(), self._numpy())
            use_in_this_thread(rng.torch_generator.manual_seed(self.seed))
        else:
            set_num_threads(1)
            random.seed(self.seed)
            manual_seed(self.seed)
            if (numpy := sys.modules.get("numpy")) is not None:
                numpy.random.seed(numpy_state(self.base_seed, self.id))
        method = "multiprocessing" if self.is_process else "thread"
        _here.info = WorkerInfo(self.id, self.count, self.seed, dataset, rng, method)

    def _numpy(self) -> Any:
        numpy = sys.modules.get("numpy")
        if numpy is None:
            return None
        return numpy.random.RandomState(numpy_state(self.base_seed, self.id))


def work(source: Source, place: Place, tasks: Any, results: Any) -> None:
    """Make the batches of `tasks`, tuples (pass, number, indices), until there comes None.

    An answer is the pass, the number and a batch, Failed or Ended; after that, tasks of the same
    pass have no answer. A new pass begins the data set anew.
    """
    where = f"DataLoader worker {'process' if place.is_process else 'thread'} {place.id}"
    fetch: Any = None
    current, ended, failure = 0, False, None
    try:
        place.settle(source.dataset)
        if place.init is not None:
            place.init(place.id)
        fetch = source.fetcher()
    except place.caught:
        failure = Failed(where)
    for turn, number, indices in _received(tasks, place):
        try:
            if failure is None and turn != current:
                current, ended = turn, False
                fetch = source.fetcher()
            if ended:
                continue
            answer = fetch(indices) if failure is None else failure
        except place.caught as error:
            ended = source.iterable and isinstance(error, StopIteration)
            answer = Ended() if ended else Failed(where)
        failure = None
        results.put((turn, number, _packed(answer, where) if place.is_process else answer))
        del answer, indices  # a batch is not kept until the next
    if place.is_process:
        results.cancel_join_thread()  # nobody reads what is still in it


def _received(tasks: Any, place: Place) -> Iterator[Any]:
    """The tasks until None; in a process also until its parent dies."""
    parent = multiprocessing.parent_process() if place.is_process else None
    while True:
        try:
            task = tasks.get(timeout=None if parent is None else 5.0)
        except queue.Empty:
            if parent is not None and not parent.is_alive():
                return
            continue
        if task is None:
            return
        yield task


def _packed(answer: Any, where: str) -> Packed:
    """An answer as bytes: in another thread, as a queue would do it, nobody sees a failure."""
    try:
        return Packed(ForkingPickler.dumps(answer))
    except Exception:
        failed = answer if isinstance(answer, Failed) else Failed(where)
    try:
        return Packed(ForkingPickler.dumps(failed))
    except Exception:  # an exception of a class that cannot be found by its name
        failed.kind = RuntimeError
        return Packed(ForkingPickler.dumps(failed))


def numpy_state(base_seed: int, worker: int) -> list[int]:
    """Four words of state for NumPy's generator, as PyTorch's workers have them.

    M. E. O'Neill's seed_seq_fe, which numpy.random.SeedSequence is too, of the entropy (worker,
    low word, high word, 0).
    """
    mask = 0xFFFFFFFF

    def hashing(multiplier: int, constant: int) -> Callable[[int], int]:
        def hashed(value: int) -> int:
            nonlocal constant
            value = (value ^ constant) & mask
            constant = (constant * multiplier) & mask
            value = (value * constant) & mask
            return (value ^ (value >> 16)) & mask

        return hashed

    def mixed(x: int, y: int) -> int:
        value = (0xCA01F9DD * x - 0x4973F715 * y) & mask
        return (value ^ (value >> 16)) & mask

    first, last = hashing(0x931E8875, 0x43B0D7E5), hashing(0x58F38DED, 0x8B51F9DD)
    pool = [first(value) for value in (worker, base_seed & mask, base_seed >> 32, 0)]
    for i in range(4):
        for j in range(4):
            if i != j:
                pool[j] = mixed(pool[j], first(pool[i]))
    return [last(value) for value in pool]
