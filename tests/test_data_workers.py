"""A loader's workers: their order, exceptions, numbers and ends; threads and processes."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import pickle
import random
import threading
import time
from typing import Any

import numpy as np
import pytest
from golden.record_data import GOLDEN, LOADERS, counting, load, squares

import autodiff as ad
from autodiff import data
from autodiff.data import DataLoader
from autodiff.data.worker import numpy_state

RECORD: dict[str, Any] = json.loads(GOLDEN.read_text())
FORK = "fork" in multiprocessing.get_all_start_methods()
KINDS = [None, pytest.param("fork", marks=pytest.mark.skipif(not FORK, reason="no fork"))]
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """That there are few cores is not to be warned of here."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


class Numbers(data.Dataset[Any]):
    """What `of` makes of an index."""

    def __init__(self, of: Any, n: int = 8) -> None:
        self.of, self.n = of, n

    def __getitem__(self, index: Any) -> Any:
        return self.of(index)

    def __len__(self) -> int:
        return self.n


@kinds
def test_processes_give_the_same_batches(kind: str | None) -> None:
    options = {**LOADERS["three workers"], "multiprocessing_context": kind}
    assert load(ad, data, options, counting(data)) == RECORD["iterable"]["three workers"]
    options = {**LOADERS["two workers"], "multiprocessing_context": kind}
    assert load(ad, data, options, squares(data)) == load(
        ad, data, LOADERS["shuffled"], squares(data)
    )


@kinds
def test_batches_come_in_order_or_as_they_are_ready(kind: str | None) -> None:
    ready = multiprocessing.get_context(kind).Event()

    def waiting(index: int) -> int:
        assert index != 0 or ready.wait(60)
        return index

    def calling(index: int) -> int:
        if index == 1:
            ready.set()
        return waiting(index)

    options: dict[str, Any] = {"num_workers": 2, "multiprocessing_context": kind}
    found = [b.item() for b in DataLoader(Numbers(calling, 4), **options)]
    assert found == [0, 1, 2, 3]
    ready.clear()
    loose = iter(DataLoader(Numbers(waiting, 4), in_order=False, **options))
    assert next(loose).item() == 1
    ready.set()
    assert sorted(b.item() for b in loose) == [0, 2, 3]


@kinds
def test_bytes_are_data_whatever_they_look_like(kind: str | None) -> None:
    data = [b"ab", pickle.dumps((1, 0, "not a batch"))]
    options: dict[str, Any] = {"num_workers": 1, "multiprocessing_context": kind}
    loader = DataLoader(Numbers(data.__getitem__, 2), batch_size=None, **options)
    assert list(loader) == data


class StrangeError(Exception):
    """One that wants two arguments."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__(a, b)


@kinds
def test_exceptions_are_raised_here_with_their_traceback(kind: str | None) -> None:
    def fail(index: int) -> int:
        if index == 1:
            raise KeyError("missing")
        if index == 2:
            raise StrangeError(1, 2)
        if index == 3:
            raise type("Local", (ValueError,), {})("local")
        return index

    loader = iter(DataLoader(Numbers(fail, 5), num_workers=2, multiprocessing_context=kind))
    assert next(loader).item() == 0
    where = "process" if kind else "thread"
    with pytest.raises(KeyError, match=rf"Caught KeyError in DataLoader worker {where} 1") as seen:
        next(loader)
    assert "raise KeyError(\"missing\")\nKeyError: 'missing'" in str(seen.value)
    with pytest.raises(RuntimeError, match="Caught StrangeError in DataLoader worker"):
        next(loader)
    with pytest.raises(RuntimeError if kind else ValueError, match="Local"):
        next(loader)
    assert next(loader).item() == 4
    with pytest.raises(StopIteration):
        next(loader)


@kinds
def test_a_worker_that_cannot_begin(kind: str | None) -> None:
    def fail(worker: int) -> None:
        raise OSError("no disk")

    loader = DataLoader([1], num_workers=1, worker_init_fn=fail, multiprocessing_context=kind)
    with pytest.raises(OSError, match="no disk"):
        next(iter(loader))


@kinds
def test_workers_know_who_they_are_and_have_numbers_of_their_own(kind: str | None) -> None:
    def tell(index: int) -> Any:
        info = data.get_worker_info()
        assert info is not None
        rng = random if info.rng is None else info.rng.random_generator
        numbers = np.random if info.rng is None else info.rng.numpy_generator
        drawn = ad.rand(1).item(), rng.random(), numbers.random_sample()
        return info.id, info.num_workers, info.seed, len(info.dataset), drawn

    assert data.get_worker_info() is None
    ad.manual_seed(3)
    options: dict[str, Any] = {"num_workers": 2, "collate_fn": list, "persistent_workers": True}
    loader = DataLoader(Numbers(tell), 2, multiprocessing_context=kind, **options)
    passes = [[sample for batch in loader for sample in batch] for _ in range(2)]
    after = ad.rand(1).item()
    ad.manual_seed(3)
    base = ad.empty((), dtype=ad.int64).random_().item()
    assert after == ad.rand(1).item(), "workers draw nothing of ours"
    for worker in range(2):
        mine = [sample for part in passes for sample in part if sample[0] == worker]
        assert {sample[1:4] for sample in mine} == {(2, base + worker, 8)}
        ad.manual_seed(base + worker)
        own = random.Random(base + worker)
        numbers = np.random.RandomState(numpy_state(base, worker))
        expected = [(ad.rand(1).item(), own.random(), numbers.random_sample()) for _ in mine]
        assert [sample[4] for sample in mine] == expected


class Span(data.IterableDataset[int]):
    """The numbers from `start` to `end`, each of which workers may set."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end

    def __iter__(self) -> Any:
        return iter(range(self.start, self.end))


