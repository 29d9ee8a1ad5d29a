"""Passes over a loader: batches made here, or by workers ahead of their use."""

from __future__ import annotations

import contextlib
import itertools
import pickle
import queue
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from autodiff.data.sampler import draw_seed
from autodiff.data.worker import Ended, Failed, Packed, Place, work

if TYPE_CHECKING:
    from autodiff.data.loader import DataLoader


class _Pass:
    """One pass over a loader."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        if loader.pin_memory:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device "
                "pinned memory won't be used.",
                stacklevel=3,
            )
        self._source = loader._source()
        self._sampler = loader._indices()
        self._begin(loader)
        # PyTorch draws this for its workers where there are none, too; the sampler draws later.
        self._base_seed = draw_seed(loader.generator)

    def _begin(self, loader: DataLoader[Any]) -> None:
        self._stretches = getattr(self._sampler, "_stretches", lambda: None)()
        if self._stretches is None:
            self._indices = iter(self._sampler)
        else:
            self._indices = (index[start:end] for index, start, end in self._stretches)
        self._told_length = loader._told_length
        self._yielded = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self._sampler)

    def __next__(self) -> Any:
        batch = self._next()
        self._yielded += 1
        if (
            self._source.iterable
            and (told := self._told_length) is not None
            and self._yielded > told
        ):
            warnings.warn(
                f"Length of IterableDataset {self._source.dataset} was reported to be {told}(when "
                f"accessing len(dataloader)), but {self._yielded} samples have been fetched. ",
                stacklevel=2,
            )
        return batch

    def _next(self) -> Any:
        raise NotImplementedError

    def __getstate__(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled")


class Alone(_Pass):
    """A pass without workers."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        if loader.timeout != 0:
            raise AssertionError("a DataLoader without workers requires timeout == 0")
        self._fetch, gather = self._source.fetcher(), self._source.gatherer()
        self._gathered = self._stretches and gather and itertools.starmap(gather, self._stretches)

    def __next__(self) -> Any:
        return super().__next__() if self._gathered is None else next(self._gathered)

    def _next(self) -> Any:
        return self._fetch(next(self._indices))


_WAITING = object()


class Together(_Pass):
    """A pass whose batches workers make, up to prefetch_factor each ahead of their use."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        if not loader.prefetch_factor:
            raise AssertionError("prefetch_factor must be greater than 0 where there are workers")
        context, count = loader.multiprocessing_context, loader.num_workers
        self._timeout = loader.timeout
        self._in_order = loader.in_order
        self._persistent = loader.persistent_workers
        self._ahead = loader.prefetch_factor * count
        self._turn = 0
        new_queue: Callable[[], Any] = context.Queue if context else queue.SimpleQueue
        self._results = new_queue()
        self._processes = context is not None
        self._tasks = [new_queue() for _ in range(count)]
        self._workers: list[Any] = []
        self._stop = weakref.finalize(self, _stop, self._workers, self._tasks, self._results)
        start = context.Process if context else threading.Thread  # type: ignore[attr-defined]
        for i, tasks in enumerate(self._tasks):
            place = Place(i, count, self._base_seed, self._processes, loader.worker_init_fn)
            source = self._source if self._processes else self._source.of_a_thread(place.init)
            given = (source, place, tasks, self._results)
            worker = start(target=work, args=given, daemon=True)
            worker.start()
            self._workers.append(worker)
        self._fill()

    def _restart(self, loader: DataLoader[Any]) -> None:
        """Begin another pass; what is left of the one before is not taken."""
        self._begin(loader)
        self._turn += 1
        self._fill()

    def _fill(self) -> None:
        self._sent = 0
        self._found: dict[int, Any] = {}  # by number: the batch, or _WAITING
        self._owner: dict[int, int] = {}
        self._active = [True] * len(self._tasks)
        self._cycle = 0
        for _ in range(self._ahead):
            self._send()

    def _send(self) -> None:
        """Give the next batch to the next worker that still has data."""
        if not any(self._active):
            return
        try:
            indices = next(self._indices)
        except StopIteration:
            return
        while not self._active[self._cycle % len(self._tasks)]:
            self._cycle += 1
        worker = self._cycle % len(self._tasks)
        self._cycle += 1
        self._tasks[worker].put((self._turn, self._sent, indices))
        self._found[self._sent] = _WAITING
        self._owner[self._sent] = worker
        self._sent += 1

    def _next(self) -> Any:
        while True:
            number = self._ready()
            if number is not None:
                batch = self._found.pop(number)
                del self._owner[number]
                self._send()
                if isinstance(batch, Failed):
                    batch.reraise()
                return batch
            turn, number, batch = self._receive()
            if isinstance(batch, Packed):
                batch = pickle.loads(batch)  # of our own worker
            if turn != self._turn:
                continue
            if isinstance(batch, Ended):
                self._active[self._owner[number]] = False
                self._drop(number)
                self._send()
            else:
                self._found[number] = batch

    def _drop(self, ended: int) -> None:
        """Forget the tasks that a worker without data will not answer."""
        worker = self._owner[ended]
        for number in [n for n, owner in self._owner.items() if owner == worker and n >= ended]:
            del self._found[number], self._owner[number]

    def _ready(self) -> int | None:
        """The number of the batch to be given out now, if it has come."""
        if not self._found:
            if not self._persistent:
                self._stop()
            raise StopIteration
        candidates: Iterable[int] = self._found
        if self._in_order:
            candidates = (min(self._found),)
        return next((n for n in candidates if self._found[n] is not _WAITING), None)

    def _receive(self) -> Any:
        """The next answer. RuntimeError where it takes too long, or a process has died."""
        last = time.monotonic() + self._timeout
        while True:
            wait = max(last - time.monotonic(), 0.0) if self._timeout else None
            if self._processes:
                wait = 0.5 if wait is None else min(wait, 0.5)  # to see whether they live
            try:
                return self._results.get(timeout=wait)
            except queue.Empty:
                dead = [worker for worker in self._workers if not worker.is_alive()]
            if dead:
                names = ", ".join(str(worker.pid) for worker in dead)
                raise RuntimeError(f"DataLoader worker (pid(s) {names}) exited unexpectedly")
            if self._timeout and time.monotonic() >= last:
                raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds")


def _stop(workers: list[Any], tasks: list[Any], results: Any) -> None:
    """End the workers; one that is busy ends after the batch it is at."""
    for waiting in tasks:
        with contextlib.suppress(queue.Empty):
            while True:
                waiting.get_nowait()
        waiting.put(None)
    if isinstance(results, queue.SimpleQueue):
        return  # threads: they hold nothing that has to be given back
    for worker in workers:
        worker.join(timeout=5.0)
        if worker.is_alive():
            worker.terminate()
            worker.join()
    for channel in (*tasks, results):
        channel.cancel_join_thread()
        channel.close()
