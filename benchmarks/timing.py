"""Fair timing: the two contestants alternate, so that what slows one slows the other."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

ROUND_SECONDS = 0.02


@dataclass(frozen=True)
class Comparison:
    """Median seconds of each side, and the median of the rounds' ratios (theirs / ours)."""

    ours: float
    theirs: float
    ratio: float


def compare(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int) -> Comparison:
    """Time both in `rounds` alternating rounds on one thread."""
    loops = [loops_of(ours), loops_of(theirs)]
    samples = []
    gc.collect()
    gc.disable()
    try:
        for index in range(rounds):
            # the first to run changes from round to round
            if index % 2:
                mine, other = seconds_of(ours, loops[0]), seconds_of(theirs, loops[1])
            else:
                other, mine = seconds_of(theirs, loops[1]), seconds_of(ours, loops[0])
            samples.append((mine, other))
    finally:
        gc.enable()
    return summary(samples)


def summary(samples: list[tuple[float, float]]) -> Comparison:
    """The medians of pairs of seconds (ours, theirs)."""
    return Comparison(
        ours=median(mine for mine, _ in samples),
        theirs=median(other for _, other in samples),
        ratio=median(other / mine for mine, other in samples),
    )


def loops_of(run: Callable[[], Any]) -> int:
    """How many runs fill a round; warms up on the way."""
    loops = 1
    while (spent := seconds_of(run, loops) * loops) < ROUND_SECONDS / 4:
        loops *= 2
    return max(1, round(loops * ROUND_SECONDS / spent))


def seconds_of(run: Callable[[], Any], loops: int) -> float:
    """Seconds of one run, over `loops` of them."""
    start = time.perf_counter()
    for _ in range(loops):
        run()
    return (time.perf_counter() - start) / loops