def split(worker: int) -> None:
    """Leave this worker's data set its part of the whole."""
    info = data.get_worker_info()
    assert info is not None
    span, start = info.dataset, info.dataset.start
    each = -(-(span.end - start) // info.num_workers)
    span.start = start + worker * each
    span.end = min(span.start + each, span.end)


@kinds
@pytest.mark.parametrize("workers", [2, 7])
def test_what_a_worker_does_to_its_data_set_is_its_own(kind: str | None, workers: int) -> None:
    span = Span(3, 10)
    loader = DataLoader(
        span,
        batch_size=None,
        num_workers=workers,
        worker_init_fn=split,
        multiprocessing_context=kind,
    )
    for _ in range(2):
        assert sorted(loader) == list(range(3, 10))
    assert (span.start, span.end) == (3, 10)


def test_states_for_numpy_are_its_own_seed_sequences() -> None:
    base = 3 << 40 | 12345
    sequence = np.random.SeedSequence([7, base & 0xFFFFFFFF, base >> 32, 0])
    assert numpy_state(base, 7) == sequence.generate_state(4).tolist()


@kinds
def test_a_pass_that_is_left_early_ends_its_workers(kind: str | None) -> None:
    def running() -> int:
        return threading.active_count() + len(multiprocessing.active_children())

    gc.collect()
    before = running()
    for _ in range(2):
        next(iter(DataLoader(range(1000), num_workers=2, multiprocessing_context=kind)))
    gc.collect()
    end = time.monotonic() + 60  # they do not wait; a busy machine does
    while running() > before:
        assert time.monotonic() < end
        time.sleep(0.01)


@kinds
def test_workers_that_stay_begin_anew(kind: str | None) -> None:
    """A pass that was left early leaves nothing in the next, and iterables begin again."""
    options: dict[str, Any] = {"persistent_workers": True, "multiprocessing_context": kind}
    loader = DataLoader(counting(data, 6), None, num_workers=2, **options)
    assert next(iter(loader)) == 0
    for _ in range(2):
        assert sorted(iter(loader)) == [0, 1, 2, 3, 4, 5]
    workers = loader._iterator._workers
    shuffled = DataLoader(range(12), None, shuffle=True, num_workers=2, **options)
    for _ in range(3):
        next(iter(shuffled))
        assert sorted(iter(shuffled)) == list(range(12)), "of one order, and of no other"
    assert all(worker.is_alive() for worker in workers)


@kinds
def test_a_batch_that_takes_too_long(kind: str | None) -> None:
    ready = multiprocessing.get_context(kind).Event()
    loader = DataLoader(
        Numbers(lambda i: ready.wait(60)), num_workers=1, timeout=0.1, multiprocessing_context=kind
    )
    one = iter(loader)
    with pytest.raises(RuntimeError, match=r"timed out after 0\.1 seconds"):
        next(one)
    ready.set()
    with pytest.raises(AssertionError, match="timeout == 0"):
        iter(DataLoader([1], timeout=1))


@pytest.mark.skipif(not FORK, reason="no fork")
def test_a_process_that_dies_is_told() -> None:
    loader = DataLoader(Numbers(os._exit), num_workers=1, multiprocessing_context="fork")
    with pytest.raises(RuntimeError, match=r"worker \(pid\(s\) [0-9]+\) exited unexpectedly"):
        next(iter(loader))


@pytest.mark.parametrize("leave", [SystemExit, KeyboardInterrupt])
def test_a_thread_that_would_exit_is_told(leave: type[BaseException]) -> None:
    """There is nobody to miss it: a batch that never comes would be waited for for good."""

    def fail(i: int) -> Any:
        raise leave

    loader = DataLoader(Numbers(fail), num_workers=1, timeout=20)
    with pytest.raises(RuntimeError, match=f"(?s)Caught RuntimeError.*{leave.__name__}"):
        list(loader)


@pytest.mark.skipif(not FORK, reason="no fork")
def test_what_cannot_be_sent_is_an_error() -> None:
    loader = DataLoader(
        [1], collate_fn=lambda batch: lambda: batch, num_workers=1, multiprocessing_context="fork"
    )
    with pytest.raises(Exception, match=r"pickle|local object"):
        next(iter(loader))


@pytest.mark.slow
def test_processes_may_be_spawned() -> None:
    dataset = data.TensorDataset(ad.arange(6))
    context = multiprocessing.get_context("spawn")
    loader = DataLoader(dataset, 3, num_workers=1, multiprocessing_context=context)
    assert [x.tolist() for (x,) in loader] == [[0, 1, 2], [3, 4, 5]]


def test_more_processes_than_cores_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    method = multiprocessing.get_all_start_methods()[0]
    with pytest.warns(UserWarning, match="create 2 worker processes"):
        DataLoader([1], num_workers=2, multiprocessing_context=method)
    DataLoader([1], num_workers=2)
