"""What this machine can do at most: multiply-adds, memory traffic, and the cost of a native call.

limits.c is the yardstick. In a comparison it takes its turns like any contestant, so a share of the
limit is a ratio of the same rounds.
"""

import tempfile
import timeit
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ctypes import CDLL, c_float, c_int64, c_void_p, sizeof
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from compiled import load_c

LIMIT = "limit"  # the name of the yardstick among the contestants
ISAS = ("sse2", "avx2", "avx512", "neon")
DTYPES = ("float32", "float64")
STREAMING = "streaming"  # stores that do not go through the caches
ARRAYS = {"copy": 2, "add": 3, "triad": 3}  # how many a stream reads or writes
SIZES = (1_024, 10_240, 102_400, 1_024_000, 10_000_000)  # floats in each of them
LARGEST = SIZES[-1]
LINE = 64  # what sizes are multiples of, in floats
APART = 336  # floats between arrays, so that they do not lie alike in the caches
SECONDS = 0.01
TRIES = 5

Call = Callable[[], Any]


@dataclass(frozen=True)
class Limit:
    """A limit of the machine, in units a second, or in seconds."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class Stream:
    """A pass over arrays of `size` floats."""

    op: str
    isa: str
    size: int

    @property
    def bytes(self) -> int:
        return ARRAYS[self.op] * sizeof(c_float) * self.size


class Limits:
    """The limits for some threads, each measured when it is first asked for."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads)
        with tempfile.TemporaryDirectory() as folder:
            flags = ("-ffp-contract=fast", "-fno-tree-loop-distribute-patterns")
            self.library: CDLL = load_c("limits", Path(folder), *flags)
        self.library.new_floats.restype = c_void_p
        self.isas = [isa for isa in ISAS if self.has(isa)]

    def has(self, isa: str) -> bool:
        return hasattr(self.library, f"has_{isa}") and bool(getattr(self.library, f"has_{isa}")())

    @cached_property
    def arrays(self) -> tuple[int, int, int]:
        """The addresses of three arrays of LARGEST floats, in memory that is kept."""
        memory = self.library.new_floats(c_int64(3 * (LARGEST + APART)))
        if memory is None:
            raise MemoryError("for the arrays that measure bandwidth")
        stride = sizeof(c_float) * (LARGEST + APART)
        return memory, memory + stride, memory + 2 * stride

    @cached_property
    def peaks(self) -> dict[tuple[str, str], float]:
        """Flop a second by instruction set and dtype."""
        return {
            (i, d): self.rate(self.fma(i, d), self.flops(i, d)) for i in self.isas for d in DTYPES
        }

    @cached_property
    def bandwidths(self) -> dict[Stream, float]:
        """Bytes a second of each stream."""
        streams = [Stream(op, isa, n) for n in SIZES for op in ARRAYS for isa in self.isas]
        if self.has(STREAMING):
            streams += [Stream(op, STREAMING, LARGEST) for op in ARRAYS]
        return {stream: self.rate(self.pass_of(stream), stream.bytes) for stream in streams}

    def all(self, library: Any) -> list[Limit]:
        """What the report shows; of streams the best instruction set."""
        limits = [
            Limit(f"multiply-adds, {isa} {dtype}", value, "flop/s")
            for (isa, dtype), value in self.peaks.items()
        ]
        best: dict[str, float] = {}
        for stream, rate in self.bandwidths.items():
            stores = "streaming" if stream.isa == STREAMING else "ordinary"
            name = f"{stream.op}, {stream.size:,} floats, {stores} stores"
            best[name] = max(rate, best.get(name, 0.0))
        limits += [Limit(name, rate, "byte/s") for name, rate in best.items()]
        return [*limits, Limit("one native call", native_call_seconds(library), "s")]

    def contestant(self, unit: str, work: float) -> tuple[Call, float] | None:
        """A call that goes at the limit for such work, and how much of it it does."""
        if unit.startswith("flop "):
            dtype = unit.removeprefix("flop ")
            isa = max(self.isas, key=lambda isa: self.peaks[isa, dtype])
            return self.lasting(self.fma(isa, dtype), self.flops(isa, dtype))
        if unit == "byte":
            floats = min(work / (3 * sizeof(c_float)), LARGEST)
            size = min(SIZES, key=lambda size: max(size / floats, floats / size))
            streams = [stream for stream in self.bandwidths if stream.size == size]
            best = max(streams, key=lambda stream: self.bandwidths[stream])
            floats = min(work / (ARRAYS[best.op] * sizeof(c_float)), LARGEST)
            whole = LINE * self.threads
            stream = Stream(best.op, best.isa, max(1, round(floats / whole)) * whole)
            return self.lasting(self.pass_of(stream), stream.bytes)
        return None

    def fma(self, isa: str, dtype: str) -> Callable[[int], Call]:
        """For some rounds, a call that does them on every thread."""
        function = getattr(self.library, f"fma_{isa}_{dtype}")
        return lambda rounds: self.everywhere([(function, c_int64(rounds))] * self.threads)

    def flops(self, isa: str, dtype: str) -> int:
        return getattr(self.library, f"flops_{isa}_{dtype}")() * self.threads

    def pass_of(self, stream: Stream) -> Callable[[int], Call]:
        """For some passes, a call that does them, each thread on a part of the arrays."""
        function = getattr(self.library, f"{stream.op}_{stream.isa}")
        lines = stream.size // LINE
        starts = [lines * t // self.threads * LINE for t in range(self.threads + 1)]
        parts = [
            (c_int64(end - start), *(c_void_p(x + sizeof(c_float) * start) for x in self.arrays))
            for start, end in pairwise(starts)
        ]
        return lambda passes: self.everywhere([(function, c_int64(passes), *p) for p in parts])

    def everywhere(self, tasks: list[tuple[Any, ...]]) -> Call:
        """A call that does a task on each thread; ctypes lets them run side by side."""
        (function, *arguments), *others = tasks
        if not others:
            return lambda: function(*arguments)
        return lambda: list(self.pool.map(lambda task: task[0](*task[1:]), tasks))

    def lasting(self, kernel: Callable[[int], Call], work: float) -> tuple[Call, float]:
        """The kernel repeated for about SECONDS, and the work that takes."""
        times = 1
        while (spent := fastest(kernel(times))) < SECONDS / 4:
            times *= 2
        times = max(1, round(times * SECONDS / spent))
        return kernel(times), times * work

    def rate(self, kernel: Callable[[int], Call], work: float) -> float:
        call, total = self.lasting(kernel, work)
        return total / fastest(call)


def fastest(call: Call) -> float:
    """Seconds of the fastest of some calls: others may have met a thread that had to wait."""
    return min(timeit.repeat(call, number=1, repeat=TRIES))


def native_call_seconds(library: Any) -> float:
    """Seconds of the smallest call into our extension."""
    lib, number = library.native.lib, 200_000
    timer = timeit.Timer("size(dtype)", globals={"size": lib.ad_dtype_size, "dtype": 0})
    return min(timer.repeat(TRIES, number)) / number
