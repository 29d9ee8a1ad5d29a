"""Many steps of a compiled function in one native call, on the same arguments or on batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from autodiff import dtypes
from autodiff.compiled.recording import Recording, last
from autodiff.compiled.signature import is_fixed
from autodiff.compiled.tree import flatten, unflatten
from autodiff.native import NULL, lib
from autodiff.ops.create import arange, empty
from autodiff.ops.generator import Generator
from autodiff.ops.join import cat, stack
from autodiff.ops.random import randperm
from autodiff.tensor import Tensor

if TYPE_CHECKING:
    from autodiff.compiled.function import Compiled

QUANTUM = 0.03  # seconds of one native call: an interrupt is looked for in between
EARLY = 4  # steps that may be needed until there is a recording that leads to itself
Batch = Callable[[int], tuple[Any, ...]]


class Progress:
    """A bar of tqdm's, where one is wanted."""

    def __init__(self, total: int, wanted: bool) -> None:
        self.bar: Any = None
        if wanted:
            import tqdm  # the extra `progress`

            self.bar = tqdm.tqdm(total=total, unit="step")

    def advance(self, n: int) -> None:
        """So many steps more are done."""
        if self.bar is not None:
            self.bar.update(n)

    def close(self) -> None:
        """No more steps follow."""
        if self.bar is not None:
            self.bar.close()


class Loop:
    """Steps of a function: by Python while no recording fits them, natively from then on."""

    def __init__(self, step: Compiled, steps: int, batch: Batch, progress: bool) -> None:
        self.step = step
        self.steps = steps
        self.batch = batch
        self.results: list[list[Tensor]] = []  # of each step that Python made
        self.native: list[Tensor] = []  # of those in between, stacked
        self.first = 0  # of those
        self.spec: Any = None
        self.progress = Progress(steps, progress)

    def by_python(self, i: int) -> None:
        """One step."""
        found: list[Tensor] = []
        self.spec = flatten(self.step(*self.batch(i)), found, ())
        self.results.append([x.detach().clone() for x in found])
        self.progress.advance(1)

    def run(self, end: int, data: Sequence[Tensor] | None, order: Tensor | None) -> None:
        """Steps up to `end`, on the rows of `data` that `order` has for each."""
        i = 0
        while i < end:
            args = self.batch(i)
            given = [x for x in args if isinstance(x, Tensor)]
            for recording in self.step.steady(args) if 0 < i <= EARLY else ():
                if len(recording.made) != len(self.results[-1]):
                    continue
                made = [empty(end - i, *x.shape, dtype=x.dtype) for x in self.results[-1]]
                self.native, self.first = made, i
                if self.natively(recording, given, i, end, data, order):
                    return
                self.native = []
            self.by_python(i)
            i += 1

    def natively(
        self,
        recording: Recording,
        args: list[Tensor],
        begin: int,
        end: int,
        data: Sequence[Tensor] | None,
        order: Tensor | None,
    ) -> bool:
        """The steps that are left, in native calls of about QUANTUM; False if it does not fit."""
        free = [x for x in args if not is_fixed(x)]
        inputs = [x._p for x in free]
        if order is not None and data is not None:
            n = int(args[0].shape[0])
            order = order[begin * n : end * n].contiguous()
            inputs = [x.clone()._p for x in args]  # the steps write the batches here
        rows = [x._p for x in self.native]
        rest = recording.lent_to(free)
        if rest is None:
            return False
        given = [*inputs, *(x._p for x in rest)]
        done, count, most = 0, 1, end - begin
        while done < most:
            start, to = time.perf_counter(), min(done + count, most)
            while lib.ad_tape_steps(
                *(recording.tape, len(given), given, len(inputs)),
                [x._p for x in data] if data else NULL,
                NULL if order is None else order._p,
                *(done, to, len(rows), rows),
            ):
                recording.failed()
                if not last.busy:
                    return False  # the arguments share memory in another way
                time.sleep(0)  # another thread calls the function between these native calls
            for leaf, after in recording.gradients.leaves:
                leaf.grad = after
            self.progress.advance(to - done)
            done = to
            taken = time.perf_counter() - start
            count = count * 2 if taken < QUANTUM / 2 else max(1, int(count * QUANTUM / taken))
        return True

    def result(self) -> Any:
        """What the steps returned, each tensor stacked along a new first dimension."""
        self.progress.close()
        columns = list(zip(*self.results, strict=True))
        before = self.first if self.native else len(self.results)
        found = []
        for i, column in enumerate(columns):
            parts = [stack(column[:before])] if before else []
            parts += [self.native[i]] if self.native else []
            if column[before:]:
                parts.append(stack(column[before:]))
            found.append(parts[0] if len(parts) == 1 else cat(parts))
        left = iter(found)
        return unflatten(self.spec, lambda: next(left))


def repeat(step: Compiled, n: int, args: tuple[Any, ...], progress: bool) -> Any:
    """What `n` calls on the same arguments return, each tensor stacked along a new dimension 0."""
    if n < 1:
        raise ValueError(f"repeat: the number of steps must be positive, got {n}")
    loop = Loop(step, n, lambda i: args, progress)
    loop.run(n, None, None)
    return loop.result()


def epoch(
    step: Compiled,
    tensors: Sequence[Tensor],
    batch_size: int,
    shuffle: bool | Tensor,
    drop_last: bool,
    generator: Generator | None,
    progress: bool,
) -> Any:
    """What the calls on all mini-batches return, each tensor stacked along a new dimension 0."""
    n = check_rows(tensors, batch_size)
    order = order_of(n, shuffle, generator)
    whole, rest = divmod(n, batch_size)
    count = whole + (rest > 0 and not drop_last)

    def batch(i: int) -> tuple[Any, ...]:
        rows = order[i * batch_size : (i + 1) * batch_size]
        return tuple(x[rows] for x in tensors)

    loop = Loop(step, count, batch, progress)
    loop.run(whole, tensors, order)
    if shuffle is True and generator is not None:
        randperm(n, generator=generator)  # as a sampler does where its rows end
    if count > whole:
        loop.by_python(whole)
    return loop.result()


def check_rows(tensors: Sequence[Tensor], batch_size: int) -> int:
    """How many rows each of the tensors has."""
    sizes = {int(x.shape[0]) for x in tensors if x.dim()}
    if len(sizes) != 1 or any(x.dim() == 0 for x in tensors):
        raise ValueError(
            "epoch: the tensors must have one number of rows, got shapes "
            f"{[list(x.shape) for x in tensors]}"
        )
    if batch_size < 1:
        raise ValueError(f"epoch: batch_size must be positive, got {batch_size}")
    return sizes.pop()


def order_of(n: int, shuffle: bool | Tensor, generator: Generator | None) -> Tensor:
    """The rows in the order of their use: as a DataLoader with this `shuffle` draws it."""
    if isinstance(shuffle, Tensor):
        if shuffle.dtype is not dtypes.int64 or shuffle.dim() != 1:
            raise TypeError(f"epoch: an order of rows is int64 of 1 dimension, not {shuffle!r}")
        return shuffle
    empty((), dtype=dtypes.int64).random_(generator=generator)  # the loader's seed for its workers
    if not shuffle:
        return arange(n)
    if generator is None:
        drawn = empty((), dtype=dtypes.int64).random_()
        generator = Generator().manual_seed(int(drawn.item()))
    return randperm(n, generator=generator)
